"""Makes the structures that describe files to the kernel: `struct stat`, `fuse_entry_param`, `statvfs`."""

import stat
from typing import Any

from empirical_fs.catalog.names import NAME_MAX
from empirical_fs.catalog.snapshot import ROOT_INODE, Entry
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.nodes import ROOT_NUMBER
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.settings.mount_options import MountOptions
from empirical_fs.timestamps import storable

_UNIT = 512
_IO_SIZE = 4096
_NANOSECONDS = 10**9


class Attributes:
    """Makes these structures. Immutable, so threads may share it."""

    def __init__(self, library: Library, owner: MountOptions, options: FuseOptions, generation: int) -> None:
        """Make the structures of `library`; files belong to `owner`.

        Args:
            library: has the structures of this system.
            owner: the owner of the files, and the bits that are masked out of their modes.
            options: how long the kernel may cache the answers.
            generation: the generation number of every inode, 32 bits as in file handles. It differs for each
                mount, so that a file handle of one mount never opens a file of another.
        """
        self._library = library
        self._options = options
        self._generation = generation
        self._uid, self._gid = owner.uid, owner.gid
        # Writable for the owner, although the mount is read-only: `cp -p` keeps these modes.
        self._file_mode = stat.S_IFREG | (0o644 & ~owner.file_mask)
        self._root_mode = stat.S_IFDIR | (0o755 & ~owner.directory_mask)

    def of_file(self, entry: Entry) -> Any:
        """`struct stat` of a file."""
        found = self.blank()
        self._fill_file(found, entry)
        return found

    def of_root(self, changed_ns: int) -> Any:
        """`struct stat` of the root directory; `changed_ns` is its mtime, in ns since the epoch."""
        found = self.blank()
        self._fill_root(found, changed_ns)
        return found

    def of_node(self, number: int, entry: Entry | None) -> Any:
        """`struct fuse_entry_param` of a file.

        With the number 0, or the entry None (the root directory), a listing only gives the inode number and
        type.
        """
        found = self._library.entry(
            number, self._generation, attribute_seconds=self._options.attribute_seconds
        )
        found.entry_seconds = self._options.entry_seconds
        if number and entry is not None:
            self._fill_file(found.attributes, entry)
        else:
            self.fill_name(found.attributes, entry)
        return found

    def of_root_node(self, changed_ns: int) -> Any:
        """`struct fuse_entry_param` of the root directory."""
        found = self._library.entry(ROOT_NUMBER, attribute_seconds=self._options.attribute_seconds)
        found.entry_seconds = self._options.entry_seconds
        self._fill_root(found.attributes, changed_ns)
        return found

    def missing(self, seconds: float) -> Any:
        """`struct fuse_entry_param` of a name that does not exist, which the kernel caches for `seconds`."""
        return self._library.entry(entry_seconds=seconds)

    def of_space(self, size: int, files: int) -> Any:
        """`struct statvfs` of `size` bytes in that many files, without free space."""
        found = self._library.statvfs()
        found.f_bsize = found.f_frsize = _UNIT
        found.f_blocks = _units(size)
        found.f_files = files + 1
        found.f_namemax = NAME_MAX
        return found

    def blank(self) -> Any:
        """An empty `struct stat`."""
        return self._library.stat()

    def fill_name(self, found: Any, entry: Entry | None) -> None:
        """Fill in what a listing gives with each name: the inode number and the type."""
        found.st_ino, found.st_mode = (
            (ROOT_INODE, self._root_mode) if entry is None else (entry.inode, self._file_mode)
        )

    def _fill_file(self, found: Any, entry: Entry) -> None:
        found.st_ino, found.st_mode, found.st_nlink = entry.inode, self._file_mode, 1
        size = entry.size
        found.st_size, found.st_blocks = size, _units(size)
        self._fill_rest(found, storable(entry.resource.updated_ns))

    def _fill_root(self, found: Any, changed_ns: int) -> None:
        found.st_ino, found.st_mode, found.st_nlink = ROOT_INODE, self._root_mode, 2
        self._fill_rest(found, changed_ns)

    def _fill_rest(self, found: Any, moment_ns: int) -> None:
        found.st_uid, found.st_gid, found.st_blksize = self._uid, self._gid, _IO_SIZE
        seconds, nanoseconds = divmod(moment_ns, _NANOSECONDS)
        for moment in (found.st_atimespec, found.st_mtimespec, found.st_ctimespec):
            moment.tv_sec, moment.tv_nsec = seconds, nanoseconds


def _units(size: int) -> int:
    return -(-size // _UNIT)
