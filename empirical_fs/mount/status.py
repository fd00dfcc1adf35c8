"""The state of a mount, for programs and for people."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import wait
from typing import Any

from empirical_fs import __version__
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.refresh import Reload
from empirical_fs.control.protocol import Command
from empirical_fs.errors import NoThread
from empirical_fs.printing import printable
from empirical_fs.reading.budget import Budget
from empirical_fs.settings.settings import DEFAULT, Settings
from empirical_fs.statistics import Statistics

Lost = Callable[[], Mapping[str, float]]
"""The hosts that are out of reach, and since how many seconds."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_RELOAD_SECONDS = 0.5
"""Who asks for a reload waits so long for a first answer: most are done by then."""
_MINUTE, _HOUR = 60, 3600
_SHOWN = {"key_file": "key"}
"""Settings that are shown by another name."""
_NOT_SHOWN = "-"


class Status:
    """Answers the commands of `control` for one mount."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        statistics: Statistics,
        budget: Budget,
        lost: Iterable[Lost],
    ) -> None:
        """Tell of these."""
        self._settings = settings
        self._catalog = catalog
        self._statistics = statistics
        self._budget = budget
        self._lost = tuple(lost)
        self._mounted_at = time.monotonic()
        self._reload_asked_for: Reload | None = None

    @property
    def commands(self) -> Mapping[int, Callable[[], dict[str, Any]]]:
        """What answers each command."""
        return {
            Command.STATUS: self.report,
            Command.RELOAD: self._reload,
            Command.RELOADING: self._reloading,
        }

    def report(self) -> dict[str, Any]:
        """The state now; times in seconds, sizes in bytes."""
        snapshot, counts = self._catalog.latest, self._statistics.counts()
        known = self._catalog.known
        return {
            "mountpoint": str(self._settings.mountpoint),
            "version": __version__,
            "pid": os.getpid(),
            "api_url": str(self._settings.api_url),
            "mounted_for": round(time.monotonic() - self._mounted_at, 1),
            "resources": len(snapshot.by_name),
            "total_size": snapshot.size,
            "listing_age": round(self._catalog.age, 1),
            "listing_failure": self._catalog.failure or None,
            "unreadable_entries": known.unreadable,
            "unreadable_entries_kept": known.kept,
            "entries_not_listed": known.gap,
            "out_of_reach": {host: round(since, 1) for lost in self._lost for host, since in lost().items()},
            "throughput": round(counts.bytes_per_second),
            "bytes_fetched": counts.bytes_fetched,
            "requests_in_flight": counts.requests_in_flight,
            "memory_held": self._budget.held,
            "memory_budget": self._settings.memory,
            "reads": counts.reads,
            "reads_from_memory": counts.reads_from_memory,
            "urls_signed": counts.urls_signed,
            "errors": counts.errors,
            "settings": self._settings.sources,
        }

    def _reload(self) -> dict[str, Any]:
        """Begin to fetch the listing; of several who ask for that, all wait for the last one."""
        try:
            self._reload_asked_for = self._catalog.reload()
        except NoThread as error:
            return {"error": str(error)}
        return self._reloading()

    def _reloading(self) -> dict[str, Any]:
        """How far that is, after a moment; in the end, why it failed, if it did."""
        asked = self._reload_asked_for
        if asked is None:
            return {"ended": True}
        wait([asked.outcome], _RELOAD_SECONDS)
        if not asked.outcome.done():
            return {"ended": False, "done": asked.done, "pages": asked.pages}
        failure = asked.outcome.exception()
        if failure is not None:
            return {"error": f"the listing could not be fetched: {failure}"}
        return {"ended": True}


def unknown(mountpoint: str, reason: str) -> dict[str, Any]:
    """The report on a mount that does not answer: its process is gone, say, or it is another user's."""
    return {"mountpoint": mountpoint, "error": reason}


def table(reports: Iterable[Mapping[str, Any]]) -> str:
    """Reports for people."""
    return "\n\n".join("\n".join(map(printable, _lines(report))) for report in reports)


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
    yield str(report["mountpoint"])
    if "error" in report:
        yield f"  {report['error']}"
        return
    hits = f" ({report['reads_from_memory'] * 100 // report['reads']}%)" if report["reads"] else ""
    flying = report["requests_in_flight"]
    rows = {
        "state": _state(report),
        "resources": f"{report['resources']}, {_size(report['total_size'])}",
        "listing": f"{_duration(report['listing_age'])} old",
        "api": report["api_url"],
        "throughput": f"{_size(report['throughput'])}/s; {_size(report['bytes_fetched'])} fetched so far",
        "in flight": f"{flying['store']} to the store, {flying['api']} to the API",
        "memory": f"{_size(report['memory_held'])} of {_size(report['memory_budget'])} held",
        "reads": f"{report['reads']}, {report['reads_from_memory']} of them from memory{hits}",
        "URLs signed": str(report["urls_signed"]),
        "errors": ", ".join(f"{name} {count}" for name, count in sorted(report["errors"].items())) or "none",
        "process": f"{report['pid']}, version {report['version']}, for {_duration(report['mounted_for'])}",
    }
    for name, given in report["settings"].items():
        if given["source"] != DEFAULT:
            # What is held says how much may be.
            value = rows.get(name, given["value"])
            rows[_SHOWN.get(name, name)] = _from(value, given["source"])
    for name, text in rows.items():
        yield f"  {name:<12} {text}"


def _from(value: str, source: str) -> str:
    """A value and who said so; of a key that a variable has, only that is said."""
    return f"from {source}" if value == _NOT_SHOWN else f"{value}, by {source}"


def _state(report: Mapping[str, Any]) -> str:
    away = [f"{host} out of reach for {_duration(since)}" for host, since in report["out_of_reach"].items()]
    if report["listing_failure"]:
        away.append(f"the listing could not be refreshed: {report['listing_failure']}")
    # A mount that an older version serves does not count them.
    if unreadable := report.get("unreadable_entries"):
        entries = "1 entry" if unreadable == 1 else f"{unreadable} entries"
        kept = report["unreadable_entries_kept"]
        shown = f", {kept} of them shown as they were last" if kept else ""
        away.append(f"degraded: {entries} of the listing cannot be read{shown}")
    state = "; ".join(away) or "online"
    gap = report.get("entries_not_listed", 0)
    return (
        f"{state}; the API counts {abs(gap)} {'more' if gap > 0 else 'fewer'} than it lists" if gap else state
    )


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < _STEP or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == _UNITS[0] else f"{count:.1f} {unit}"
        count /= _STEP
    raise AssertionError("the last unit takes all")


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
