"""A directory that is held is the one that was checked."""

from pathlib import Path

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.mount.held_directory import HeldDirectory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "mnt"
    path.mkdir(parents=True)
    return path


def test_held(path: Path) -> None:
    """It is entered by a name that leads nowhere else, though another directory takes its place then."""
    (path / "this one").touch()
    before = Path.cwd()
    with HeldDirectory(path) as held:
        held.check()
        with held.entered() as name:
            path.rename(path.with_name("moved"))
            path.mkdir()
            assert [each.name for each in Path(name).iterdir()] == ["this one"]
        assert Path.cwd() == before
        with pytest.raises(SetupError, match="moved"):
            held.check()
        with pytest.raises(SetupError, match="moved"), held.entered():
            pass
        with pytest.raises(SetupError, match="moved"):
            held.check_mounted()


def test_deleted(path: Path) -> None:
    """A directory that is gone is not mounted on, nor one that is made in its place."""
    with HeldDirectory(path) as held:
        path.rmdir()
        path.mkdir()
        with pytest.raises(SetupError, match="deleted"), held.entered():
            pass


def test_nothing_has_come(path: Path) -> None:
    """Without a mount of ours there, it is said that there is none."""
    with HeldDirectory(path) as held, pytest.raises(SetupError, match="did not appear"):
        held.check_mounted()


@pytest.mark.parametrize("what", ["mnt", "folder", "file", "missing"])
def test_what_cannot_be_held(path: Path, what: str) -> None:
    """A symbolic link anywhere on the way, a file, and nothing."""
    if what in ("mnt", "folder"):
        moved = path if what == "mnt" else path.parent
        moved.rename(moved.with_name("moved"))
        moved.symlink_to(moved.with_name("moved"))
    else:
        path.rmdir()
        if what == "file":
            path.touch()
    with pytest.raises(SetupError):
        HeldDirectory(path)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """The kernel's word for a place is compared byte by byte."""
    path = tmp_path / "\udcff\n x\\040"
    path.mkdir()
    with HeldDirectory(path) as held:
        held.check()
