"""Reports the state of a mount to the commands that ask for it, and reloads its listing."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from typing import Any, NamedTuple

from empirical_fs import __version__
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.refresh import Reload
from empirical_fs.control.protocol import Command
from empirical_fs.errors import EmpiricalError, NoThread, Trouble
from empirical_fs.reading.budget import Budget
from empirical_fs.settings.settings import Settings
from empirical_fs.statistics import KINDS, Statistics

Lost = Callable[[], Mapping[str, float]]
"""Returns the hosts that are out of reach, each with the seconds since then."""

_RELOAD_SECONDS = 0.5
"""How long one answer about a reload waits for its end: most reloads are done by then."""


class Reach(NamedTuple):
    """What is out of reach."""

    api: Lost
    store: Lost


class Status:
    """Answers the commands of `control` for one mount."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it reports on
        self,
        settings: Settings,
        catalog: Catalog,
        statistics: Statistics,
        budget: Budget,
        reach: Reach,
        cache: Callable[[], dict[str, Any] | None] = lambda: None,
        passthrough: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        """Report on these parts of the mount.

        Args:
            settings, catalog, statistics, budget, reach: parts of the mount.
            cache: returns the state of the cache on disk; None if it is off.
            passthrough: returns whether the kernel reads cached files by itself.
        """
        self._settings = settings
        self._catalog = catalog
        self._statistics = statistics
        self._budget = budget
        self._reach = reach
        self._cache = cache
        self._passthrough = passthrough
        self._mounted_at = time.monotonic()
        self._reload_asked_for: Reload | None = None

    @property
    def commands(self) -> Mapping[int, Callable[[bytes], dict[str, Any]]]:
        """The function that answers each command."""
        return {
            Command.STATUS: lambda _: self.report(),
            Command.RELOAD: lambda _: self._reload(),
            Command.RELOADING: lambda _: self._reloading(),
        }

    def report(self) -> dict[str, Any]:
        """The state now: times in seconds, sizes in bytes."""
        snapshot, counts = self._catalog.latest, self._statistics.counts()
        known, away = self._catalog.known, self._reach.api()
        return {
            "mountpoint": str(self._settings.mountpoint),
            "version": __version__,
            "pid": os.getpid(),
            "api_url": str(self._settings.api_url),
            "mounted_for": round(time.monotonic() - self._mounted_at, 1),
            "resources": len(snapshot.by_name),
            "total_size": snapshot.size,
            "listing_age": round(self._catalog.age, 1),
            "listing_from_disk": self._catalog.is_restored,
            "offline": self._catalog.is_restored or bool(away),
            "listing_failure": self._catalog.failure or None,
            "failed_in_a_row": counts.failed_in_a_row,
            "failing_for": round(counts.failing_for, 1),
            "unreadable_entries": known.unreadable,
            "unreadable_entries_kept": known.kept,
            "entries_not_listed": known.gap,
            "out_of_reach": {
                host: round(since, 1) for host, since in (*away.items(), *self._reach.store().items())
            },
            "throughput": round(counts.bytes_per_second),
            "bytes_fetched": counts.bytes_fetched,
            "requests_in_flight": counts.requests_in_flight,
            "memory_held": self._budget.held,
            "memory_budget": self._settings.memory,
            "reads": counts.reads,
            "reads_from_memory": counts.reads_from_memory,
            "bytes_read": counts.bytes_read,
            "read_waits": {
                "count": counts.read_waits.count,
                "seconds": round(counts.read_waits.seconds, 3),
            },
            "requests": {
                kind: {outcome: count for (of, outcome), count in counts.requests.items() if of == kind}
                for kind in KINDS
            },
            "urls_signed": counts.urls_signed,
            "errors": counts.errors,
            "cache": self._cache(),
            "passthrough": self._passthrough(),
            "settings": self._settings.sources,
        }

    def _reload(self) -> dict[str, Any]:
        """Start to fetch the listing. If several commands ask for that, all wait for the last fetch."""
        try:
            self._reload_asked_for = self._catalog.reload()
        except NoThread as error:
            return {"error": error.what, "advice": error.advice}
        return self._reloading()

    def _reloading(self) -> dict[str, Any]:
        """The progress of the reload after a moment; once it has ended, why it failed, if it did."""
        asked = self._reload_asked_for
        if asked is None:
            return {"ended": True}
        wait([asked.outcome], _RELOAD_SECONDS)
        if not asked.outcome.done():
            return {"ended": False, "done": asked.done, "pages": asked.pages}
        failure = asked.outcome.exception()
        if failure is not None:
            trouble = failure.trouble if isinstance(failure, EmpiricalError) else Trouble(str(failure))
            return {"error": f"the listing could not be fetched: {trouble.what}", "advice": trouble.advice}
        return {"ended": True}
