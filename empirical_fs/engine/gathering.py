"""Reads ranges of open files for a caller that waits for them: several at once, in order."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from empirical_fs.errors import DeadlinePassed, EmpiricalError, NoMemory
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.pending_read import Cancel, nothing

PIECE = 2**20
"""Bytes of one read: the kernel's own reads of a mount have as many."""

_SOON_SECONDS = 1.0
"""Most reads end within this time."""
_MANY = 4
"""With at least so many reads under way, the first ones by this share of them are waited for together."""
_LOOKS = 10
"""How often a wait looks whether bytes arrive, in the time after which it fails."""


class Extent(NamedTuple):
    """The bytes of an open file from `start` to before `stop`, both within the file."""

    source: Handle
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How a caller waits."""

    at_once: int
    """The most reads under way."""
    memory: int
    """The most bytes of them all; one read may have more."""
    patience: float
    """Seconds without any byte after which a read fails."""
    moved: Callable[[], int]
    """Returns a number that grows when bytes arrive."""


class _Piece:
    """One read. The lock is released once it has ended."""

    __slots__ = ("_cancel", "_ended", "_extent", "is_last", "outcome")

    def __init__(self, extent: Extent, *, is_last: bool) -> None:
        self._extent = extent
        self.is_last = is_last
        self.outcome: bytes | EmpiricalError | None = None
        self._ended = threading.Lock()
        self._cancel: Cancel = nothing

    @property
    def size(self) -> int:
        return self._extent.stop - self._extent.start

    def begin(self) -> None:
        source, start = self._extent.source, self._extent.start
        taken = source.take_ready(start, self.size)
        if taken is not None:
            lender, pieces = taken
            try:
                self.outcome = b"".join(pieces)
            finally:
                lender.give_back()
            return
        self._ended.acquire()
        self._cancel = source.read(start, self.size, self)

    def give(self, pieces: list[memoryview]) -> None:
        try:
            self.outcome = b"".join(pieces)
        except MemoryError:
            self.outcome = NoMemory()
        self._ended.release()

    def fail(self, error: EmpiricalError) -> None:
        self.outcome = error
        self._ended.release()

    def wait(self, limits: Limits) -> bytes | EmpiricalError:
        """Wait for the end; a read ends by itself if its own transfer stalls."""
        # What has moved is added up over all transfers, so it is asked for only if a read takes long.
        if self.outcome is None and not self._ended.acquire(timeout=min(_SOON_SECONDS, limits.patience)):
            self._wait_long(limits)
        if self.outcome is None:
            raise AssertionError("a read has ended without an outcome")
        return self.outcome

    def _wait_long(self, limits: Limits) -> None:
        moved, since = limits.moved(), time.monotonic()
        while not self._ended.acquire(timeout=limits.patience / _LOOKS):
            before, moved, now = moved, limits.moved(), time.monotonic()
            if moved != before:
                since = now
            elif now - since >= limits.patience:
                self.cancel()
                self.outcome = DeadlinePassed(f"no byte has arrived for {limits.patience:g} seconds")
                return

    def cancel(self) -> None:
        self._cancel()


def gather(extents: Iterable[Extent], limits: Limits) -> Generator[bytes | EmpiricalError, None, None]:
    """The bytes of each extent, in order, or why they could not be read.

    Extents are taken one after the other as their turn comes. What is still under way is cancelled when the
    generator is closed.

    Raises:
        EmpiricalError: raised by `extents`.
    """
    pieces = _pieces(extents)
    under_way = deque[_Piece]()
    held = 0
    found: list[bytes] = []
    failure: EmpiricalError | None = None
    is_more = True
    try:
        while True:
            while is_more and len(under_way) < limits.at_once and (not under_way or held < limits.memory):
                piece = next(pieces, None)
                if piece is None:
                    is_more = False
                    break
                under_way.append(piece)
                held += piece.size
                piece.begin()
            if not under_way:
                return
            piece = under_way[0]
            if piece.outcome is None and len(under_way) >= _MANY:
                # To wake for each would cost more than the rest of a small read.
                under_way[len(under_way) // _MANY].wait(limits)
            outcome = piece.wait(limits)
            under_way.popleft()
            held -= piece.size
            if isinstance(outcome, bytes):
                found.append(outcome)
            else:
                failure = failure or outcome
            if piece.is_last:
                yield failure if failure is not None else found[0] if len(found) == 1 else b"".join(found)
                found, failure = [], None
    finally:
        for piece in under_way:
            with suppress(EmpiricalError):
                piece.cancel()


def _pieces(extents: Iterable[Extent]) -> Iterator[_Piece]:
    for extent in extents:
        at = extent.start
        while extent.stop - at > PIECE:
            yield _Piece(Extent(extent.source, at, at + PIECE), is_last=False)
            at += PIECE
        yield _Piece(Extent(extent.source, at, extent.stop), is_last=True)
