"""Decides when the listing is fetched again, and wakes those that wait for it."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from empirical_fs.clock import aging_clock
from empirical_fs.errors import EmpiricalError, NoThread, OutOfReach
from empirical_fs.work.jobs import Job
from empirical_fs.work.progress import Progress

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_HANGS_SECONDS = 600.0
"""A refresh that gets no page for this long counts as hanging: it is more than any request's deadline."""

log = logging.getLogger(__name__)

Refresh = Callable[[Progress], float]
"""Fetches the listing and replaces the last one; returns the time of the request on the aging clock.

It may raise EmpiricalError.
"""


@dataclass(eq=False, slots=True)
class Reload:
    """A refresh that a user asked for."""

    outcome: Future[None] = field(default_factory=Future)
    """Done when the new listing is in use; or holds the EmpiricalError for which the refresh failed."""
    done: int = 0
    """The pages fetched so far."""
    pages: int = 0
    """The number of pages in all; 0 while it is not known."""


class Refreshing:
    """Refreshes the listing on an access when it is old, and when a user asks for it.

    The lock guards the time of the next refresh, the pending reloads, and the outcome of the last refresh.
    """

    def __init__(self, refresh: Refresh, max_age: float, on_over: Callable[[], object]) -> None:
        """No refresh is due before `loaded` is called.

        Args:
            refresh: does the work; never called by two threads at once.
            max_age: seconds after which a listing is old.
            on_over: called after each refresh, also if there was nothing to do.
        """
        self._refresh = refresh
        self._max_age = max_age
        self._on_over = on_over
        self._lock = threading.Lock()
        self._job = Job("refresh", self._work, _HANGS_SECONDS)
        self._due_at = float("inf")
        self._pause = _FIRST_PAUSE
        self._is_distrusted = False
        self._reloads: list[Reload] = []
        self._under_way: list[Reload] = []
        self._failure = ""

    @property
    def failure(self) -> str:
        """Why the last refresh failed; empty if it succeeded."""
        return self._failure

    @property
    def is_waited_for(self) -> bool:
        """Whether a user who asked for a refresh is waiting."""
        return bool(self._reloads or self._under_way)

    def loaded(self, asked_at: float) -> None:
        """Record the first listing, which was requested at `asked_at` (aging clock)."""
        self._succeeded(asked_at)

    def restored(self, failure: str) -> None:
        """Record that a listing of an earlier mount is in use: a refresh is due at once.

        `failure` is why the first listing could not be fetched, if that was tried; it is not logged again.
        """
        with self._lock:
            self._due_at = aging_clock()
            self._failure = failure

    def handed_over(self) -> None:
        """Record that a listing is in use that another process fetched: no refresh is due before `expire`."""
        with self._lock:
            self._due_at = aging_clock() if self._is_distrusted else float("inf")
            self._failure = ""

    def expire(self) -> None:
        """Have a refresh be due if the listing was handed over; others expire by themselves."""
        with self._lock:
            if self._due_at == float("inf"):
                self._due_at = aging_clock()

    def look(self) -> None:
        """Start a refresh in the background if the listing is old; called on each access."""
        if aging_clock() >= self._due_at and not self._job.is_busy:
            self._job.ask()

    def ask(self) -> bool:
        """Start a refresh if one is due, and call `on_over` in any case; False if no thread can start."""
        return self._job.ask()

    def make_due(self) -> None:
        """Have the next access start a refresh, since the listing may be wrong."""
        with self._lock:
            self._is_distrusted = True
            self._due_at = min(self._due_at, aging_clock())

    def reload(self) -> Reload:
        """Start a new refresh: one that is under way may not see the latest changes.

        Raises:
            NoThread: no thread can be started.
        """
        asked = Reload()
        with self._lock:
            self._reloads.append(asked)
        if not self._job.ask():
            with self._lock:
                self._reloads.remove(asked)
            raise NoThread
        return asked

    def _work(self) -> None:
        """Run one refresh if it is due or was asked for, and finish the reloads that were pending."""
        with self._lock:
            asked, self._reloads = self._reloads, []
            is_due = aging_clock() >= self._due_at
            self._under_way = asked
        failure: BaseException | None = None
        try:
            if asked or is_due:
                self._begun()
                self._succeeded(self._refresh(self._progress))
        except BaseException as error:
            failure = error
            if not isinstance(error, EmpiricalError):
                raise
            self._failed(error)
        finally:
            for each in asked:
                if failure is None:
                    each.outcome.set_result(None)
                else:
                    each.outcome.set_exception(failure)
            self._on_over()

    def _progress(self, done: int, pages: int) -> None:
        self._job.moved()
        for each in self._under_way:
            each.done, each.pages = done, pages

    def _begun(self) -> None:
        with self._lock:
            # If this refresh fails in any way, the next one comes after a pause.
            self._due_at = aging_clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._is_distrusted = False

    def _succeeded(self, asked_at: float) -> None:
        with self._lock:
            # If the store disagreed during the refresh, this listing may be wrong, too: fetch another one.
            self._due_at = aging_clock() if self._is_distrusted else asked_at + self._max_age
            self._pause = _FIRST_PAUSE
            self._failure = ""

    def _failed(self, error: EmpiricalError) -> None:
        if isinstance(error, OutOfReach):
            # No request was sent, and that was logged when the outage began: try again soon.
            with self._lock:
                self._pause = _FIRST_PAUSE
                self._due_at = min(self._due_at, aging_clock() + _FIRST_PAUSE)
            self._failure = self._failure or str(error)
            return
        if str(error) != self._failure:
            log.warning("the listing could not be refreshed, so the last one stays in use: %s", error)
        self._failure = str(error)
