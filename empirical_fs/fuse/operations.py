"""What the kernel asks, answered from the catalogue and the readers: a function for each operation."""

import ctypes
import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.control.protocol import encoded
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.directory import AFTER_PARENT, AFTER_SELF, Directory, cookie_after
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.file_reads import FileReads
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.first_looks import FirstLooks
from empirical_fs.fuse.followers import Followers
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.looking_up import LookingUp
from empirical_fs.fuse.nodes import ROOT_NUMBER, Node
from empirical_fs.fuse.opening import Opener
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import OpenRequests, Request
from empirical_fs.fuse.settling import Settling
from empirical_fs.fuse.showing import Showing
from empirical_fs.fuse.tracing import TracedRequest
from empirical_fs.fuse.xattrs import extended_attributes
from empirical_fs.macos import NO_ATTRIBUTE
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Timer

_OF_USERS = b"user."
_SELF, _PARENT = b".", b".."
_ANSWER_SECONDS = 5.0
"""What a command of the command line may take beyond its own patience."""

Command = Callable[[], dict[str, Any]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the answers are made with."""

    library: Library
    options: FuseOptions
    attributes: Attributes
    answering: Answering
    timer: Timer
    commands: Mapping[int, Command]
    """What answers the ioctls of the command line."""
    for_commands: Pool
    """Runs that."""


class Operations:
    """The file system as libfuse calls it, from several threads at once. No function here waits."""

    def __init__(self, files: Files, tools: Tools, on_connected: Callable[[], None]) -> None:
        """Serve `files`; `on_connected` is called when the kernel has accepted the mount."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._library, self._options, self._attributes = tools.library, tools.options, tools.attributes
        self._answering = tools.answering
        self._commands, self._for_commands = tools.commands, tools.for_commands
        self._directory = Directory(files.catalog)
        followers = Followers()
        settling = Settling(files.catalog, tools.answering, tools.timer)
        redating = Redating(files.inodes, files.walks, tools.answering)
        self._opener = Opener(
            files,
            tools.answering,
            tools.library,
            settling,
            FirstLooks(files, tools.timer),
            redating,
            followers,
            is_direct=tools.options.is_direct,
        )
        self._reads = FileReads(files, self._opener, tools.answering, settling, tools.timer)
        self._showing = Showing(files, tools.attributes, tools.options, redating, followers, settling)
        self._looking_up = LookingUp(files, tools.answering, tools.attributes, tools.options, tools.timer)
        self.connected = on_connected
        self._is_traced = log.isEnabledFor(logging.DEBUG)

    def new_request(
        self, requests: OpenRequests, raw: int, operation: str, words: tuple[Any, ...]
    ) -> Request:
        """The request that an operation begins with."""
        if self._is_traced:
            return TracedRequest(requests, raw, self._described(operation, words))
        return Request(requests, raw)

    def failed(self, operation: str, request: Request, error: BaseException) -> None:
        """An operation has raised: answer the request, if it is still open, and tell of it."""
        if not request.is_open:
            log.error("%s failed after its answer", operation, exc_info=error)
            return
        self._answering.refuse(request, About(operation, "/"), error)

    def lookup(self, request: Request, parent: int, name: bytes) -> None:
        """Find a file by its name, or an inode by its number: `.` of a number, for a file handle."""
        self._looking_up.look_up(request, parent, name)

    def forget(self, request: Request, number: int, lookups: int) -> None:
        """The kernel forgets so many lookups of an inode."""
        self._inodes.forget(number, lookups)
        request.forget()

    def forget_multi(self, request: Request, number: int, forgets: Any) -> None:
        """The same of several inodes."""
        for each in forgets[:number]:
            self._inodes.forget(each.number, each.lookups)
        request.forget()

    def getattr(self, request: Request, number: int, _info: int | None) -> None:
        """The attributes of an inode."""
        if number == ROOT_NUMBER:
            self._showing.show_root(request)
        else:
            self._showing.show(request, self._node(number))

    def open(self, request: Request, number: int, info: int) -> None:
        """Open a file for reading; the kernel's pages of it are of its version, whenever they came."""
        flags = self._library.file_info.from_address(info).flags
        if flags & (os.O_ACCMODE | os.O_TRUNC) != os.O_RDONLY:
            raise Refusal(errno.EROFS)
        self._opener.open(request, self._node(number), request.context.pid)

    def read(self, request: Request, _number: int, size: int, offset: int, info: int) -> None:
        """Bytes of an open file: at once where they are at hand, else when they are."""
        self._reads.read(request, self._opener.opened(self._handle(info)), offset, size)

    def flush(self, request: Request, _number: int, info: int) -> None:
        """A descriptor is closed: nothing was ever written, but its thread waits for nothing any more."""
        opened, caller = self._opener.opened(self._handle(info)), request.context.pid
        request.refuse(0)
        opened.leave(caller)

    def release(self, request: Request, _number: int, info: int) -> None:
        """The last descriptor of an open is closed."""
        handle = self._handle(info)
        self._reads.leave(self._opener.opened(handle))
        self._opener.close(handle)
        request.refuse(0)

    def fsync(self, request: Request, _number: int, _datasync: int, _info: int) -> None:
        """Nothing is ever written."""
        request.refuse(0)

    def opendir(self, request: Request, _number: int, _info: int) -> None:
        """Begin a listing."""
        opened = self._library.file_info()
        opened.fh = self._directory.open()
        if not request.give_open(opened):
            self._directory.close(opened.fh)

    def readdir(self, request: Request, _number: int, size: int, cookie: int, info: int) -> None:
        """Names from a place on, with inode numbers and types, as many as there is room for."""
        buffer, attributes = ctypes.create_string_buffer(size), self._attributes.blank()
        at = 0
        listing = self._handle(info)
        for name, place, entry in self._listed(listing, cookie):
            self._attributes.fill_name(attributes, entry)
            room = size - at
            taken = self._library.add_entry(
                request.raw, ctypes.byref(buffer, at), room, name, ctypes.byref(attributes), place
            )
            if taken > room:
                break
            at += taken
        request.give_bytes(buffer.raw[:at])

    def readdirplus(self, request: Request, _number: int, size: int, cookie: int, info: int) -> None:
        """The same with all attributes, which the kernel takes as it does those of a lookup.

        It is not told while it has them, for it would ask for all of them with the next listing, too
        (fuse_advise_use_readdirplus in Linux), nor where a lookup would tell something else.
        """
        buffer, at, told = ctypes.create_string_buffer(size), 0, []
        listing = self._handle(info)
        for name, place, entry in self._listed(listing, cookie):
            node = None
            if entry is not None and self._is_to_be_told(listing, entry):
                node = self._inodes.tell(entry, self._options.attribute_seconds)
            found = self._attributes.of_node(0 if node is None else node.number, entry)
            room = size - at
            taken = self._library.add_entry_plus(
                request.raw, ctypes.byref(buffer, at), room, name, ctypes.byref(found), place
            )
            if taken > room:
                if node is not None:
                    self._inodes.take_back(node)
                break
            at += taken
            if node is not None:
                told.append(node)
        if not request.give_bytes(buffer.raw[:at]):
            for node in told:
                self._inodes.take_back(node)

    def releasedir(self, request: Request, _number: int, info: int) -> None:
        """End a listing."""
        self._directory.close(self._handle(info))
        request.refuse(0)

    def statfs(self, request: Request, _number: int) -> None:
        """The sum of the sizes as the size of the file system, and nothing free."""
        # Desktops ask how full each disk is every minute, which is no look at the directory.
        snapshot = self._catalog.latest
        request.give_statfs(self._attributes.of_space(snapshot.size, len(snapshot.by_name)))

    def listxattr(self, request: Request, number: int, size: int) -> None:
        """The names of the extended attributes of a file; the root has none."""
        names = b"".join(name.encode() + b"\0" for name in self._extended(number))
        _give_value(request, names, size)

    def getxattr(self, request: Request, number: int, name: bytes, size: int, *_position: int) -> None:
        """An extended attribute of a file; macOS has a position beside."""
        if name == _OF_USERS:
            raise Refusal(errno.EINVAL)
        if not name.startswith(_OF_USERS):
            # In one word for the whole file system: who asks for access control lists asks no more.
            raise Refusal(errno.EOPNOTSUPP)
        value = self._extended(number).get(name.decode(errors="surrogateescape"))
        if value is None:
            raise Refusal(NO_ATTRIBUTE)
        _give_value(request, value, size)

    def ioctl(self, request: Request, _number: int, command: int, *words: Any) -> None:
        """Answer the command line; for everyone else this is no device."""
        answer, room = self._commands.get(command), words[-1]
        if answer is None:
            raise Refusal(errno.ENOTTY)
        if request.context.uid not in (0, os.getuid()):
            raise Refusal(errno.EPERM)
        about = About("ioctl", "/")
        self._answering.defer(request, about, _ANSWER_SECONDS)
        work = partial(_give_answer, request, answer, room)
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

    def _extended(self, number: int) -> Mapping[str, bytes]:
        """What the listing says now of the resource; of one that it has no more, what it said last."""
        if number == ROOT_NUMBER:
            return {}
        node = self._node(number)
        now = self._catalog.current(node.entry)
        return extended_attributes((now or node.entry).resource)

    def _listed(self, listing: int, cookie: int) -> Iterator[tuple[bytes, int, Entry | None]]:
        """Names from a place on, each with the place behind it; None is the directory itself."""
        if cookie < AFTER_SELF:
            yield _SELF, AFTER_SELF, None
        if cookie < AFTER_PARENT:
            yield _PARENT, AFTER_PARENT, None
        for entry in self._directory.entries(listing, cookie):
            yield entry.name.encode(), cookie_after(entry), entry

    def _is_to_be_told(self, listing: int, entry: Entry) -> bool:
        return (
            entry.is_sized and self._directory.is_latest(listing) and not self._inodes.has_attributes(entry)
        )

    def _described(self, operation: str, words: tuple[Any, ...]) -> str:
        """What an operation is about; its name as a literal, for that may have a line break in it."""
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


def _give_answer(request: Request, answer: Command, room: int) -> None:
    request.give_ioctl(encoded(answer(), room))


def _give_value(request: Request, value: bytes, size: int) -> None:
    """Answer with a value, or, to who has no room yet, with its size."""
    if not size:
        request.give_size(len(value))
    elif size < len(value):
        raise Refusal(errno.ERANGE)
    else:
        request.give_bytes(value)
