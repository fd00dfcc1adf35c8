"""One content being read: which bytes are here or on their way, and which to fetch."""

import threading
from dataclasses import dataclass

from empirical_fs.clock import Deadline
from empirical_fs.errors import Closing, ContentChanged, EmpiricalError, ResourceGone
from empirical_fs.reading.budget import Account, Budget
from empirical_fs.reading.buffers import Blocks, FileBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetcher import Fetcher
from empirical_fs.reading.part import Part
from empirical_fs.reading.parts import Parts
from empirical_fs.reading.readahead import Conditions, Range, ReadAhead
from empirical_fs.reading.store import Body
from empirical_fs.statistics import Statistics

_CHECKPOINT_MIN, _CHECKPOINT_MAX = 512 * 2**10, 2 * 2**20
"""Bytes of a part that are read without asking the policy: half of it, within these bounds."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all readers share."""

    fetcher: Fetcher
    budget: Budget
    blocks: Blocks
    statistics: Statistics


class Cursor:
    """Where one handle reads. Its reader's lock guards it, but for the shortcut."""

    def __init__(self, size: int) -> None:
        """Begin in a content of `size` bytes."""
        self.policy = ReadAhead(size)
        self.waited = False
        self._shortcut: tuple[Part, int] | None = None

    def read_ready(self, view: memoryview, start: int) -> bool:
        """Fill `view` from the part that was read last; not where the policy is to hear of the read.

        Takes no lock but the part's: most reads of a stream end here.
        """
        shortcut = self._shortcut
        if shortcut is None or start + len(view) > shortcut[1]:
            return False
        return shortcut[0].read_ready(view, start)

    def allow_shortcut(self, part: Part, stop: int) -> None:
        """Serve the reads after `stop` from `part`, until it is time to plan."""
        self._shortcut = (part, stop + min(max(part.size // 2, _CHECKPOINT_MIN), _CHECKPOINT_MAX))


class _Spooling(EmpiricalError):
    """The part will not come: the whole content is being spooled instead."""


class Reader:
    """All handles on one content read through one of these, so that nothing is fetched twice.

    The lock guards the parts, the cursors of the handles and whether this is closed; it is never held while
    bytes are waited for.
    """

    def __init__(self, content: Content, means: Means) -> None:
        """Read `content`; nothing is fetched before the first read."""
        self.content = content
        self._means = means
        self._lock = threading.Lock()
        self._account = Account(means.budget, self._shrink)
        self._parts = Parts[Cursor](self._account, means.blocks)
        self._whole: Part | None = None
        self._download_failure: EmpiricalError | None = None
        self._closed = False

    def read_ready(self, cursor: Cursor, view: memoryview, start: int) -> bool:
        """Fill `view` with the bytes from `start` if they are at hand, without waiting, and say so."""
        if self.content.is_over or not cursor.read_ready(view, start):
            return False
        self._means.statistics.read(waited=False)
        return True

    def read_into(self, cursor: Cursor, view: memoryview, start: int, deadline: Deadline) -> int:
        """Fill `view` with the bytes from `start`; the number of bytes, fewer only at the end of the content.

        `cursor` is that of the handle that reads.

        Raises:
            DeadlinePassed: not in time.
            ContentChanged: the content is no longer there.
            EmpiricalError: it could not be read.
        """
        stop = min(start + len(view), self.content.size)
        if self.content.is_over:
            raise ContentChanged("the file changed since it was opened")
        if start >= stop:
            return 0
        view = view[: stop - start]
        needed, new = self._begin(cursor, Range(start, stop))
        is_ours = False
        while True:
            try:
                for part in needed:
                    begin, end = max(start, part.start), min(stop, part.stop)
                    part.read_into(view[begin - start : end - start], begin, deadline)
                self._means.statistics.read(waited=cursor.waited)
                return len(view)
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
                self._let_go(cursor, needed)
            needed, new = self._use(Range(start, stop))

    def fetch_ahead(self, cursor: Cursor) -> bool:
        """Begin to fetch the whole content for `cursor`, which is to read it; False without the memory."""
        with self._lock:
            parts = None
            if not self._closed:
                parts = self._parts.hold_ahead(cursor, Range(0, self.content.size))
            if parts is None:
                return False
            cursor.policy.expect_all()
        self._fetch_ahead({part: part.stop for part in parts})
        return True

    def leave(self, cursor: Cursor) -> None:
        """Drop what was fetched ahead of a handle that is closed."""
        with self._lock:
            self._parts.drop_of(cursor)

    def close(self) -> None:
        """Drop everything that is held and stop what is being fetched."""
        with self._lock:
            self._closed = True
            self._parts.clear()
            whole, self._whole = self._whole, None
        self._means.fetcher.forget(self.content)
        if whole is not None:
            whole.drop()

    def _begin(self, cursor: Cursor, read: Range) -> tuple[list[Part], list[Part]]:
        """Begin to fetch what a read needs, and what lies ahead of it."""
        ahead: dict[Part, int] = {}
        is_refused = False
        with self._lock:
            if not self._closed and self._whole is None:
                conditions = Conditions(
                    cursor.waited,
                    not self._parts.covers(read),
                    self._means.fetcher.connections,
                    self._account.share,
                    self._account.sharers,
                )
                for planned in cursor.policy.plan(read, conditions):
                    held = self._parts.hold_ahead(cursor, planned)
                    if held is None:
                        cursor.policy.refuse(planned)
                        is_refused = True
                        break
                    # What somebody else has of it would leave a hole in a request for more.
                    is_all = sum(part.size for part in held) == planned.size
                    ahead |= {part: planned.request_stop if is_all else part.stop for part in held}
            needed, new = self._cover(read)
            cursor.waited = any(not part.has(min(read.stop, part.stop)) for part in needed)
            cursor.allow_shortcut(needed[-1], read.stop)
        self._fetch(needed)
        self._fetch_ahead({part: stop for part, stop in ahead.items() if part not in needed})
        if is_refused:
            self._account.press()
        return needed, [*new, *ahead]

    def _use(self, read: Range) -> tuple[list[Part], list[Part]]:
        with self._lock:
            needed, new = self._cover(read)
        self._fetch(needed)
        return needed, new

    def _cover(self, read: Range) -> tuple[list[Part], list[Part]]:
        """All parts that a read needs, in order, and those of them that are new. The lock is held."""
        if self._closed:
            raise Closing("the file is closed")
        if self._whole is not None and self._whole.failure is not None:
            self._download_failure = self._whole.failure
            self._whole.drop()
            self._whole = None
        if self._whole is not None:
            return [self._whole], []
        return self._parts.use(read)

    def _let_go(self, cursor: Cursor, needed: list[Part]) -> None:
        with self._lock:
            self._parts.let_go(needed)
            self._parts.drop_unwanted(cursor, cursor.policy.wants)

    def _shrink(self, size: int) -> None:
        with self._lock:
            self._parts.shrink(size)

    def _fetch(self, parts: list[Part]) -> None:
        for part in parts:
            if not part.is_begun:
                self._means.fetcher.fetch(self.content, part, self._spool)

    def _fetch_ahead(self, parts: dict[Part, int]) -> None:
        """Fetch parts, each by a request that ends where it says."""
        for part, request_stop in parts.items():
            self._means.fetcher.fetch_ahead(self.content, part, self._spool, request_stop)

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
        if is_first:
            self._means.fetcher.fetch_whole(self.content, whole, body)
        else:
            whole.drop()
            body.close()
