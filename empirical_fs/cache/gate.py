"""Keeps threads away from a disk that does not answer, as a network file system whose server is gone.

A system call that hangs cannot be ended. But no other thread joins it, who waits for its outcome is told, and
when it ends, the disk is used again.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from empirical_fs.cache.bounds import Space
from empirical_fs.cache.closer import Closer
from empirical_fs.cache.disk_io import Io

_READ_SECONDS = 1.0
"""Seconds after which a call that only reads shows that the disk does not answer."""
_CHANGE_SECONDS = 10.0
"""The same of a call that changes something: a busy disk may let it wait for all that was written before."""
_TOLD_SECONDS = 5.0
"""After this time the user is told; a disk that is only slow is not worth a line."""

_Result = TypeVar("_Result")
After = Callable[[float, Callable[[], object]], object]
"""Calls a function in that many seconds."""

log = logging.getLogger(__name__)


class StuckDisk(OSError):
    """An earlier call has not ended for long, so this one was not made."""

    def __init__(self) -> None:
        """Say so in the words of a system error."""
        super().__init__(errno.ETIMEDOUT, "the folder does not answer")


class Gate:
    """Lets calls to one disk pass as long as none hangs.

    The lock guards the calls, those who are told, and whether the gate is closed; nobody is called under it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a call; `clock` returns seconds. Until `start`, only callers notice what hangs."""
        self._clock = clock
        self._after: After | None = None
        self._name = "of the cache"
        self._lock = threading.Lock()
        self._calls: dict[object, tuple[float, float]] = {}
        """When each call began, and when it counts as hanging."""
        self._told: dict[object, Callable[[], object]] = {}
        self._is_closed = self._is_alarmed = self._has_told = False

    @property
    def is_closed(self) -> bool:
        """Whether the disk is left alone, as it does not answer."""
        return self._is_closed

    def start(self, after: After, name: str) -> None:
        """From now on, look by `after` whether calls hang; `name` is the folder's in the log."""
        self._after, self._name = after, name

    def call(self, work: Callable[[], _Result], seconds: float = _READ_SECONDS) -> _Result:
        """Return what `work`, a system call, returns; after `seconds` it counts as hanging.

        Raises:
            StuckDisk: another one hangs.
            OSError: raised by `work`.
        """
        token, now = object(), self._clock()
        with self._lock:
            if not self._is_closed and any(until < now for _, until in self._calls.values()):
                self._is_closed = True
            if self._is_closed:
                raise StuckDisk
            self._calls[token] = now, now + seconds
            is_first, self._is_alarmed = not self._is_alarmed, True
        if is_first:
            self._look_later(_READ_SECONDS)
        try:
            return work()
        finally:
            self._ended(token)

    @contextmanager
    def telling(self, stuck: Callable[[], object]) -> Iterator[None]:
        """Call `stuck`, which must neither raise nor block, if the disk stops to answer in the context."""
        token = object()
        with self._lock:
            self._told[token] = stuck
        try:
            yield
        finally:
            with self._lock:
                self._told.pop(token, None)

    def _ended(self, token: object) -> None:
        with self._lock:
            del self._calls[token]
            if not self._is_closed or any(until < self._clock() for _, until in self._calls.values()):
                return
            self._is_closed = False
            had_told, self._has_told = self._has_told, False
        if had_told:
            log.warning("the folder %s answers again, and is used", self._name)

    def _look_later(self, seconds: float) -> None:
        if self._after is not None:
            self._after(seconds, self._look)
        else:
            self._is_alarmed = False

    def _look(self) -> None:
        """Close the gate if a call hangs; look again as long as there are calls."""
        now = self._clock()
        with self._lock:
            late = [since for since, until in self._calls.values() if until <= now]
            told = list(self._told.values()) if late else []
            self._is_closed = self._is_closed or bool(late)
            is_news = bool(late) and not self._has_told and now - min(late) >= _TOLD_SECONDS
            self._has_told = self._has_told or is_news
            self._is_alarmed = bool(self._calls)
        for each in told:
            each()
        if is_news:
            log.warning("the folder %s does not answer; until it does, files are read without it", self._name)
        if self._is_alarmed:
            self._look_later(_READ_SECONDS)


class GatedIo(Io):
    """The system calls through a gate."""

    def __init__(self, io: Io, gate: Gate, closer: Closer) -> None:
        """Call `io` where `gate` lets pass; `closer` closes."""
        self._io = io
        self._call = gate.call
        self._gate = gate
        self._closer = closer

    def open(self, path: Path, *, writable: bool = True) -> int:
        """As `Io`."""
        return self._call(lambda: self._io.open(path, writable=writable))

    def create(self, path: Path) -> int:
        """As `Io`."""
        return self._call(lambda: self._io.create(path), _CHANGE_SECONDS)

    def close(self, descriptor: int) -> None:
        """As `Io`."""
        self._call(lambda: self._io.close(descriptor))

    def leave(self, descriptor: int) -> None:
        """Have it closed soon, by another thread."""
        self._closer.close(descriptor)

    def read(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        """As `Io`."""
        return self._call(lambda: self._io.read(descriptor, buffers, offset))

    def read_from_memory(
        self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int
    ) -> int:
        """As `Io`; 0 if the disk does not answer."""
        return 0 if self._gate.is_closed else self._io.read_from_memory(descriptor, buffers, offset)

    def read_ahead(self, descriptor: int, offset: int, size: int) -> None:
        """As `Io`; without effect if the disk does not answer."""
        if not self._gate.is_closed:
            self._call(lambda: self._io.read_ahead(descriptor, offset, size))

    def write(self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
        """As `Io`. Only one thread writes, and may wait as long as the disk likes."""
        return self._call(lambda: self._io.write(descriptor, buffers, offset), float("inf"))

    def truncate(self, descriptor: int, size: int) -> None:
        """As `Io`."""
        self._call(lambda: self._io.truncate(descriptor, size), _CHANGE_SECONDS)

    def touch(self, descriptor: int) -> None:
        """As `Io`."""
        self._call(lambda: self._io.touch(descriptor), _CHANGE_SECONDS)

    def status_of(self, descriptor: int) -> os.stat_result:
        """As `Io`."""
        return self._call(lambda: self._io.status_of(descriptor))

    def status(self, path: Path) -> os.stat_result:
        """As `Io`."""
        return self._call(lambda: self._io.status(path))

    def make_folder(self, path: Path) -> None:
        """As `Io`."""
        self._call(lambda: self._io.make_folder(path), _CHANGE_SECONDS)

    def remove_folder(self, path: Path) -> None:
        """As `Io`."""
        self._call(lambda: self._io.remove_folder(path), _CHANGE_SECONDS)

    def unlink(self, path: Path) -> None:
        """As `Io`."""
        self._call(lambda: self._io.unlink(path), _CHANGE_SECONDS)

    def link(self, path: Path, name: Path) -> None:
        """As `Io`."""
        self._call(lambda: self._io.link(path, name), _CHANGE_SECONDS)

    def rename(self, path: Path, name: Path) -> None:
        """As `Io`."""
        self._call(lambda: self._io.rename(path, name), _CHANGE_SECONDS)

    def names(self, path: Path) -> list[str]:
        """As `Io`."""
        return self._call(lambda: self._io.names(path))

    def files(self, path: Path | str) -> list[tuple[str, os.stat_result]]:
        """As `Io`."""
        return self._call(lambda: self._io.files(path), _CHANGE_SECONDS)

    def space(self, path: Path) -> Space:
        """As `Io`."""
        return self._call(lambda: self._io.space(path))
