"""Paths are resolved as the standard library does it, without a look below a mount."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.errors import SetupError
from empirical_fs.mount.resolving import resolved

NAMES = st.lists(
    st.sampled_from(["a", "b", "up", "far", "self", "..", ".", "", "missing", "file"]), max_size=7
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree").resolve()
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "file").touch()
    (top / "a" / "up").symlink_to("..")
    (top / "a" / "b" / "far").symlink_to(top / "a")
    (top / "self").symlink_to("a/./b/../b")
    return top


@given(names=NAMES)
def test_as_the_standard_library(tree: Path, names: list[str]) -> None:
    """Where nothing is mounted, it is the path that Path.resolve finds."""
    path = Path(f"{tree}/{'/'.join(names)}")
    assert resolved(path, []) == path.resolve()


def test_a_relative_path(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins where the process is."""
    monkeypatch.chdir(tree / "a")
    assert resolved(Path("up/self"), []) == tree / "a" / "b"


def test_nothing_below_a_mount_is_looked_at(tree: Path) -> None:
    """A link that leads to a mount is followed; what is in the mount is taken as it is named."""
    assert resolved(tree / "a" / "b" / "far", [str(tree / "a")]) == tree / "a" / "b" / "far"
    assert resolved(tree / "self", [str(tree / "a" / "b")]) == tree / "a" / "b"
    assert resolved(tree / "a" / ".." / "self", [str(tree / "a")]) == tree / "a" / "b"


def test_links_without_an_end(tmp_path: Path) -> None:
    """They are an error and not a loop."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SetupError, match="too many symbolic links"):
        resolved(tmp_path / "loop", [])


def test_no_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is no path then."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SetupError, match="current directory is gone"):
        resolved(Path("mnt"), [])
    assert not os.path.lexists(gone)
    monkeypatch.undo()
