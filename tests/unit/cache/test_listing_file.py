"""The last good listing on disk: private, atomic, and no trouble to anybody."""

import logging
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from empirical_fs.cache.listing_file import Keeper, ListingFile
from empirical_fs.cache.listing_format import KeptListing, MeasuredSize
from tests.support.harness import wait_until
from tests.unit.cache.test_listing_format import WHOLE, listing

API, KEY = "https://api.example", "a key of some length"
NOW = replace(WHOLE, listed_at=time.time() - 60)


@pytest.fixture
def file(tmp_path: Path) -> ListingFile:
    return ListingFile(tmp_path / "cache", API, KEY)


def files(file: ListingFile) -> list[Path]:
    return [each for each in file.folder.rglob("*") if each.is_file()]


def write(file: ListingFile, kept: KeptListing = NOW) -> Path:
    file.write(kept, lambda: None)
    (path,) = files(file)
    return path


def test_it_is_read_by_the_next_mount(file: ListingFile) -> None:
    """Without a file there is no listing; the last one that was written counts."""
    assert file.read() is None
    assert not file.is_there
    write(file)
    again = ListingFile(file.folder, f"{API}/", KEY)
    assert again.read() == NOW
    assert again.is_there
    write(file, replace(listing([]), listed_at=NOW.listed_at + 1))
    assert again.read() == replace(listing([]), listed_at=NOW.listed_at + 1)


def test_it_is_private(file: ListingFile) -> None:
    """Nobody else can read it, and its name says nothing."""
    path = write(file)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent, file.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(path.name) <= set("0123456789abcdef")
    assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize(("api", "key"), [("https://other.example", KEY), (API, "another key")])
def test_of_another_api_or_key(file: ListingFile, api: str, key: str) -> None:
    """It is not found."""
    write(file)
    assert ListingFile(file.folder, api, key).read() is None


@pytest.mark.warns("the listing that is kept on disk is not used: it is damaged")
def test_under_the_name_of_another(file: ListingFile) -> None:
    """It is refused: the name alone does not decide."""
    path = write(file)
    other = ListingFile(file.folder, API, "another key")
    other_path = write_other(other, path)
    path.rename(other_path)
    assert other.read() is None


def write_other(other: ListingFile, path: Path) -> Path:
    other.write(NOW, lambda: None)
    (found,) = (each for each in files(other) if each != path)
    return found


@pytest.mark.warns("the listing that is kept on disk is not used: (it is damaged|it has another format)")
@pytest.mark.parametrize("content", [b"", b"empirical-fs listing 2\n", b"empirical-fs listing 1\nx"])
def test_a_damaged_file(file: ListingFile, content: bytes) -> None:
    """It is as if there was none, which the log says once; the next one replaces it."""
    path = write(file)
    path.write_bytes(content)
    os.utime(path, (0, 0))
    assert file.read() is None
    write(file)
    assert file.read() == NOW


@pytest.mark.warns(
    "the listing that is kept on disk is not used: others than you can write to .*; run: chmod"
)
def test_a_file_that_others_can_write(file: ListingFile) -> None:
    """It may be theirs."""
    write(file).chmod(0o620)
    assert file.read() is None


@pytest.mark.warns("the listing that is kept on disk (cannot be read|is not used)")
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_no_regular_file(file: ListingFile, kind: str, tmp_path: Path) -> None:
    """Nothing waits for a pipe, or follows a link."""
    path = write(file)
    target = path.rename(tmp_path / "elsewhere")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert file.read() is None


def test_a_newer_one_stays(file: ListingFile) -> None:
    """Of two mounts the one with the later listing wins; a date in the future is of a wrong clock."""
    path = write(file, replace(NOW, listed_at=NOW.listed_at + 5))
    write(file, replace(listing([]), listed_at=NOW.listed_at))
    found = file.read()
    assert found is not None
    assert found.known == NOW.known
    os.utime(path, (time.time() + 10**6,) * 2)
    write(file, replace(listing([]), listed_at=NOW.listed_at))
    found = file.read()
    assert found is not None
    assert found.known == listing([]).known


def test_the_same_with_a_size_more(file: ListingFile) -> None:
    """It replaces the one before, though its time, which is worked out anew, may be a bit earlier."""
    write(file, replace(NOW, sizes=()))
    found = MeasuredSize(1, 2, 0, is_final=True)
    write(file, replace(NOW, sizes=(found,), listed_at=NOW.listed_at - 0.001))
    kept = file.read()
    assert kept is not None
    assert kept.sizes == (found,)


def test_it_was_still_right_later(file: ListingFile) -> None:
    """Its age is that of the last answer of the API, not that of the last change."""
    write(file)
    file.confirm(NOW.listed_at + 7)
    found = file.read()
    assert found is not None
    assert found.listed_at == pytest.approx(NOW.listed_at + 7, abs=0.01)
    assert found.server_time == pytest.approx(NOW.server_time + 7, abs=0.01)
    file.confirm(NOW.listed_at)
    assert file.read() == found


def test_what_a_killed_process_left(file: ListingFile) -> None:
    """It is removed an hour later."""
    path = write(file)
    old, young = (path.with_name(f"{each}.new") for each in ("old", "young"))
    for each in (old, young):
        each.write_bytes(b"")
    os.utime(old, (0, 0))
    file.write(replace(NOW, listed_at=NOW.listed_at + 1), lambda: None)
    assert not old.exists()
    assert young.exists()


class Kept:
    """A keeper, and the listing that it is to keep."""

    def __init__(self, file: ListingFile) -> None:
        self.listing: KeptListing | None = NOW
        self.asked = 0
        self.keeper = Keeper(file, self._latest)

    def _latest(self) -> KeptListing | None:
        self.asked += 1
        return self.listing


def test_what_has_changed_is_written(file: ListingFile) -> None:
    """At once the first time; what comes soon after that is written at the end."""
    kept = Kept(file)
    kept.keeper.listed(is_news=True)
    wait_until(lambda: file.read() == NOW, "the first listing on disk")
    kept.listing = replace(listing([]), listed_at=NOW.listed_at + 1)
    kept.keeper.listed(is_news=True)
    assert file.read() == NOW
    kept.keeper.close()
    assert file.read() == kept.listing


def test_what_has_not_changed_is_only_confirmed(file: ListingFile) -> None:
    """The file stays, with a later date."""
    kept = Kept(file)
    kept.keeper.listed(is_news=True)
    kept.keeper.close()
    (path,) = files(file)
    before = path.stat()
    kept = Kept(file)
    kept.listing = replace(NOW, listed_at=NOW.listed_at + 9)
    kept.keeper.listed(is_news=False)
    kept.keeper.close()
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime == pytest.approx(NOW.listed_at + 9, abs=0.01)


def test_nothing_to_keep(file: ListingFile) -> None:
    """A mount that had no answer writes nothing."""
    kept = Kept(file)
    kept.listing = None
    kept.keeper.close()
    assert not file.folder.exists()


def test_a_disk_that_does_not_take_it(file: ListingFile, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and the next refresh tries again."""
    file.folder.write_text("a file in place of the folder")
    kept = Kept(file)
    with caplog.at_level(logging.INFO, "empirical_fs"):
        for asked in (1, 2):
            kept.keeper.listed(is_news=asked == 1)
            wait_until(lambda asked=asked: kept.asked >= asked, "a try")  # type: ignore[misc]
    file.folder.unlink()
    kept.keeper.listed(is_news=False)
    kept.keeper.close()
    assert file.read() == NOW
    assert [each.getMessage() for each in caplog.records] == ["the listing is not kept on disk: File exists"]
