"""A directory is mounted on only if it is fit for that."""

import sys
from pathlib import Path

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.mount.mount_table import mount_at
from empirical_fs.mount.preparing import foresee, prepare, remove


def test_a_directory_is_made(tmp_path: Path) -> None:
    """A mount point that is missing is made, with its parents, and told so."""
    path = tmp_path / "a" / "b"
    assert mount_at(path) is None
    made = prepare(path, nonempty=False)
    assert made == (path, tmp_path / "a")
    assert path.is_dir()
    assert not prepare(path, nonempty=False)
    remove(made)
    assert not list(tmp_path.iterdir())


def test_parents_in_which_there_is_something_by_now(tmp_path: Path) -> None:
    """What was made stays where somebody else has put something meanwhile."""
    made = prepare(tmp_path / "a" / "b", nonempty=False)
    (tmp_path / "a" / "file").touch()
    remove(made)
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["file"]


def test_parents_of_what_cannot_be_made(tmp_path: Path) -> None:
    """They are taken away, too."""
    with pytest.raises(SetupError, match="too long"):
        prepare(tmp_path / "a" / ("b" * 256), nonempty=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "place", ["/", "/proc", "/proc/self", "/dev", "/etc", sys.prefix, str(Path(__file__).parents[3])]
)
def test_what_the_mount_needs_itself(place: str) -> None:
    """A mount that would hide it would wait for its own answers."""
    for ask in (prepare, foresee):
        with pytest.raises(SetupError, match=r"needs itself|nothing can be mounted in /proc"):
            ask(Path(place).resolve(), nonempty=True)


def test_a_directory_that_is_not_empty(tmp_path: Path) -> None:
    """A directory with files in it is refused, unless they may be covered."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="not empty"):
        prepare(tmp_path, nonempty=False)
    assert not prepare(tmp_path, nonempty=True)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_no_directory(tmp_path: Path, name: str) -> None:
    """A file is no mount point, and nothing below one is."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="file"):
        prepare(tmp_path / name, nonempty=False)
