"""The folders of the cache, on disks that do not do what they are told."""

import errno
import os
from pathlib import Path

import pytest

from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.folder import Folder
from empirical_fs.cache.gate import StuckDisk


class Stuck(Io):
    """Makes folders, and once `is_stuck` does not tell of them."""

    is_stuck = False

    def status(self, path: Path) -> os.stat_result:
        if self.is_stuck:
            raise StuckDisk
        return super().status(path)


class ReadOnly(Io):
    """A disk that is read-only says so, and not that the folder is there."""

    def make_folder(self, path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


def test_a_disk_that_stops_to_answer_while_its_folders_are_looked_at(tmp_path: Path) -> None:
    """That is what is told, and not that a folder is there: after that, the cache would rest for a minute."""
    io = Stuck()
    folder = Folder(tmp_path / "cache", io)
    io.is_stuck = True
    with pytest.raises(StuckDisk):
        folder.make()


def test_a_read_only_disk(tmp_path: Path) -> None:
    """What is there is used, and what is missing cannot be made."""
    Folder(tmp_path / "cache", Io())
    folder = Folder(tmp_path / "cache", ReadOnly())
    folder.make()
    with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        folder.make_for(folder.place("ab" * 16, "cd" * 16))
