"""Formats the states of mounts as text for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from empirical_fs.cli.units import size
from empirical_fs.printing import printable
from empirical_fs.settings.values import DEFAULT

_SHOWN = {"key_file": "key"}
"""Settings that are shown under another name."""
_NOT_SHOWN = "-"
_MINUTE, _HOUR = 60, 3600
_FAILING_AT = 3
"""Reads that failed in a row: the kernel asks twice for what one reader wants."""


def unknown(mountpoint: str, reason: str) -> dict[str, Any]:
    """The report on a mount that does not answer: its process may have ended, or it is another user's."""
    return {"mountpoint": mountpoint, "error": reason}


def table(reports: Iterable[Mapping[str, Any]]) -> str:
    """The reports as text, with an empty line between mounts."""
    return "\n\n".join("\n".join(map(printable, _lines(report))) for report in reports)


def _lines(report: Mapping[str, Any]) -> Iterable[str]:
    yield str(report["mountpoint"])
    if "error" in report:
        yield f"  {report['error']}"
        return
    hits = f" ({report['reads_from_memory'] * 100 // report['reads']}%)" if report["reads"] else ""
    from_disk = ", kept on disk" if report.get("listing_from_disk") else ""
    flying = report["requests_in_flight"]
    rows = {
        "state": _state(report),
        "resources": f"{report['resources']}, {size(report['total_size'])}",
        "listing": f"{_duration(report['listing_age'])} old{from_disk}",
        "api": report["api_url"],
        "throughput": f"{size(report['throughput'])}/s; {size(report['bytes_fetched'])} fetched so far",
        "in flight": f"{flying['store']} to the store, {flying['api']} to the API",
        "memory": f"{size(report['memory_held'])} of {size(report['memory_budget'])} held",
        "reads": f"{report['reads']}, {report['reads_from_memory']} of them from memory{hits}",
        "cache": _cache(report.get("cache")),
        "URLs signed": str(report["urls_signed"]),
        "errors": ", ".join(f"{name} {count}" for name, count in sorted(report["errors"].items())) or "none",
        "process": f"{report['pid']}, version {report['version']}, for {_duration(report['mounted_for'])}",
    }
    # A mount that is served by an older version does not report this.
    if passthrough := report.get("passthrough"):
        rows["passthrough"] = _passing_through(passthrough)
    for name, given in report["settings"].items():
        if given["source"] != DEFAULT:
            # A setting that has a row already, like memory, gets its source added to that row.
            value = rows.get(name, given["value"])
            rows[_SHOWN.get(name, name)] = _from(value, given["source"])
    for name, text in rows.items():
        yield f"  {name:<12} {text}"


def _passing_through(found: Mapping[str, Any]) -> str:
    """Whether the kernel reads cached files by itself."""
    if found["off_because"] is not None:
        return f"off: {found['off_because']}"
    return f"on, {found['open']} open files; {found['opened']} opened so far"


def _from(value: str, source: str) -> str:
    """A value and its source; for a key from the environment, whose value is not shown, the source only."""
    return f"from {source}" if value == _NOT_SHOWN else f"{value}, by {source}"


def _state(report: Mapping[str, Any]) -> str:
    away = ["offline"] if report.get("offline") else []
    away += [f"{host} out of reach for {_duration(since)}" for host, since in report["out_of_reach"].items()]
    if report["listing_failure"]:
        away.append(f"the listing could not be refreshed: {report['listing_failure']}")
    # A mount that is served by an older version does not report these counts.
    if (failed := report.get("failed_in_a_row", 0)) >= _FAILING_AT:
        away.append(f"reads fail for {_duration(report['failing_for'])}, the last {failed} of them")
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


def _cache(cache: Mapping[str, Any] | None) -> str:
    """The cache on disk: where it is, how full, and what it has done."""
    if cache is None:
        return "off"
    used = "not counted yet" if cache["used"] is None else size(cache["used"])
    # A mount that is served by an older version does not report what is reserved, nor what is not current.
    reserved = f", {size(reserved)} reserved" if (reserved := cache.get("reserved", 0)) else ""
    told = [
        f"{cache['folder']}: {used} of {size(cache['limit'])}{reserved}",
        f"{size(cache['bytes_read'])} read from it",
        f"{cache['blocks_written']} blocks written, {cache['blocks_dropped']} dropped",
        f"{cache['blocks_damaged']} damaged",
    ]
    if alone := cache["files_left_alone"]:
        told.append(f"{alone} files left alone after errors of the disk")
    if outdated := cache.get("pinned_not_current", 0):
        told.append(
            "1 pinned file is not current" if outdated == 1 else f"{outdated} pinned files are not current"
        )
    if cache["paused"]:
        told.append(f"takes nothing now: {cache['paused']}")
    return "; ".join(told)


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
