"""One content being read: which bytes are here or on their way, and which to fetch."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, ContentChanged, EmpiricalError, ResourceGone, SpoolFailed
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import FileBuffer, MemoryBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.part import Part
from empirical_fs.reading.ranges import Ranges
from empirical_fs.reading.readahead import Range, ReadAhead
from empirical_fs.reading.store import Body

_KEPT_BEHIND = 2**20
_PARTS_AHEAD_MAX = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What all readers share."""

    ranges: Ranges
    budget: Budget
    wanted: Executor
    """Runs the fetches for which a reader waits."""
    ahead: Executor
    """Runs the fetches ahead of the readers, so that these never hold up the others."""


@dataclass(slots=True, eq=False)
class _Held:
    """A part, and who still needs it."""

    part: Part
    is_ahead: bool
    users: int = 0


class _Spooling(EmpiricalError):
    """The part will not come: the whole content is being spooled instead."""


class Reader:
    """All handles on one content read through one of these, so that nothing is fetched twice.

    The lock guards the parts, their users, the cursors of the handles and whether this is closed; it is
    never held while bytes are waited for.
    """

    def __init__(self, content: Content, means: Means) -> None:
        """Read `content`; nothing is fetched before the first read."""
        self.content = content
        self._means = means
        self._lock = threading.Lock()
        self._held: list[_Held] = []
        self._whole: Part | None = None
        self._download_failure: EmpiricalError | None = None
        self._closed = False

    def read(self, cursor: ReadAhead, start: int, size: int, deadline: Deadline) -> bytes:
        """`size` bytes from `start`, fewer only at the end of the content.

        `cursor` is that of the handle that reads.

        Raises:
            DeadlinePassed: not in time.
            ContentChanged: the content is no longer there.
            EmpiricalError: it could not be read.
        """
        stop = min(start + size, self.content.size)
        if self.content.is_over:
            raise ContentChanged("the file changed since it was opened")
        if start >= stop:
            return b""
        new, needed = self._need(start, stop)
        self._read_ahead(cursor, start, stop)
        is_ours = False
        while True:
            try:
                return b"".join(
                    part.read(max(start, part.start), min(stop, part.stop), deadline) for part in needed
                )
            except (_Spooling, Closing) as error:
                if self._closed:
                    raise
                if is_ours and self._download_failure is not None:
                    raise self._download_failure from error
                is_ours = is_ours or any(part.failure is error for part in new)
            except (ContentChanged, ResourceGone):
                raise
            except EmpiricalError as error:
                failed = [part for part in needed if part.failure is error]
                if is_ours or not failed or set(failed) & set(new):
                    raise
                # Somebody else's fetch failed, long ago perhaps: it is not for us to fail by that.
            finally:
                self._retire(needed, start)
            new, needed = self._need(start, stop)

    def close(self) -> None:
        """Drop everything that is held and stop what is being fetched."""
        with self._lock:
            self._closed = True
            held, self._held = self._held, []
            whole, self._whole = self._whole, None
        for each in held:
            self._drop(each)
        if whole is not None:
            whole.fail(Closing("the file is closed"))

    def _need(self, start: int, stop: int) -> tuple[list[Part], list[Part]]:
        """Parts made anew for this read, which are being fetched, and all that cover it, in order."""
        new, needed = self._cover(start, stop)
        for part in new:
            self._means.wanted.submit(self._fill, part)
        return new, needed

    def _cover(self, start: int, stop: int) -> tuple[list[Part], list[Part]]:
        with self._lock:
            if self._closed:
                raise Closing("the file is closed")
            if self._whole is not None and self._whole.failure is None:
                return [], [self._whole]
            if self._whole is not None:
                self._download_failure = self._whole.failure
                self._whole = None
            needed: list[_Held] = []
            new: list[_Held] = []
            at = start
            for held in sorted(self._held, key=lambda held: held.part.start):
                if held.part.failure is not None or held.part.stop <= at or held.part.start >= stop:
                    continue
                if held.part.start > at:
                    new.append(self._hold(at, held.part.start))
                    needed.append(new[-1])
                needed.append(held)
                at = held.part.stop
            if at < stop:
                new.append(self._hold(at, stop))
                needed.append(new[-1])
            for held in needed:
                held.users += 1
            return [held.part for held in new], [held.part for held in needed]

    def _hold(self, start: int, stop: int) -> _Held:
        self._means.budget.reserve(stop - start)
        held = _Held(Part(start, stop, MemoryBuffer(stop - start)), is_ahead=False)
        self._held.append(held)
        return held

    def _read_ahead(self, cursor: ReadAhead, start: int, stop: int) -> None:
        with self._lock:
            planned = cursor.plan(start, stop) if self._whole is None else None
        if planned is not None and not self._fetch_ahead(planned):
            with self._lock:
                cursor.refuse(planned)

    def _fetch_ahead(self, planned: Range) -> bool:
        """Begin to fetch what was planned; False if there is no memory for it."""
        with self._lock:
            taken = any(
                held.part.start < planned.stop and planned.start < held.part.stop for held in self._held
            )
            if taken or self._closed:
                return True
            if not self._means.budget.try_reserve(planned.size):
                return False
            part = Part(planned.start, planned.stop, MemoryBuffer(planned.size))
            self._held.append(_Held(part, is_ahead=True))
        self._means.ahead.submit(self._fill, part)
        return True

    def _retire(self, needed: list[Part], start: int) -> None:
        """Let go of what this read used, and drop what nobody is expected to read again."""
        with self._lock:
            for held in self._held:
                held.users -= held.part in needed
            idle = [held for held in self._held if held.users == 0]
            ahead = [held for held in idle if held.is_ahead]
            surplus = ahead[: max(len(ahead) - _PARTS_AHEAD_MAX, 0)]
            dropped = [
                held
                for held in idle
                if not held.is_ahead
                or held.part.failure is not None
                or held.part.stop + _KEPT_BEHIND <= start
                or held in surplus
            ]
            self._held = [held for held in self._held if held not in dropped]
        for held in dropped:
            self._drop(held)

    def _drop(self, held: _Held) -> None:
        held.part.fail(Closing("nobody reads on"))
        self._means.budget.release(held.part.size)

    def _fill(self, part: Part) -> None:
        """Fetch a part; whatever goes wrong goes to those who wait for it."""
        with _failing(part):
            body = self._means.ranges.fetch(self.content, part.start, part.stop, part.append)
            if body is not None:
                self._spool(body, part)

    def _spool(self, body: Body, part: Part) -> None:
        """Keep the whole content as it streams in, in place of `part`, unless that is done already."""
        try:
            whole = Part(0, self.content.size, FileBuffer())
        except OSError:
            body.close()
            raise
        with self._lock:
            is_first = not self._closed and self._whole is None
            if is_first:
                self._whole = whole
        part.fail(_Spooling("the server knows no ranges"))
        if not is_first:
            body.close()
            return
        with _failing(whole):
            self._means.ranges.fetch(self.content, whole.start, whole.stop, whole.append, body)


@contextmanager
def _failing(part: Part) -> Iterator[None]:
    try:
        yield
    except EmpiricalError as error:
        part.fail(error)
    except OSError as error:
        part.fail(SpoolFailed(f"no room for a file from a server without ranges: {error.strerror}"))
    except Exception:
        # The executor would keep it to itself, and the readers would wait until their deadline.
        log.exception("a fetch failed in a way that it should not")
        part.fail(EmpiricalError("an internal error; the log has more"))
