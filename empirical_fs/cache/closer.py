"""Closes files in a thread of its own: on a network file system that waits for its server."""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol


class Asked(Protocol):
    """A job that is done when somebody asks."""

    def ask(self) -> bool:
        """Have it done; False if that is not possible now."""


class Closer:
    """Closes what is handed over, in order."""

    def __init__(
        self,
        close: Callable[[int], object],
        make_job: Callable[[str, Callable[[], object]], Asked],
        linger: float,
    ) -> None:
        """Close with `close`, in the job that `make_job` makes; it waits `linger` seconds for more."""
        self._close = close
        self._linger = linger
        self._queue = SimpleQueue[int]()
        self._job = make_job("closing files of the cache", self._work)

    def close(self, descriptor: int) -> None:
        """Have a file closed; whatever the disk says to that is not told."""
        self._queue.put(descriptor)
        if not self._job.ask():
            self._close_all()

    def _work(self) -> None:
        while True:
            try:
                descriptor = (
                    self._queue.get(timeout=self._linger) if self._linger else self._queue.get_nowait()
                )
            except Empty:
                return
            with suppress(OSError):
                self._close(descriptor)

    def _close_all(self) -> None:
        with suppress(Empty):
            while True:
                descriptor = self._queue.get_nowait()
                with suppress(OSError):
                    self._close(descriptor)
