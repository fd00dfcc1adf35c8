"""Formats what the commands of the cache tell, as text for people. What a mount sent may be anything."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from empirical_fs.cli.units import size
from empirical_fs.control.cache_tasks import Kind
from empirical_fs.printing import printable
from empirical_fs.whole_numbers import whole_number

_HEAD = ("FILE", "SIZE", "CACHED", "PINNED", "LAST USED")
_NEVER_YEAR = 10**11
"""Seconds since the epoch that no clock shows: what is beyond was not sent by us."""

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> str:
    """A line for each version on disk, in the order of the names."""
    if not rows:
        return "nothing is in the cache"
    cells = [_HEAD, *sorted(map(_cells, rows))]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in cells
    )


def complaints(rows: Sequence[Row], result: Row) -> Iterator[str]:
    """A line for each file with which something is wrong."""
    for row in rows:
        if row.get("outdated"):
            yield f"{_name(row)}: the store has another version by now; it was removed"
        else:
            count = _count(row, "blocks_damaged")
            yield f"{_name(row)}: {_counted(count, 'block was', 'blocks were')} damaged, and dropped"
    failures = result.get("failures")
    failures = failures if isinstance(failures, list) else []
    for each in failures:
        if isinstance(each, Mapping):
            yield f"{each.get('name')}: {each.get('reason')}"
    if (more := _count(result, "failed") - len(failures)) > 0:
        yield f"and {_counted(more, 'other file', 'other files')} could not be fetched"


def summary(kind: Kind, result: Row) -> str:
    """What came of a command, in one line."""
    files = _counted(_count(result, "files"), "file", "files")
    match kind:
        case Kind.PREFETCH:
            return f"in the cache: {files}, {size(_count(result, 'bytes'))}"
        case Kind.PIN:
            return f"pinned: {files}, {size(_count(result, 'bytes'))}"
        case Kind.UNPIN:
            return f"unpinned: {files}"
        case Kind.EVICT:
            return f"freed: {size(_count(result, 'bytes_freed'))}"
    good, damaged = _count(result, "good"), _count(result, "damaged")
    told = f"{files}: {_counted(good, 'block is', 'blocks are')} good, {damaged} damaged"
    if unreadable := _count(result, "unreadable"):
        told += f"; {_counted(unreadable, 'file', 'files')} more cannot be read"
    if "outdated" in result:
        told += f"; {_count(result, 'outdated')} outdated, {_count(result, 'not_asked')} not answered for"
    return told


def _cells(row: Row) -> tuple[str, ...]:
    used = min(_count(row, "last_used"), _NEVER_YEAR)
    return (
        _name(row),
        size(_count(row, "size")),
        f"{_count(row, 'percent')}%",
        "yes" if row.get("pinned") is True else "no",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(used)) if used else "never",
    )


def _name(row: Row) -> str:
    name = row.get("name")
    if not isinstance(name, str):
        return printable(str(row.get("digest")))
    return printable(name if row.get("current", True) else f"{name} (another version)")


def _count(row: Row, field: str) -> int:
    return whole_number(row.get(field)) or 0


def _counted(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"
