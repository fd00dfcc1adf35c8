"""The time of the directory goes on from mount to mount, whatever happens to the file that keeps it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.directory_times import DirectoryTimes, place_of
from empirical_fs.catalog.snapshot import Entry

SECOND = 10**9
NEWEST, NOW = 100 * SECOND, 500 * SECOND


def entry(identity: int, name: str = "", size: int | None = 5) -> Entry:
    resource = Resource(id=identity, name=name or str(identity), size=size, updated_ns=NEWEST, link=None)
    return Entry(resource.name, resource)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "a"


def begin(file: Path | None, *entries: Entry, now: int = NOW, newest: int = NEWEST) -> int:
    return DirectoryTimes(file).begin(entries, newest, now)


def test_the_first_mount(file: Path) -> None:
    """It has the date of the newest file, as where nothing is remembered."""
    assert begin(file, entry(1)) == begin(None, entry(1)) == NEWEST


def test_what_was_deleted_between_two_mounts(file: Path) -> None:
    """The directory has changed, and stays as it is where nothing does."""
    assert begin(file, entry(1), entry(2)) == NEWEST
    assert begin(file, entry(2), entry(1), now=NOW + 1) == NEWEST
    assert begin(file, entry(1), now=NOW + 2) == NOW + 2
    assert begin(file, entry(1), now=NOW + 9 * SECOND) == NOW + 2
    assert begin(file, entry(1, "renamed"), now=NOW + 9 * SECOND) == NOW + 9 * SECOND
    assert begin(file, entry(1, "renamed", size=None), now=NOW + 99 * SECOND) == NOW + 9 * SECOND


def test_what_changed_in_a_mount(file: Path) -> None:
    """The next mount begins with the time that the last one ended with."""
    times = DirectoryTimes(file)
    times.begin([entry(1), entry(2)], NEWEST, NOW)
    times.changed([(entry(2), None), (None, entry(3)), (entry(1), entry(1, "new"))], NOW + 7)
    assert begin(file, entry(3), entry(1, "new"), now=NOW + 99 * SECOND) == NOW + 7
    assert begin(file, entry(3), now=NOW) > NOW + 7, "however the clock was set"


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"look": 1, "changed_ns": 9e18}', "[1]", "\x00"])
def test_what_was_damaged(file: Path, text: str) -> None:
    """It is as if there were none, and is written anew."""
    file.parent.mkdir()
    file.write_text(text)
    assert begin(file, entry(1)) == NEWEST
    assert begin(file, entry(2)) == NOW


def test_without_a_place() -> None:
    """Nothing is remembered, and nothing fails."""
    file = Path("/proc/nowhere/a")
    assert begin(file, entry(1)) == begin(file, entry(2)) == NEWEST


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A place for each directory and API, in the user's folder for such things."""
    here = place_of(Path("/mnt/a"), "https://x", {"XDG_STATE_HOME": str(tmp_path)})
    assert here is not None
    assert here.is_relative_to(tmp_path)
    assert here != place_of(Path("/mnt/b"), "https://x", {"XDG_STATE_HOME": str(tmp_path)})
    assert here != place_of(Path("/mnt/a"), "https://y", {"XDG_STATE_HOME": str(tmp_path)})
    monkeypatch.setenv("HOME", "/home/me")
    at_home = place_of(Path("/mnt/a"), "https://x", {"XDG_STATE_HOME": "not/absolute"})
    assert at_home is not None
    assert at_home.is_relative_to("/home/me/.local/state/empirical-fs")


def test_a_description_that_changed(file: Path) -> None:
    """Whatever the API says of a file counts."""
    said = list(entry(1).resource.said)
    said[4] = "something"
    other = replace(entry(1), resource=replace(entry(1).resource, said=tuple(said)))
    assert begin(file, entry(1)) == NEWEST
    assert begin(file, other) == NOW
