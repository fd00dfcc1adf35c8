"""What `--status` shows of mounts, and the answer that the process of a mount gives to it."""

from typing import Any

import pytest

from empirical_fs.cli.status_table import table, unknown
from empirical_fs.control.protocol import encoded
from empirical_fs.control.report import check_report

REPORT = {
    "mountpoint": "/mnt",
    "version": "1",
    "pid": 7,
    "api_url": "https://api.example",
    "mounted_for": 7300.0,
    "resources": 2,
    "total_size": 5 * 2**30,
    "listing_age": 75.0,
    "listing_failure": None,
    "unreadable_entries": 0,
    "unreadable_entries_kept": 0,
    "out_of_reach": {},
    "throughput": 1023,
    "bytes_fetched": 2**60,
    "requests_in_flight": {"api": 1, "store": 2},
    "memory_held": 1536,
    "memory_budget": 2**28,
    "reads": 0,
    "reads_from_memory": 0,
    "urls_signed": 3,
    "errors": {"ESTALE": 1, "EIO": 2},
    "settings": {
        "refresh": {"value": "5.0", "source": "--refresh"},
        "memory": {"value": "268435456", "source": "default"},
        "key_file": {"value": "-", "source": "EMPIRICALRUN_KEY"},
    },
}


def test_table() -> None:
    """A line for each thing that people ask about, in units that they read."""
    assert table([REPORT]).splitlines() == [
        "/mnt",
        "  state        online",
        "  resources    2, 5.0 GiB",
        "  listing      1 min 15 s old",
        "  api          https://api.example",
        "  throughput   1023 B/s; 1048576.0 TiB fetched so far",
        "  in flight    2 to the store, 1 to the API",
        "  memory       1.5 KiB of 256.0 MiB held",
        "  reads        0, 0 of them from memory",
        "  cache        off",
        "  URLs signed  3",
        "  errors       EIO 2, ESTALE 1",
        "  process      7, version 1, for 2 h 1 min",
        "  refresh      5.0, by --refresh",
        "  key          from EMPIRICALRUN_KEY",
    ]


@pytest.mark.parametrize(
    ("passthrough", "row"),
    [
        (
            {"off_because": "the cache on disk is off", "open": 0, "opened": 0},
            "off: the cache on disk is off",
        ),
        ({"off_because": None, "open": 2, "opened": 31}, "on, 2 open files; 31 opened so far"),
    ],
)
def test_passthrough(passthrough: dict[str, Any], row: str) -> None:
    """Whether the kernel reads cached files by itself, and why not."""
    report = {**REPORT, "passthrough": passthrough}
    assert check_report(report) == report
    assert f"  passthrough  {row}" in table([report]).splitlines()


def test_the_cache() -> None:
    """Where it is, how full, what it has done, and why it takes nothing."""
    cache: dict[str, Any] = {
        "folder": "/c",
        "used": 5 * 2**20,
        "limit": 10 * 2**30,
        "bytes_read": 2**20,
        "blocks_damaged": 1,
        "blocks_written": 7,
        "blocks_dropped": 2,
        "files_left_alone": 0,
        "paused": None,
    }
    line = (
        "  cache        /c: 5.0 MiB of 10.0 GiB; 1.0 MiB read from it; 7 blocks written, 2 dropped; 1 damaged"
    )
    assert f"{line}\n" in table([{**REPORT, "cache": cache}])
    full = {**cache, "reserved": 2**20, "pinned_not_current": 2}
    assert "5.0 MiB of 10.0 GiB, 1.0 MiB reserved; " in table([{**REPORT, "cache": full}])
    assert "; 1 damaged; 2 pinned files are not current\n" in table([{**REPORT, "cache": full}])
    troubled = {**cache, "used": None, "files_left_alone": 3, "paused": "No space left on device"}
    assert "/c: not counted yet of 10.0 GiB;" in table([{**REPORT, "cache": troubled}])
    told = "; 3 files left alone after errors of the disk; takes nothing now: No space left on device\n"
    assert told in table([{**REPORT, "cache": troubled}])


def test_several() -> None:
    """Mounts are set apart, and one that does not answer says why."""
    shown = table([unknown("/a", "gone"), {**REPORT, "out_of_reach": {"x.org": 5}, "listing_failure": "503"}])
    assert shown.startswith("/a\n  gone\n\n/mnt\n")
    assert "x.org out of reach for 5 s; the listing could not be refreshed: 503" in shown


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "online"),
        ({"offline": True}, "offline"),
        ({"offline": True, "out_of_reach": {"x.org": 5}}, "offline; x.org out of reach for 5 s"),
        ({"unreadable_entries": 1}, "degraded: 1 entry of the listing cannot be read"),
        (
            {"unreadable_entries": 3, "unreadable_entries_kept": 2},
            "degraded: 3 entries of the listing cannot be read, 2 of them shown as they were last",
        ),
        (
            {"unreadable_entries": 2, "listing_failure": "503"},
            "the listing could not be refreshed: 503; degraded: 2 entries of the listing cannot be read",
        ),
    ],
)
def test_states(fields: dict[str, Any], state: str) -> None:
    """A mount is online when all is well, and says of each thing that is not what it is."""
    shown = table([{**REPORT, **fields}])
    assert f"  state        {state}\n" in shown


def test_a_mount_of_an_older_version() -> None:
    """A report without the fields that came later can be shown."""
    older = {name: value for name, value in REPORT.items() if not name.startswith("unreadable")}
    assert "  state        online\n" in table([older])


@pytest.mark.parametrize(("size", "answer"), [(40, b'{"a": "x"}'), (36, b'{"a": "x"}'), (10, None)])
def test_an_answer_has_an_end(size: int, answer: bytes | None) -> None:
    """It ends with a NUL, and is never longer than the room for it."""
    if answer is None:
        with pytest.raises(ValueError, match="too little room"):
            encoded({"a": "x"}, size)
    else:
        assert encoded({"a": "x"}, size) == answer + b"\0"


def test_an_answer_that_is_too_long() -> None:
    """The caller hears so, and nothing that is cut."""
    assert encoded({"a": "x" * 200}, 100) == b'{"error": "the answer is too long"}\0'


def test_a_listing_from_disk() -> None:
    """Its row says so."""
    assert "  listing      1 min 15 s old, kept on disk" in table([{**REPORT, "listing_from_disk": True}])
