"""What the commands of the cache show to people, whatever a mount has sent."""

from typing import Any

import pytest

from empirical_fs.cli.cache_table import complaints, summary, table
from empirical_fs.control.cache_tasks import Kind

ROW: dict[str, Any] = {
    "name": "b.bin",
    "digest": "0123",
    "current": True,
    "size": 3 * 2**20,
    "percent": 33,
    "pinned": True,
    "last_used": 0,
}


def test_table() -> None:
    """A line for each version, by name; one that is older says so, and one of no listing has a digest."""
    rows = [ROW, {**ROW, "name": None}, {**ROW, "name": "a", "current": False, "pinned": False}]
    lines = [line.rsplit("  ", 1)[0].rstrip() for line in table(rows).splitlines()]
    assert lines == [
        "FILE                 SIZE     CACHED  PINNED",
        "0123                 3.0 MiB  33%     yes",
        "a (another version)  3.0 MiB  33%     no",
        "b.bin                3.0 MiB  33%     yes",
    ]
    assert table([]) == "nothing is in the cache"


@pytest.mark.parametrize("value", [None, "x\x1b[31m", -1, 10**30, [], {}, 1.5, float("inf")])
@pytest.mark.parametrize("field", ROW)
def test_a_table_of_anything(field: str, value: object) -> None:
    """Any program may have sent the rows: a terminal gets no control characters, and nobody a traceback."""
    assert "\x1b" not in table([{**ROW, field: value}])


def test_complaints() -> None:
    """A line for each file, and one for those that are not told."""
    rows = [{"name": "a", "blocks_damaged": 1}, {"digest": "01", "blocks_damaged": 2}]
    assert list(complaints([*rows, {"name": "c", "outdated": True}], {})) == [
        "a: 1 block was damaged, and dropped",
        "01: 2 blocks were damaged, and dropped",
        "c: the store has another version by now; it was removed",
    ]
    failed = {"failed": 3, "failures": [{"name": "d", "reason": "no"}]}
    assert list(complaints([], failed)) == ["d: no", "and 2 other files could not be fetched"]
    assert list(complaints([], {"failures": "x", "failed": "y"})) == []


def test_summary() -> None:
    assert summary(Kind.PREFETCH, {"files": 1, "bytes": 1024}) == "in the cache: 1 file, 1.0 KiB"
    assert summary(Kind.PIN, {"files": 2, "bytes": 0}) == "pinned: 2 files, 0 B"
    assert summary(Kind.UNPIN, {"files": 2}) == "unpinned: 2 files"
    assert summary(Kind.EVICT, {"bytes_freed": 512}) == "freed: 512 B"
    found = {"files": 2, "good": 1, "damaged": 3}
    assert summary(Kind.VERIFY, found) == "2 files: 1 block is good, 3 damaged"
    assert summary(Kind.VERIFY, {**found, "unreadable": 2}).endswith("; 2 files more cannot be read")
    online = {**found, "outdated": 1, "not_asked": 2}
    assert summary(Kind.VERIFY, online).endswith("3 damaged; 1 outdated, 2 not answered for")
