"""When the listing is fetched anew, and who waits for that."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from empirical_fs.clock import aging_clock
from empirical_fs.errors import EmpiricalError, NoThread
from empirical_fs.work.jobs import Job
from empirical_fs.work.progress import Progress

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_HANGS_SECONDS = 600.0
"""Without a page for so long, which is more than any deadline of a request, a refresh hangs."""

log = logging.getLogger(__name__)

Refresh = Callable[[Progress], float]
"""Fetches the listing and has it take the place of the last one; when it was asked for, on the aging clock.

It may raise EmpiricalError.
"""


@dataclass(eq=False, slots=True)
class Reload:
    """A refresh that somebody asked for."""

    outcome: Future[None] = field(default_factory=Future)
    """Ends when the listing serves, or with the EmpiricalError for which it does not."""
    done: int = 0
    """The pages fetched so far."""
    pages: int = 0
    """The pages in all; 0 while that is not known."""


class Refreshing:
    """Refreshes the listing when it is old and somebody looks, or when somebody says so.

    The lock guards when the next refresh is due, who asked for one, and how the last one ended.
    """

    def __init__(self, refresh: Refresh, max_age: float, on_over: Callable[[], object]) -> None:
        """Nothing is due before `loaded`.

        Args:
            refresh: does the work, one at a time.
            max_age: seconds after which a listing is old.
            on_over: told after each refresh, and where there was nothing to do.
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
        """Why the last refresh failed; empty if it did not."""
        return self._failure

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody asked for a refresh and waits."""
        return bool(self._reloads or self._under_way)

    def loaded(self, asked_at: float) -> None:
        """There is a listing now, which was asked for at that moment of the aging clock."""
        self._succeeded(asked_at)

    def look(self) -> None:
        """Somebody looks at the directory: an old listing is refreshed in the background."""
        if aging_clock() >= self._due_at and not self._job.is_busy:
            self._job.ask()

    def ask(self) -> bool:
        """Have whatever is due done now, and `on_over` told; False if nobody can."""
        return self._job.ask()

    def make_due(self) -> None:
        """Have it refreshed when somebody looks next: it is wrong, or may be."""
        with self._lock:
            self._is_distrusted = True
            self._due_at = min(self._due_at, aging_clock())

    def reload(self) -> Reload:
        """Begin a refresh from now on: one that is under way may not see what has just changed.

        Raises:
            NoThread: nobody can do it.
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
            # Until this succeeds, the next try comes after a pause, however this one fails.
            self._due_at = aging_clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._is_distrusted = False

    def _succeeded(self, asked_at: float) -> None:
        with self._lock:
            # What the store disagreed with meanwhile may still be in this listing.
            self._due_at = aging_clock() if self._is_distrusted else asked_at + self._max_age
            self._pause = _FIRST_PAUSE
            self._failure = ""

    def _failed(self, error: EmpiricalError) -> None:
        if str(error) != self._failure:
            log.warning("the listing could not be refreshed, the last one goes on: %s", error)
        self._failure = str(error)
