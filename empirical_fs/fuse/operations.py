"""What the kernel asks, answered from the catalogue and the readers: a function for each operation."""

import ctypes
import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from empirical_fs.catalog import Catalog
from empirical_fs.control import encoded
from empirical_fs.errors import Abandoned, ContentChanged, EmpiricalError, NoSuchFile, ResourceGone
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.directory import AFTER_PARENT, AFTER_SELF, Directory, cookie_after
from empirical_fs.fuse.errnos import UNTOLD, Refusal, errno_of
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.library import ROOT_NUMBER, Library
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.request import Desk, Request
from empirical_fs.fuse.tracing import TracedRequest
from empirical_fs.fuse.xattrs import extended_attributes
from empirical_fs.macos import NO_ATTRIBUTE
from empirical_fs.reading.readers import Handle
from empirical_fs.reading.walks import Walks
from empirical_fs.snapshot import Entry
from empirical_fs.statistics import Statistics
from empirical_fs.timer import Timer

_OF_USERS = b"user."
_SELF, _PARENT = b".", b".."
_NO_FLAGS = os.O_RDONLY
_SETTLE_SECONDS = 1.0
_SETTLE_TRIES = 2
_ANSWER_SECONDS = 5.0
"""What a command of the command line may take beyond its own patience."""

Command = Callable[[], dict[str, Any]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """What the directory has, what the kernel knows of it, and what opens it."""

    catalog: Catalog
    inodes: InodeTable
    walks: Walks


@dataclass(frozen=True, slots=True)
class Means:
    """What the answers are made with."""

    library: Library
    options: FuseOptions
    attributes: Attributes
    statistics: Statistics
    timer: Timer
    later: Executor
    """Runs what waits for the network or for the kernel."""
    for_commands: Executor
    """Runs what the command line asks for."""
    timeout: float
    """Seconds after which whatever waits has failed."""


@dataclass(eq=False, slots=True)
class _OpenFile:
    source: Handle | bytes
    node: Node
    waiting: "dict[_Waiting, None]" = field(default_factory=dict)
    """The reads that wait for their bytes. Each step is one operation on the dictionary."""
    left: tuple[int, ...] = ()
    """The thread that closed a descriptor last; another object each time."""


class _Waiting:
    """A read that waits: it is answered by whoever has its bytes, or hears why they will not come."""

    __slots__ = ("_caller", "_cancel", "_opened", "_operations", "_request")

    def __init__(self, operations: "Operations", request: Request, opened: _OpenFile) -> None:
        self._operations = operations
        self._request = request
        self._opened = opened
        self._caller = request.context.pid
        self._cancel: Callable[[], object] | None = None

    def begin(self, source: Handle, offset: int, size: int, left: tuple[int, ...]) -> None:
        """Ask for the bytes; `left` is who had closed a descriptor last when the read came."""
        opened = self._opened
        opened.waiting[self] = None
        # Who closed one meanwhile did not find this.
        if opened.left is not left:
            self.give_up_for(opened.left[0])
        if self._request.is_open:
            self._cancel = source.read(offset, size, self)
        if not self._request.is_open:
            opened.waiting.pop(self, None)
            if self._cancel is not None:
                self._cancel()

    def give_up_for(self, leaver: int) -> None:
        """A thread closes a descriptor: whoever does so, or is dead, waits for nothing."""
        if self._caller == leaver or not _is_alive(self._caller):
            self.fail(Abandoned("the reader does not wait any more"))

    def give(self, pieces: list[memoryview]) -> None:
        """The bytes are here, until this returns."""
        self._opened.waiting.pop(self, None)
        self._request.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        """The bytes will not come, or nobody waits for them."""
        self._opened.waiting.pop(self, None)
        if self._request.is_open:
            self._operations.read_failed(self._opened.node, self._request, error)
        if self._cancel is not None:
            self._cancel()


class Operations:
    """The file system as libfuse calls it, from several threads at once. No function here waits.

    What is open is in a dictionary, each step on which is one operation of it.
    """

    def __init__(
        self, files: Files, means: Means, commands: Mapping[int, Command], on_connected: Callable[[], None]
    ) -> None:
        """Serve `files`.

        Args:
            files: what is served.
            means: what the answers are made with.
            commands: what answers the ioctls of the command line.
            on_connected: called when the kernel has accepted the mount.
        """
        self._catalog, self._inodes, self._walks = files.catalog, files.inodes, files.walks
        self._directory = Directory(files.catalog)
        self._library, self._options, self._attributes = means.library, means.options, means.attributes
        self._statistics, self._timer = means.statistics, means.timer
        self._later, self._for_commands = means.later, means.for_commands
        self._timeout = means.timeout
        self._commands = commands
        self.connected = on_connected
        self._numbers = count(1)
        self._open_files: dict[int, _OpenFile] = {}
        self._is_traced = log.isEnabledFor(logging.DEBUG)
        if not means.library.has_readdirplus:
            self.readdirplus = None  # type: ignore[assignment,method-assign]

    def new_request(self, desk: Desk, raw: int, operation: str, words: tuple[Any, ...]) -> Request:
        """The request that an operation begins with."""
        if self._is_traced:
            return TracedRequest(desk, raw, self._described(operation, words))
        return Request(desk, raw)

    def failed(self, operation: str, request: Request, error: BaseException) -> None:
        """An operation has raised: answer the request, if it is still open, and tell of it."""
        if not request.is_open:
            log.error("%s failed after its answer", operation, exc_info=error)
            return
        self._refuse(operation, request, error, "/")

    def read_failed(self, node: Node, request: Request, error: EmpiricalError) -> None:
        """The bytes that a read waits for will not come."""
        if isinstance(error, ContentChanged | ResourceGone):
            # Before the answer: whoever hears of it opens the file again at once.
            self._catalog.distrust(node.entry.resource)
        self._refuse("read", request, error, f"/{node.entry.name}")

    def lookup(self, request: Request, parent: int, name: bytes) -> None:
        """Find a file by its name, or an inode by its number: `.` of a number, for a file handle."""
        if parent != ROOT_NUMBER or name in (_SELF, _PARENT):
            self._look_up_number(request, parent, name)
            return
        try:
            entry = self._catalog.lookup(name.decode(errors="surrogateescape"))
        except NoSuchFile:
            if not self._options.missing_seconds:
                raise
            request.give_entry(self._attributes.missing(self._options.missing_seconds))
            return
        node = self._inodes.tell(entry, self._options.attribute_seconds)
        if not request.give_entry(self._attributes.of_node(node.number, entry)):
            self._inodes.untell(node)

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
            found = self._attributes.of_root(self._catalog.snapshot().updated_ns)
        else:
            found = self._attributes.of_file(self._shown(self._node(number)))
        request.give_attributes(found, self._options.attribute_seconds)

    def open(self, request: Request, number: int, info: int) -> None:
        """Open a file for reading; the kernel's pages of it are of its version, whenever they came."""
        flags = self._library.file_info.from_address(info).flags
        if flags & (os.O_ACCMODE | os.O_TRUNC | os.O_APPEND) != _NO_FLAGS:
            raise Refusal(errno.EROFS)
        self._open(request, self._node(number), request.context.pid, _SETTLE_TRIES)

    def read(self, request: Request, _number: int, size: int, offset: int, info: int) -> None:
        """Bytes of an open file: at once where they are at hand, else when they are."""
        opened = self._open_files[self._library.file_info.from_address(info).fh]
        source = opened.source
        if isinstance(source, bytes):
            request.give_bytes(source[offset : offset + size])
            return
        ready = source.take_ready(offset, size)
        if ready is not None:
            part, pieces = ready
            try:
                request.give(pieces)
            finally:
                part.give_back()
            return
        left, waiting = opened.left, _Waiting(self, request, opened)
        request.defer(self._timeout, waiting.fail)
        waiting.begin(source, offset, size, left)

    def flush(self, request: Request, _number: int, info: int) -> None:
        """A descriptor is closed: reads that its thread began are given up.

        Who is killed while the kernel reads ahead for it is not reported; but it closes the file, and no
        thread closes a file while it waits for its bytes. If others wait for the same pages, the kernel asks
        anew.
        """
        opened, caller = self._open_files[self._library.file_info.from_address(info).fh], request.context.pid
        opened.left = (caller,)
        request.refuse(0)
        for waiting in list(opened.waiting):
            waiting.give_up_for(caller)

    def release(self, request: Request, _number: int, info: int) -> None:
        """The last descriptor of an open is closed."""
        self._close(self._library.file_info.from_address(info).fh)
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
        listing = self._library.file_info.from_address(info).fh
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
        listing = self._library.file_info.from_address(info).fh
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
                    self._inodes.untell(node)
                break
            at += taken
            if node is not None:
                told.append(node)
        if not request.give_bytes(buffer.raw[:at]):
            for node in told:
                self._inodes.untell(node)

    def releasedir(self, request: Request, _number: int, info: int) -> None:
        """End a listing."""
        self._directory.close(self._library.file_info.from_address(info).fh)
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
        request.defer(self._timeout + _ANSWER_SECONDS, partial(self._give_up, "ioctl", request, "/"))
        give = partial(self._give_answer, request, answer, room)
        self._run_later(request, "ioctl", "/", give, self._for_commands)

    @staticmethod
    def _give_answer(request: Request, answer: Command, room: int) -> None:
        request.give_ioctl(encoded(answer(), room))

    def _refuse_write(self, request: Request, *_words: object) -> None:
        request.refuse(errno.EROFS)

    setattr = mknod = mkdir = unlink = rmdir = symlink = rename = link = _refuse_write
    write = create = setxattr = removexattr = fallocate = _refuse_write

    def _look_up_number(self, request: Request, number: int, name: bytes) -> None:
        if name == _PARENT or number == ROOT_NUMBER:
            request.give_entry(self._attributes.of_root_node(self._catalog.latest.updated_ns))
            return
        if name != _SELF:
            raise Refusal(errno.ENOTDIR)
        node = self._node(number)
        now = self._catalog.current(node.entry)
        if now is None:
            raise Refusal(errno.ESTALE)
        entry = self._inodes.tell_again(node, self._options.attribute_seconds, now)
        if not request.give_entry(self._attributes.of_node(number, entry)):
            self._inodes.untell(node)

    def _open(self, request: Request, node: Node, caller: int, settle_tries: int) -> None:
        """Open a node, now or when it is known what it is."""
        resource = node.entry.resource
        if settle_tries and self._catalog.is_in_doubt(resource.id):
            # By the old listing it would be opened in vain, or just before it becomes something else.
            self._defer(request, "open", node)
            go_on = partial(self._open_in_time, request, node, caller, settle_tries - 1)
            alarm = self._timer.after(_SETTLE_SECONDS, go_on)
            self._catalog.when_settled(resource.id, alarm.ring)
            return
        now = self._catalog.current(node.entry)
        if now is None:
            raise Refusal(errno.ESTALE)
        if node.is_superseded_by(now):
            if not self._inodes.send_back(node, caller) and not node.handles:
                self._defer(request, "open", node)
                self._run_later(
                    request, "open", node.entry.name, partial(self._renew, request, node, caller, now)
                )
                return
            raise Refusal(errno.ESTALE)
        if not now.is_sized:
            # The kernel does not read past the size that it knows, which is 0 so far.
            self._defer(request, "open", node)
            self._run_later(
                request, "open", node.entry.name, partial(self._measure, request, node, caller, now)
            )
            return
        self._give_handle(request, node, now)

    def _open_in_time(self, request: Request, node: Node, caller: int, settle_tries: int) -> None:
        """Go on with an open that waited for the listing."""
        try:
            if request.is_open:
                self._open(request, node, caller, settle_tries)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is answered
            self._refuse("open", request, error, f"/{node.entry.name}")

    def _give_handle(self, request: Request, node: Node, entry: Entry) -> None:
        content = entry.content
        source: Handle | bytes = self._walks.open(entry.resource) if content is None else content
        if not self._inodes.open(node, None if isinstance(source, bytes) else source.content):
            if not isinstance(source, bytes):
                source.close()
            raise Refusal(errno.ESTALE)
        opened = self._library.file_info()
        opened.fh, opened.keep_cache, opened.direct_io = next(self._numbers), 1, self._options.is_direct
        self._open_files[opened.fh] = _OpenFile(source, node)
        if not request.give_open(opened):
            self._close(opened.fh)

    def _measure(self, request: Request, node: Node, caller: int, entry: Entry) -> None:
        """Find the size of a file; the kernel learns it when it looks the name up again."""
        self._catalog.measure(entry.resource)
        now = self._catalog.current(node.entry)
        if now is not None and node.is_superseded_by(now):
            self._inodes.send_back(node, caller)
            raise Refusal(errno.ESTALE)
        self._give_handle(request, node, entry if now is None else now)

    def _renew(self, request: Request, node: Node, caller: int, now: Entry) -> None:
        """Open a node that was found by its number as what its resource is now."""
        self._inodes.renew(node, now)
        if node.is_superseded_by(self._catalog.current(node.entry)):
            raise Refusal(errno.ESTALE)
        self._open(request, node, caller, 0)

    def _close(self, handle: int) -> None:
        opened = self._open_files.pop(handle)
        self._inodes.release(opened.node)
        if not isinstance(opened.source, bytes):
            opened.source.close()

    def _defer(self, request: Request, operation: str, node: Node) -> None:
        if not request.is_deferred:
            request.defer(self._timeout, partial(self._give_up, operation, request, f"/{node.entry.name}"))

    def _give_up(self, operation: str, request: Request, subject: str, error: EmpiricalError) -> None:
        self._refuse(operation, request, error, subject)

    def _run_later(
        self,
        request: Request,
        operation: str,
        subject: str,
        work: Callable[[], object],
        by: Executor | None = None,
    ) -> None:
        """Do what waits for the network or the kernel, in a thread that may; it answers the request."""

        def run() -> None:
            try:
                if request.is_open:
                    work()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is answered
                self._refuse(operation, request, error, f"/{subject.removeprefix('/')}")

        (by or self._later).submit(run)

    def _refuse(self, operation: str, request: Request, error: BaseException, subject: str) -> None:
        """Answer with the errno of an error, and tell the log and the statistics of it if it is an event."""
        number = errno_of(error)
        if not request.refuse(errno.EIO if number is None else number):
            return
        if number is None:
            log.error("%s %s failed in a way that it should not", operation, subject, exc_info=error)
            self._statistics.failed(errno.errorcode[errno.EIO])
        elif isinstance(error, EmpiricalError):
            if not isinstance(error, NoSuchFile):
                self._statistics.failed(errno.errorcode[number])
            if not isinstance(error, UNTOLD):
                log.warning("%s %s: %s", operation, subject, error)

    def _node(self, number: int) -> Node:
        node = self._inodes.find(number)
        if node is None:
            raise Refusal(errno.ESTALE)
        return node

    def _shown(self, node: Node) -> Entry:
        """What a node shows: while it is open, what it was opened for, whatever its resource is by now."""
        now = self._catalog.current(node.entry)
        return now if now is not None and not node.handles and node.is_superseded_by(now) else node.entry

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
        return f"{operation} {'/' + subject!r}{extent}"


def _give_value(request: Request, value: bytes, size: int) -> None:
    """Answer with a value, or, to who has no room yet, with its size."""
    if not size:
        request.give_size(len(value))
    elif size < len(value):
        raise Refusal(errno.ERANGE)
    else:
        request.give_bytes(value)


def _is_alive(thread: int) -> bool:
    """Whether there is a thread of that id; one that cannot be seen from here is not said to be dead."""
    try:
        os.kill(thread, 0) if thread > 0 else None
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
