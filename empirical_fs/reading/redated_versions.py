"""Finds out which files on disk were only renamed or re-dated, so that they can be read offline, too.

The API dates a resource anew when its name or description changes. Only the store's ETag shows that its bytes
are those that are on disk, and offline nobody can ask for that.
"""

import threading
from collections.abc import Callable, Iterable

from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import LAG_SECONDS
from empirical_fs.reading.young_versions import Listed
from empirical_fs.work.jobs import Job
from empirical_fs.work.timer import Timer

Confirm = Callable[[Resource, Callable[[], object]], object]
"""Asks the store about a resource, and calls the function when it has answered, or will not."""

_GAP_SECONDS = 0.05
"""The least time between two questions to the store."""
_ANSWER_SECONDS = 60.0
"""How long to wait for an answer before the next question."""
_WAITING_MAX = 4096
"""Files beyond that are asked about when they are read."""


class RedatedVersions:
    """Asks the store about listed files that have changed, once it cannot lag behind the listing.

    The lock guards what is to be asked about.
    """

    def __init__(
        self,
        listed: Listed,
        may_have: Callable[[Resource], bool],
        confirm: Confirm,
        timer: Timer,
        clock: Callable[[], float],
    ) -> None:
        """Ask nothing yet.

        Args:
            listed: returns what the listing has now.
            may_have: looks whether the disk may have a resource that it knows by another date.
            confirm: asks the store about a resource.
            timer: tells when the next question is due, by `clock`.
            clock: returns seconds.
        """
        self._listed = listed
        self._may_have = may_have
        self._confirm = confirm
        self._timer = timer
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[int, float] = {}
        """When to ask about each resource, by id; the first one comes first."""
        self._is_alarmed = False
        self._closing = threading.Event()
        self._job = Job("looking at renamed files", self._work, patience=float("inf"))

    def relisted(self, ids: Iterable[int]) -> None:
        """Note that the listing has changed for these ids; never blocks."""
        at = self._clock() + LAG_SECONDS
        with self._lock:
            for each in ids:
                self._due.pop(each, None)
                self._due[each] = at
            while len(self._due) > _WAITING_MAX:
                del self._due[next(iter(self._due))]
        self._see_to_alarm()

    def close(self) -> None:
        """Ask nothing more."""
        self._closing.set()

    def _see_to_alarm(self) -> None:
        with self._lock:
            if not self._due or self._is_alarmed:
                return
            self._is_alarmed = True
            seconds = next(iter(self._due.values())) - self._clock()
        self._timer.after(max(seconds, 0.0), self._ring)

    def _ring(self) -> None:
        with self._lock:
            self._is_alarmed = False
        self._job.ask()

    def _work(self) -> None:
        while (resource_id := self._next()) is not None and not self._closing.is_set():
            resource = self._listed(resource_id)
            if resource is None or not self._may_have(resource):
                continue
            is_over = threading.Event()
            self._confirm(resource, is_over.set)
            is_over.wait(_ANSWER_SECONDS)
            self._closing.wait(_GAP_SECONDS)
        self._see_to_alarm()

    def _next(self) -> int | None:
        """The next resource to ask about now."""
        with self._lock:
            resource_id = next(iter(self._due), None)
            if resource_id is None or self._due[resource_id] > self._clock():
                return None
            del self._due[resource_id]
            return resource_id
