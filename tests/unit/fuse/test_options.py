"""Mount options: which are ours, which libfuse gets, and which values are refused."""

from dataclasses import dataclass
from typing import cast

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.options import FuseOptions, fuse_options


@dataclass
class Version:
    major: int


def options(major: int, **given: str | bool) -> FuseOptions:
    return fuse_options(cast(Library, Version(major)), given, entry_seconds=60.0, attribute_seconds=6.0)


@pytest.mark.parametrize("major", [2, 3])
def test_ours(major: int) -> None:
    """How long the kernel keeps what it is told is our answer; the rest goes to libfuse in its order."""
    found = options(major, ro=True, entry_timeout="5", attr_timeout="0.5", negative_timeout="2", fsname="x")
    assert (found.entry_seconds, found.attribute_seconds, found.missing_seconds) == (5.0, 0.5, 2.0)
    assert found.text == "ro,fsname=x"
    assert not found.is_direct


@pytest.mark.parametrize("major", [2, 3])
def test_defaults(major: int) -> None:
    """By default the kernel keeps entries and attributes for a while, and no missing names."""
    found = options(major)
    assert (found.entry_seconds, found.attribute_seconds, found.missing_seconds) == (60.0, 6.0, 0.0)
    assert (found.text, found.connection) == ("", {})


@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("name", ["use_ino", "kernel_cache", "auto_cache", "noforget", "intr", "hard_remove"])
def test_what_says_nothing_here(major: int, name: str) -> None:
    """Options of the high-level API that are always so, or never, are taken."""
    assert options(major, **{name: True}).text == ""


def test_what_libfuse_3_leaves_to_us() -> None:
    """It goes to the connection; to libfuse too what the kernel is told at mounting."""
    given: dict[str, str | bool] = {"max_background": "20", "max_read": "131072", "nonempty": True}
    assert options(2, **given).text == "max_background=20,max_read=131072,nonempty"
    found = options(3, **given)
    assert (found.text, found.connection) == ("max_read=131072", {"max_background": 20, "max_read": 131072})


def test_what_libfuse_lowers() -> None:
    """The connection is told again how far to read ahead, once the kernel may go further."""
    given: dict[str, str | bool] = {"max_readahead": "262144"}
    assert options(2, **given).text == "max_readahead=262144"
    assert options(2, **given).connection == options(3, **given).connection == {"max_readahead": 262144}
    assert options(3, **given).text == ""


def test_values_that_libfuse_would_take_apart() -> None:
    """A comma would end a value, and a backslash take along the comma behind it, and so the next option."""
    assert options(3, fsname="a\\", ro=True).text == "fsname=a\\\\,ro"
    assert options(2, fsname="a,b\\c").text == "fsname=a\\,b\\\\c"


@pytest.mark.parametrize(
    ("given", "seconds"), [("-1", 0.0), ("1e300", 2.0**31), ("inf", 2.0**31), ("0.5", 0.5)]
)
def test_seconds(given: str, seconds: float) -> None:
    """Less than none is none, and too many are as many as there can be."""
    assert options(3, attr_timeout=given, remember="-1").attribute_seconds == seconds


def test_direct_reads() -> None:
    """They are our answer to an open."""
    assert options(3, direct_io=True).is_direct


@pytest.mark.parametrize(
    "given",
    [
        {"max_background": "many"},
        {"max_background": True},
        {"max_background": str(2**31)},
        {"attr_timeout": "soon"},
        {"max_threads": "abc"},
        {"max_idle_threads": True},
        {"ac_attr_timeout": "abc"},
        {"entry_timeout": "nan"},
        {"negative_timeout": True},
        {"intr_signal": "x"},
        {"modules": "iconv"},
    ],
    ids=str,
)
def test_bad_values(given: dict[str, str | bool]) -> None:
    """They are refused by the option's name."""
    with pytest.raises(SetupError, match=next(iter(given))):
        options(3, **given)
