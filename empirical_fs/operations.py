"""What the kernel asks, answered from the catalogue and the readers: fusepy's Operations.

No HTTP and no policy here; this is the one place where exceptions become errno.
"""

import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

from empirical_fs.catalog import Catalog
from empirical_fs.clock import Deadline
from empirical_fs.control import put_answer
from empirical_fs.directory import Directory
from empirical_fs.errors import (
    Abandoned,
    ContentChanged,
    EmpiricalError,
    KeyRefused,
    NoSuchFile,
    OutOfReach,
    ResourceGone,
)
from empirical_fs.extended_attributes import extended_attributes
from empirical_fs.inodes import Inode, is_retired
from empirical_fs.kernel import FileInfo, Kernel, Wait
from empirical_fs.macos import NO_ATTRIBUTE
from empirical_fs.mount_options import MountOptions
from empirical_fs.names import NAME_MAX
from empirical_fs.reading.readers import Handle
from empirical_fs.reading.walks import Walks
from empirical_fs.retirement import Retirement
from empirical_fs.snapshot import ROOT_INODE, Entry
from empirical_fs.statistics import Statistics

ERRNO: dict[type[EmpiricalError], int] = {
    NoSuchFile: errno.ENOENT,
    KeyRefused: errno.EACCES,
    # The bytes that the handle was opened for are no longer there, for whatever reason: NFS's word for it.
    ContentChanged: errno.ESTALE,
    ResourceGone: errno.ESTALE,
    Abandoned: errno.EINTR,
    # Everything else is a read that failed, and did so within the deadline.
    EmpiricalError: errno.EIO,
}

_UNTOLD = (NoSuchFile, Abandoned, KeyRefused, OutOfReach)
"""What is no event, or one that was told in the log when it began."""

_OF_USERS = "user."
_UNIT = 512
_LEFT_MAX = 256
_IO_SIZE = 4096
_DOTS = (".", "..")

log = logging.getLogger(__name__)

Attributes = dict[str, int]


@dataclass(frozen=True, slots=True)
class _OpenFile:
    source: Handle | bytes
    inode: Inode
    left: dict[int, float] = field(default_factory=dict)
    """The threads that closed the file, or a copy of its descriptor, and when on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the directory has, what of it is open, and what opens it."""

    catalog: Catalog
    directory: Directory
    retirement: Retirement
    walks: Walks


@dataclass(frozen=True, slots=True)
class Overseers:
    """Who asks what becomes of all this, and who counts it."""

    statistics: Statistics
    commands: Mapping[int, Callable[[], dict[str, Any]]]
    """What answers the commands of `control`."""


class Operations:
    """The file system as fusepy calls it, from several threads at once.

    The lock guards the table of open files; it is held for neither a request nor a read.
    """

    use_ns = True
    # Libfuse gives no path with a handle, and so does not keep an inode from moving while it is read.
    flag_nullpath_ok = flag_nopath = 1

    # Not implemented: the kernel is told so at the first call, and asks no more.
    bmap = lock = readlink = None

    def __init__(
        self, files: Files, kernel: Kernel, overseers: Overseers, owner: MountOptions, timeout: float
    ) -> None:
        """Serve `files`; a read that takes `timeout` seconds fails."""
        self._statistics = overseers.statistics
        self._commands = overseers.commands
        self._catalog = files.catalog
        self._directory = files.directory
        self._retirement = files.retirement
        self._walks = files.walks
        self._kernel = kernel
        self._timeout = timeout
        self._owner = {"st_uid": owner.uid, "st_gid": owner.gid}
        self._file_mode = stat.S_IFREG | (0o444 & ~owner.umask)
        self._root_mode = stat.S_IFDIR | (0o555 & ~owner.umask)
        self._lock = threading.Lock()
        self._open_files: dict[int, _OpenFile] = {}
        self._numbers = count(1)

    def __call__(self, operation: str, *args: Any) -> Any:
        """Run one operation; whatever goes wrong leaves as an OSError with an errno.

        fusepy would print a traceback, answer EINVAL, or bring the mount down for anything else.
        """
        try:
            return getattr(self, operation)(*args)
        except EmpiricalError as error:
            number = next(ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO)
            if not isinstance(error, NoSuchFile):
                self._statistics.failed(errno.errorcode[number])
            if not isinstance(error, _UNTOLD):
                log.warning("%s %s: %s", operation, self.subject(args), error)
            raise _os_error(number) from error
        except BaseException as error:
            if isinstance(error, OSError) and error.errno:
                raise
            log.exception("%s failed in a way that it should not", operation)
            self._statistics.failed(errno.errorcode[errno.EIO])
            raise _os_error(errno.EIO) from error

    def subject(self, args: tuple[Any, ...]) -> str:
        """The path that an operation with these arguments is for, which it may tell by its handle alone."""
        if args[0] is not None:
            return str(args[0])
        opened = self._open_files.get(getattr(args[-1], "fh", 0))
        return "/" if opened is None else f"/{opened.inode.entry.name}"

    def init(self, path: str) -> None:
        """The mount is up."""
        self._kernel.connected()

    def destroy(self, path: str) -> None:
        """The mount is down."""
        self._kernel.disconnected()

    def getattr(self, path: str, file_info: FileInfo | None = None) -> Attributes:
        """The attributes of a file or of the root, from the snapshot."""
        if path == "/":
            return self._of_root()
        # A handle has the attributes of what it was opened for, whatever its name means by now.
        if file_info is not None:
            entry = self._open_files[file_info.fh].inode.entry
        else:
            entry = self._shown(path.removeprefix("/"))
        return self._of_file(entry)

    def listxattr(self, path: str) -> list[str]:
        """The names of the extended attributes of a file; the root has none."""
        return [] if path == "/" else list(self._extended(path))

    def getxattr(self, path: str, name: str) -> bytes:
        """An extended attribute of a file."""
        if not name.startswith(_OF_USERS):
            # In one word for the whole file system: who asks for access control lists asks no more.
            raise _os_error(errno.EOPNOTSUPP)
        value = None if path == "/" else self._extended(path).get(name)
        if value is None:
            raise _os_error(NO_ATTRIBUTE)
        return value

    def opendir(self, path: str) -> int:
        """Begin a listing."""
        return self._directory.open()

    def readdir(self, path: None, handle: int, offset: int) -> Iterator[tuple[str, int, int]]:
        """Every name, with the inode number and the mode, wherever the program has read to."""
        for name in _DOTS:
            yield name, ROOT_INODE, self._root_mode
        for entry in self._directory.entries(handle, offset):
            yield entry.name, entry.inode, self._file_mode

    def readdirplus(self, path: None, handle: int, offset: int) -> Iterator[tuple[str, Attributes, bool]]:
        """Names from `offset` on, with attributes, and whether the kernel is to be told these."""
        for name in _DOTS[offset:]:
            yield name, self._of_root(), False
        first = max(0, offset - len(_DOTS))
        for entry, is_told in self._directory.entries_to_tell(handle, offset, first):
            yield entry.name, self._of_file(entry), is_told

    def releasedir(self, path: None, handle: int) -> int:
        """End a listing."""
        self._directory.close(handle)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """The sum of the sizes as the size of the file system, and nothing free."""
        # Desktops ask how full each disk is every minute, which is no look at the directory.
        snapshot = self._catalog.latest
        return {
            "f_bsize": _UNIT,
            "f_frsize": _UNIT,
            "f_blocks": _units(snapshot.size),
            "f_files": len(snapshot.by_name) + 1,
            "f_namemax": NAME_MAX,
        }

    def open(self, path: str, file_info: FileInfo) -> int:
        """Open a file for reading, and tell the kernel what to do with the pages that it holds."""
        if file_info.flags & (os.O_ACCMODE | os.O_TRUNC | os.O_APPEND) != os.O_RDONLY:
            self._refuse_write()
        name = path.removeprefix("/")
        if is_retired(name):
            self._look_up_again()
        entry = self._catalog.lookup_to_open(name)
        if not entry.is_sized:
            # The kernel does not read past the size that it knows, which is 0 so far.
            self._catalog.measure(entry.resource)
            self._retirement.send_back(name)
            self._look_up_again()
        source: Handle | bytes
        version: Hashable
        if entry.content is not None:
            version, source = entry.content, entry.content
        else:
            source = self._walks.open(entry.resource)
            version = source.content
        opened = self._retirement.open(name, entry, version)
        if opened is None:
            if not isinstance(source, bytes):
                source.close()
            self._look_up_again()
        inode, file_info.keep_cache = opened
        with self._lock:
            file_info.fh = next(self._numbers)
            self._open_files[file_info.fh] = _OpenFile(source, inode)
        # The listing may have been replaced since it was looked at.
        self._retirement.check(name, self._catalog.snapshot().by_name.get(name))
        return 0

    def read(self, path: None, view: memoryview, offset: int, file_info: FileInfo) -> int:
        """Fill `view` with bytes of an open file; their number, fewer only at its end."""
        opened = self._open_files[file_info.fh]
        source = opened.source
        if isinstance(source, bytes):
            piece = source[offset : offset + len(view)]
            view[: len(piece)] = piece
            return len(piece)
        if source.read_ready(view, offset):
            return len(view)
        wait = Wait(self._kernel, opened.left)
        try:
            return source.read_into(view, offset, Deadline.after(self._timeout, wait.is_over))
        except (ContentChanged, ResourceGone):
            self._catalog.distrust(opened.inode.entry.resource)
            raise

    def release(self, path: None, file_info: FileInfo) -> int:
        """Close an open file."""
        with self._lock:
            opened = self._open_files.pop(file_info.fh)
        self._retirement.release(opened.inode)
        if not isinstance(opened.source, bytes):
            opened.source.close()
        return 0

    def flush(self, path: None, file_info: FileInfo) -> int:
        """A descriptor is closed: nothing was ever written, but reads for that thread are given up."""
        left = self._open_files[file_info.fh].left
        if len(left) >= _LEFT_MAX:
            left.clear()
        left[self._kernel.caller()] = time.monotonic()
        return 0

    def fsync(self, path: None, datasync: int, file_info: FileInfo) -> int:
        """Nothing is ever written."""
        return 0

    def ioctl(self, path: None, command: int, room: memoryview) -> int:
        """Answer the command line; for everyone else this is no device."""
        if command not in self._commands:
            raise _os_error(errno.ENOTTY)
        if self._kernel.caller_user() not in (0, os.getuid()):
            raise _os_error(errno.EPERM)
        put_answer(room, self._commands[command]())
        return 0

    def rename(self, old: str, new: str) -> int:
        """Nobody's but our own: an inode moves to where it keeps its version."""
        if not self._retirement.accept(old.removeprefix("/"), new.removeprefix("/")):
            self._refuse_write()
        return 0

    def _refuse_write(self, *args: object) -> NoReturn:
        raise _os_error(errno.EROFS)

    chmod = chown = create = link = mkdir = mknod = removexattr = _refuse_write
    rmdir = setxattr = symlink = truncate = unlink = utimens = write = _refuse_write

    def _shown(self, name: str) -> Entry:
        """What the kernel is told of a name, or of a retired inode."""
        shown = self._retirement.shown_at(name)
        if shown is None and is_retired(name):
            self._look_up_again()
        if shown is None:
            shown = self._retirement.tell(name, self._catalog.lookup(name))
            # The listing may have been replaced since it was looked at.
            self._retirement.check(name, self._catalog.snapshot().by_name.get(name))
        return shown

    def _extended(self, path: str) -> Mapping[str, bytes]:
        return extended_attributes(self._shown(path.removeprefix("/")).resource)

    def _look_up_again(self) -> NoReturn:
        """Have the kernel look a name up once more: its inode or size is new (do_filp_open in Linux)."""
        raise _os_error(errno.ESTALE)

    def _of_root(self) -> Attributes:
        return self._attributes(ROOT_INODE, self._root_mode, 2, 0, self._catalog.snapshot().updated_ns)

    def _of_file(self, entry: Entry) -> Attributes:
        return self._attributes(entry.inode, self._file_mode, 1, entry.size, entry.resource.updated_ns)

    def _attributes(self, inode: int, mode: int, links: int, size: int, updated_ns: int) -> Attributes:
        return {
            "st_ino": inode,
            "st_mode": mode,
            "st_nlink": links,
            "st_size": size,
            "st_blocks": _units(size),
            "st_blksize": _IO_SIZE,
            "st_atime": updated_ns,
            "st_mtime": updated_ns,
            "st_ctime": updated_ns,
            **self._owner,
        }


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _units(size: int) -> int:
    return -(-size // _UNIT)
