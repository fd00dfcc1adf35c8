"""Finds the files of the disk cache that are whole and verified: the kernel may read them by itself."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial

from empirical_fs.cache.cached import Cached
from empirical_fs.errors import NoThread
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk
from empirical_fs.work.jobs import Job
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Timer

OnFound = Callable[[int | None], object]
"""Called once, by any thread: with the descriptor of a file, which is open as long as its content is open; or
with None."""

_THREADS = 2
_PATIENCE = 1.0
"""Seconds that an open waits for the disk."""
_SLOW_SECONDS = 5.0
"""Seconds for which a disk that took longer is not asked."""
_LEAST = 128 * 2**10
"""Files of up to this many bytes are not looked for: one read brings all of it, which takes less time."""
_AT_ONCE_MAX = 16 * 2**20
"""Bytes of a file that is verified while its open waits: a few milliseconds, if the file is in memory."""
_BACKGROUND_MAX = 8 * 2**30
"""Bytes of a file that is verified once it is closed: a program may want only a little of a larger one."""
_QUEUE_MAX = 64


class When(Enum):
    """At what time a complete file is verified."""

    AT_ONCE = auto()
    IN_BACKGROUND = auto()
    """Once it is closed; what programs have read by then is verified already."""
    BY_READS = auto()
    """Never by itself: only the reads of programs verify it."""


def when(size: int) -> When:
    """When to verify a complete file of `size` bytes. Policy."""
    if size <= _AT_ONCE_MAX:
        return When.AT_ONCE
    return When.IN_BACKGROUND if size <= _BACKGROUND_MAX else When.BY_READS


class WholeFiles:
    """The files of the cache from which the kernel may read.

    The lock guards the files that are to be verified, now or once they are closed, and the slow time.
    An open never waits long for a disk: after a moment it goes on without, and so do those that follow.
    """

    def __init__(self, disk: Disk, timer: Timer, clock: Callable[[], float] = time.monotonic) -> None:
        """Look on `disk`; `timer` ends a look that takes too long; `clock` returns seconds."""
        self._disk = disk
        self._timer = timer
        self._clock = clock
        self._pool = Pool(_THREADS)
        self._verifying = Job("verifying cached files", self._verify, patience=float("inf"))
        self._lock = threading.Lock()
        self._open: dict[Content, Cached] = {}
        self._queue: dict[Cached, None] = {}
        self._slow_until = float("-inf")
        self._is_closed = False

    def may_have(self, content: Content) -> bool:
        """Whether it is worth looking for the file of a content."""
        return content.size > _LEAST and self._clock() >= self._slow_until

    def find(self, content: Content, on_found: OnFound) -> None:
        """Call `on_found` with the file of a content that is open, now or in a moment."""
        look = _Look(on_found)
        alarm = self._timer.after(_PATIENCE, partial(self._take_too_long, look))

        def work() -> None:
            # In a queue behind a slow disk, the look may be over before it begins.
            found = None
            if not look.is_over:
                with suppress(OSError):
                    found = self._look(content)
            alarm.cancel()
            if not look.end(found):
                # It may even be closed again.
                self.closed(content)

        try:
            self._pool.submit(work)
        except NoThread:
            alarm.cancel()
            look.end(None)

    def closed(self, content: Content) -> None:
        """Note that a handle of a content is closed: what is not verified of its file is verified now."""
        if content not in self._open:
            return
        with self._lock:
            cached = self._open.pop(content, None)
            if cached is None:
                return
            is_taken = not self._is_closed and cached not in self._queue and len(self._queue) < _QUEUE_MAX
            if is_taken:
                self._queue[cached] = None
        if not is_taken:
            cached.close()
        # Also if it was in the queue already: then the system had no thread for it.
        self._verifying.ask()

    def close(self) -> None:
        """End the background work."""
        self._pool.close()
        with self._lock:
            self._is_closed = True
            left = [*self._queue, *self._open.values()]
            self._queue, self._open = {}, {}
        for each in left:
            each.close()

    def _take_too_long(self, look: "_Look") -> None:
        if not look.is_over:
            with self._lock:
                self._slow_until = self._clock() + _SLOW_SECONDS
            look.end(None)

    def _look(self, content: Content) -> int | None:
        with self._disk.of(content) as on_disk:
            cached = None if on_disk is None else on_disk.borrowed()
        if cached is None:
            return None
        try:
            if not cached.is_verified and cached.is_complete:
                how = when(cached.size)
                if how is When.AT_ONCE:
                    cached.verify()
                elif how is When.IN_BACKGROUND:
                    self._verify_later(content, cached)
            found = cached.fileno()
            if found is not None:
                cached.touch()
            return found
        finally:
            cached.close()

    def _verify_later(self, content: Content, cached: Cached) -> None:
        with self._lock:
            is_taken = not self._is_closed and content not in self._open
            if is_taken:
                self._open[content] = cached
                cached.retain()

    def _verify(self) -> None:
        while not self._is_closed:
            with self._lock:
                cached = next(iter(self._queue), None)
                if cached is None:
                    return
                del self._queue[cached]
            try:
                cached.verify(lambda: not self._is_closed)
            finally:
                cached.close()


class _Look:
    """A look on the disk that ends once: with what it found, or because it takes too long."""

    def __init__(self, on_found: OnFound) -> None:
        # One operation on the list, which Python serialises, decides who ends it.
        self._end = [on_found]

    @property
    def is_over(self) -> bool:
        return not self._end

    def end(self, found: int | None) -> bool:
        """Tell what was found; False if it has ended already."""
        try:
            on_found = self._end.pop()
        except IndexError:
            return False
        on_found(found)
        return True
