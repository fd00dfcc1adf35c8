"""Answers the kernel's requests from the catalogue and the readers: one function for each operation."""

import ctypes
import errno
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from empirical_fs.control.protocol import encoded
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.catalog_waits import CatalogWaits
from empirical_fs.fuse.directory_reads import DirectoryReads
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.file_reads import FileReads
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.followed_files import FollowedFiles
from empirical_fs.fuse.getattr import GetAttr
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.lookup import Lookup
from empirical_fs.fuse.nodes import ROOT_NUMBER, Node
from empirical_fs.fuse.opening import Caller, Opener
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import OpenRequests, Request
from empirical_fs.fuse.revalidation import Revalidation
from empirical_fs.fuse.store_backoff import StoreBackoff
from empirical_fs.fuse.tracing import TracedRequest
from empirical_fs.fuse.xattr_reads import ShareOnDisk, XattrReads, check_name
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Timer

_O_DIRECT = getattr(os, "O_DIRECT", 0)  # macOS does not have it
_ANSWER_SECONDS = 5.0
"""Seconds that a command of the command line may take in addition to the timeout of operations."""

Command = Callable[[bytes], dict[str, Any]]
"""Answers a command; called with what was sent along."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """The objects that `Operations` needs to make its answers."""

    library: Library
    options: FuseOptions
    attributes: Attributes
    answering: Answering
    timer: Timer
    commands: Mapping[int, Command]
    """The functions that answer the ioctls of the command line, by ioctl number."""
    for_commands: Pool
    """The threads that run these functions."""
    on_disk: ShareOnDisk | None = None
    """How much of a file is on disk; None if the cache is off."""


class Operations:
    """The file system's operations, which libfuse calls from several threads. None of them blocks."""

    def __init__(self, files: Files, tools: Tools, on_connected: Callable[[], None]) -> None:
        """Serve `files`; `on_connected` is called when the kernel has accepted the mount."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._library, self._options, self._attributes = tools.library, tools.options, tools.attributes
        self._answering = tools.answering
        self._commands, self._for_commands = tools.commands, tools.for_commands
        self._xattr_reads = XattrReads(files.catalog, tools.answering, tools.on_disk)
        self._directory_reads = DirectoryReads(files, tools.library, tools.attributes, tools.options)
        followed = FollowedFiles()
        waits = CatalogWaits(files.catalog, tools.answering, tools.timer)
        backoff = StoreBackoff()
        redating = Redating(files.inodes, files.walks, tools.answering, backoff)
        self._opener = Opener(
            files,
            tools.answering,
            tools.library,
            waits,
            Revalidation(files, tools.timer, backoff),
            backoff,
            redating,
            followed,
            is_direct=tools.options.is_direct,
        )
        self._reads = FileReads(files, self._opener, tools.answering, waits, tools.timer)
        self._getattr = GetAttr(files, tools.attributes, tools.options, redating, followed, waits)
        self._lookup = Lookup(files, tools.attributes, tools.options, waits)
        self.connected = on_connected
        self._is_traced = log.isEnabledFor(logging.DEBUG)

    def new_request(
        self, requests: OpenRequests, raw: int, operation: str, words: tuple[Any, ...]
    ) -> Request:
        """Make the object for a new request."""
        if self._is_traced:
            return TracedRequest(requests, raw, self._described(operation, words))
        return Request(requests, raw)

    def failed(self, operation: str, request: Request, error: BaseException) -> None:
        """Answer the request of an operation that raised, if it is still open; log the error if not."""
        if not request.is_open:
            log.error("%s failed after its answer", operation, exc_info=error)
            return
        self._answering.refuse(request, About(operation, "/"), error)

    def lookup(self, request: Request, parent: int, name: bytes) -> None:
        """Find a file by its name, or an inode by its number (the name `.` in `parent`, for file handles)."""
        self._lookup.answer(request, parent, name)

    def forget(self, request: Request, number: int, lookups: int) -> None:
        """Note that the kernel forgets that many lookups of an inode."""
        self._inodes.forget(number, lookups)
        request.forget()

    def forget_multi(self, request: Request, number: int, forgets: Any) -> None:
        """As `forget`, for several inodes."""
        for each in forgets[:number]:
            self._inodes.forget(each.number, each.lookups)
        request.forget()

    def getattr(self, request: Request, number: int, _info: int | None) -> None:
        """Answer with the attributes of an inode."""
        if number == ROOT_NUMBER:
            self._getattr.answer_root(request)
        else:
            self._getattr.answer(request, self._node(number))

    def open(self, request: Request, number: int, info: int) -> None:
        """Open a file for reading; the kernel's cached pages of it are of its version, however old.

        Raises:
            Refusal: it is to be written (EROFS), or its version is over (ESTALE).
        """
        flags = self._library.file_info.from_address(info).flags
        if flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            raise Refusal(errno.EROFS)
        caller = Caller(request.context.pid, is_direct=bool(flags & _O_DIRECT))
        self._opener.open(request, self._node(number), caller)

    def read(self, request: Request, _number: int, size: int, offset: int, info: int) -> None:
        """Answer with bytes of an open file: at once if they have arrived, else when they arrive."""
        self._reads.read(request, self._opener.opened(self._handle(info)), offset, size)

    def flush(self, request: Request, _number: int, info: int) -> None:
        """A descriptor is closed: nothing was written, but reads that its thread began are given up."""
        opened, caller = self._opener.opened(self._handle(info)), request.context.pid
        request.refuse(0)
        opened.leave(caller)

    def release(self, request: Request, _number: int, info: int) -> None:
        """Close an open file whose last descriptor is closed."""
        handle = self._handle(info)
        self._reads.leave(self._opener.opened(handle))
        self._opener.close(handle)
        request.refuse(0)

    def fsync(self, request: Request, _number: int, _datasync: int, _info: int) -> None:
        """Answer with success: nothing is ever written."""
        request.refuse(0)

    def opendir(self, request: Request, _number: int, _info: int) -> None:
        """Open the directory."""
        self._directory_reads.open(request)

    def readdir(self, request: Request, _number: int, size: int, cookie: int, info: int) -> None:
        """Answer with the names after `cookie`, with inode numbers and types, as many as fit into `size`."""
        self._directory_reads.read(request, self._handle(info), size, cookie)

    def readdirplus(self, request: Request, _number: int, size: int, cookie: int, info: int) -> None:
        """As `readdir`, with all attributes, which the kernel caches like those of a lookup."""
        self._directory_reads.read_with_attributes(request, self._handle(info), size, cookie)

    def releasedir(self, request: Request, _number: int, info: int) -> None:
        """Close the directory."""
        self._directory_reads.close(self._handle(info))
        request.refuse(0)

    def statfs(self, request: Request, _number: int) -> None:
        """Answer with the sum of the file sizes as the size of the file system, without free space."""
        # Desktops ask every minute how full each disk is; that must not count as use of the directory.
        snapshot = self._catalog.latest
        request.give_statfs(self._attributes.of_space(snapshot.size, len(snapshot.by_name)))

    def listxattr(self, request: Request, number: int, size: int) -> None:
        """Answer with the names of the extended attributes of a file; the root directory has none."""
        self._xattr_reads.list(request, self._file(number), size)

    def getxattr(self, request: Request, number: int, name: bytes, size: int, *_position: int) -> None:
        """Answer with an extended attribute of a file; macOS passes a position in addition."""
        check_name(name)
        self._xattr_reads.get(request, self._file(number), name, size)

    def ioctl(self, request: Request, _number: int, command: int, *words: Any) -> None:
        """Answer an ioctl of our command line.

        Raises:
            Refusal: it is another ioctl (ENOTTY), or of another user who is not root (EPERM).
        """
        answer, (sent, size, room) = self._commands.get(command), words[-3:]
        if answer is None:
            raise Refusal(errno.ENOTTY)
        if request.context.uid not in (0, os.getuid()):
            raise Refusal(errno.EPERM)
        about = About("ioctl", "/")
        # The memory is libfuse's, and is there for the length of this call.
        question = ctypes.string_at(sent, size) if sent and size else b""
        self._answering.defer(request, about, _ANSWER_SECONDS)
        work = partial(_give_answer, request, partial(answer, question), room)
        self._answering.go_on_later(request, about, work, self._for_commands)

    def _refuse_write(self, request: Request, *_words: object) -> None:
        request.refuse(errno.EROFS)

    setattr = mknod = mkdir = unlink = rmdir = symlink = rename = link = _refuse_write
    write = create = setxattr = removexattr = fallocate = _refuse_write

    def _handle(self, info: int) -> int:
        """The handle in the `struct fuse_file_info` of an operation."""
        return int(self._library.file_info.from_address(info).fh)

    def _node(self, number: int) -> Node:
        node = self._inodes.find(number)
        if node is None:
            raise Refusal(errno.ESTALE)
        return node

    def _file(self, number: int) -> Node | None:
        """The node of a file; None for the root directory."""
        return None if number == ROOT_NUMBER else self._node(number)

    def _described(self, operation: str, words: tuple[Any, ...]) -> str:
        """What an operation is about, for the log. File names are quoted, since they may have line breaks."""
        number = None if operation == "forget_multi" else words[0]
        if operation == "lookup" and number == ROOT_NUMBER:
            subject = words[1].decode(errors="surrogateescape")
        else:
            node = self._inodes.find(number) if isinstance(number, int) else None
            subject = "" if node is None else node.entry.name
        extent = f" {words[1]} bytes at {words[2]}" if operation == "read" else ""
        if operation == "getxattr":
            extent = f" {words[1].decode(errors='surrogateescape')!r}"
        return f"{operation} {'/' + subject!r}{extent}"


def _give_answer(request: Request, answer: Callable[[], dict[str, Any]], room: int) -> None:
    request.give_ioctl(encoded(answer(), room))
