import pytest

from empirical_fs.control import encoded
from empirical_fs.status import table, unknown

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
        "  URLs signed  3",
        "  errors       EIO 2, ESTALE 1",
        "  process      7, version 1, for 2 h 1 min",
        "  refresh      5.0, by --refresh",
    ]


def test_several() -> None:
    """Mounts are set apart, and one that does not answer says why."""
    shown = table([unknown("/a", "gone"), {**REPORT, "out_of_reach": {"x.org": 5}, "listing_failure": "503"}])
    assert shown.startswith("/a\n  gone\n\n/mnt\n")
    assert "x.org out of reach for 5 s; the listing could not be refreshed: 503" in shown


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
