"""A directory of four files that is served to a kernel which is no kernel: what answers, and its fakes."""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.errors import NoSuchFile
from empirical_fs.fuse.answering import Answering
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.operations import Operations, Tools
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.passthrough import Passthrough
from empirical_fs.fuse.structures import entry_type
from empirical_fs.reading.content import Content
from empirical_fs.settings.mount_options import parse_mount_options
from empirical_fs.statistics import Statistics
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Alarm, Timer
from tests.support.fuse_answers import NoLibrary, requests
from tests.support.listed import said

BYTES = b"0123456789"
TIMEOUT = 30.0
STATUS = 7
"""The ioctl that is answered."""
RESOURCES = (
    Resource(id=1, name="a", size=len(BYTES), updated_ns=5, link=None, said=said(description="an a")),
    Resource(id=2, name="b", size=0, updated_ns=6, link=None),
    Resource(id=3, name="c", size=None, updated_ns=7, link="https://x.example/"),
    Resource(id=4, name="unsized", size=None, updated_ns=8, link=None),
)
_ALIGNED = 8


class Moment(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class Stat(ctypes.Structure):
    _fields_ = (
        *((f"st_{name}", ctypes.c_uint64) for name in ("ino", "mode", "nlink", "uid", "gid", "size")),
        *((f"st_{name}", ctypes.c_uint64) for name in ("blocks", "blksize")),
        *((f"st_{name}timespec", Moment) for name in ("a", "m", "c")),
    )


class Space(ctypes.Structure):
    _fields_ = tuple(
        (f"f_{name}", ctypes.c_uint64) for name in ("bsize", "frsize", "blocks", "files", "bfree", "namemax")
    )


class FileInfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("flags", "fh", "direct_io", "keep_cache", "backing")
    )


@dataclass
class Asker:
    """Who asks."""

    pid: int
    uid: int


class FakeLibrary(NoLibrary):
    """Libfuse's structures, and its answers noted with what they point to."""

    stat, statvfs, file_info, entry = Stat, Space, FileInfo, entry_type(Stat)

    def __init__(self) -> None:
        super().__init__()
        self.uid = os.getuid()
        self.names: list[tuple[bytes, int, int]] = []
        """What the last listing told: names, with the numbers of their nodes, and inode numbers."""

    def context(self, _raw: int) -> Asker:
        return Asker(self.pid, self.uid)

    def pass_through(self, info: FileInfo, backing_id: int) -> None:
        info.backing = backing_id

    def reply_iov(self, _raw: int, table: Any, count: int) -> int:
        pieces = [ctypes.string_at(each.base, each.length) for each in table[:count]]
        self.said.append(("reply_buf", b"".join(pieces)))
        return self.result

    def reply_buf(self, _raw: int, start: Any, size: int) -> int:
        content = (
            start[:size] if isinstance(start, bytes) else ctypes.string_at(ctypes.addressof(start._obj), size)
        )
        self.said.append(("reply_buf", content))
        return self.result

    def reply_ioctl(self, _raw: int, _result: int, data: bytes, size: int) -> int:
        self.said.append(("reply_ioctl", data[:size]))
        return self.result

    def add_entry(self, _raw: int, _at: Any, room: int, name: bytes, attributes: Any, _place: int) -> int:
        return self._add(room, name, 0, attributes._obj.st_ino)

    def add_entry_plus(self, _raw: int, _at: Any, room: int, name: bytes, entry: Any, _place: int) -> int:
        return self._add(room, name, entry._obj.number, entry._obj.attributes.st_ino)

    def _add(self, room: int, name: bytes, number: int, inode: int) -> int:
        taken = -(-(24 + len(name)) // _ALIGNED) * _ALIGNED
        if taken <= room:
            self.names.append((name, number, inode))
        return taken


class FakeKernel:
    """What the kernel has, which drops whatever it is told to."""

    def drop_entry(self, name: str) -> None:
        """It has none."""

    def drop_attributes(self, number: int) -> None:
        """It has none."""

    def drop_pages(self, number: int, start: int = 0, size: int = 0) -> bool:
        return number > 0


class FakeBackings:
    """The kernel's numbers of the files that it reads by itself; by a descriptor, here."""

    def __init__(self, *, has_passthrough: bool = True) -> None:
        self.has_passthrough = has_passthrough
        self.open: dict[int, int] = {}
        self.refusal: int | None = None
        self._numbers = count(1)

    def open_backing(self, descriptor: int) -> int:
        if self.refusal is not None:
            raise OSError(self.refusal, os.strerror(self.refusal))
        number = next(self._numbers)
        self.open[number] = descriptor
        return number

    def close_backing(self, number: int) -> None:
        del self.open[number]


class FakeCatalog:
    """A listing that changes when the test says so."""

    def __init__(self) -> None:
        self.changed_ns = 9
        self.asked_at = 0.0
        self.is_telling = False
        self.doubts: set[int] = set()
        self.settled: list[Callable[[], object]] = []
        self.sized: list[Callable[[], object]] = []
        self.to_be_measured: set[int] = set()
        self.relist(*RESOURCES)

    def relist(self, *resources: Resource) -> None:
        self.latest = Snapshot({each.id: each for each in resources})

    def change(self, resource: Resource) -> None:
        self.relist(*{**self.latest.resources, resource.id: resource}.values())

    def remove(self, resource_id: int) -> None:
        self.relist(*(each for each in self.latest.resources.values() if each.id != resource_id))

    def snapshot(self) -> Snapshot:
        return self.latest

    def lookup(self, name: str) -> Entry:
        if name not in self.latest.by_name:
            raise NoSuchFile(name)
        return self.latest.by_name[name]

    def current(self, entry: Entry) -> Entry | None:
        return self.latest.by_id.get(entry.resource.id)

    def is_in_doubt(self, resource_id: int) -> bool:
        return resource_id in self.doubts

    def distrust(self, resource: Resource) -> None:
        self.doubts.add(resource.id)

    def when_settled(self, _resource_id: int, call: Callable[[], object]) -> None:
        self.settled.append(call)

    def when_sized(self, _entry: Entry, call: Callable[[], object]) -> None:
        self.sized.append(call)

    def is_to_be_measured(self, resource: Resource) -> bool:
        return resource.id in self.to_be_measured

    def measure(self, resource: Resource) -> None:
        self.to_be_measured.discard(resource.id)
        self.change(replace(resource, size=len(BYTES)))


@dataclass
class Part:
    """What is at hand of a file."""

    given_back: int = 0

    def give_back(self) -> None:
        self.given_back += 1


@dataclass
class FakeHandle:
    """An open file whose bytes are at hand, or come when the test says so."""

    content: Content
    at_hand: bool = True
    part: Part = field(default_factory=Part)
    waiters: list[Any] = field(default_factory=list)
    cancelled: int = 0
    is_closed: bool = False

    def take_ready(self, start: int, size: int) -> tuple[Part, list[memoryview]] | None:
        if not self.at_hand:
            return None
        return self.part, self.pieces(start, size)

    @staticmethod
    def pieces(start: int, size: int) -> list[memoryview]:
        wanted = bytearray(BYTES[start : start + size])
        half = len(wanted) // 2
        return [each for each in (memoryview(wanted)[:half], memoryview(wanted)[half:]) if each]

    def read(self, _start: int, _size: int, waiter: Any) -> Callable[[], None]:
        self.waiters.append(waiter)
        return self.cancel

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        self.is_closed = True


class FakeWalks:
    """Opens files."""

    def __init__(self) -> None:
        self.opened: list[FakeHandle] = []
        self.contents: dict[tuple[int, int], Content] = {}
        self.at_hand = True

    def open(self, resource: Resource, known: Content | None = None) -> FakeHandle:
        version = resource.id, resource.updated_ns
        content = known or self.contents.setdefault(version, Content(resource, resource.size or 0))
        self.opened.append(FakeHandle(content, self.at_hand))
        return self.opened[-1]

    def latest(self, _resource: Resource, known: Content | None = None) -> Content | None:
        return known

    def end_lost(self, _resource: Resource) -> None:
        """None is lost."""

    def ask_again(self, _content: Content, on_answered: Callable[[], object]) -> None:
        """The store has what it had: it is asked before an open that comes late, on a busy machine."""
        on_answered()


class TimerByHand(Timer):
    """One whose alarms ring when the test wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[tuple[float, Alarm]] = []

    def after(self, seconds: float, call: Callable[[], object]) -> Alarm:
        alarm = Alarm(call)
        self.alarms.append((seconds, alarm))
        return alarm

    def pass_by(self, passed: float) -> None:
        """So many seconds pass: what was to be called by then is called."""
        due = [alarm for seconds, alarm in self.alarms if seconds <= passed]
        self.alarms = [(seconds - passed, alarm) for seconds, alarm in self.alarms if seconds > passed]
        for alarm in due:
            alarm.ring()


class InlinePool:
    """Does work at once."""

    def submit(self, work: Callable[[], object]) -> None:
        work()


class Served:
    """The operations, and a kernel that asks them."""

    def __init__(self, missing_seconds: float = 0.0, whole_files: Any = None) -> None:
        self.library, self.catalog, self.walks = FakeLibrary(), FakeCatalog(), FakeWalks()
        self.timer, self.statistics = TimerByHand(), Statistics()
        self.inodes = InodeTable(FakeKernel())
        library = cast(Library, self.library)
        options = FuseOptions(
            text="",
            connection={},
            entry_seconds=60,
            attribute_seconds=6,
            missing_seconds=missing_seconds,
            is_direct=False,
        )
        pool = cast(Pool, InlinePool())
        tools = Tools(
            library=library,
            options=options,
            attributes=Attributes(library, parse_mount_options([]), options, generation=1),
            answering=Answering(self.statistics, pool, TIMEOUT),
            timer=self.timer,
            commands={STATUS: lambda sent: {"is": "well", **({"sent": sent.decode()} if sent else {})}},
            for_commands=pool,
        )
        self.backings = FakeBackings()
        self.passthrough = Passthrough(self.inodes, self.backings, None if whole_files else "not here")
        files = Files(
            cast(Any, self.catalog), self.inodes, cast(Any, self.walks), self.passthrough, whole_files
        )
        self.connected = 0
        self.operations = Operations(files, tools, self._connect)
        self.requests = requests(self.library, self.timer)
        self._infos: list[FileInfo] = []

    def _connect(self) -> None:
        self.connected += 1

    def ask(self, operation: str, *words: Any) -> tuple[str, Any] | None:
        """What the kernel hears, as the session asks; None while it waits."""
        before = len(self.library.said)
        request = self.operations.new_request(self.requests, 1, operation, words)
        self.requests.accept(request)
        try:
            getattr(self.operations, operation)(request, *words)
        except Exception as error:  # noqa: BLE001 - as the session does
            self.operations.failed(operation, request, error)
        assert request.is_deferred or not request.is_open
        return self.heard(before)

    def heard(self, since: int) -> tuple[str, Any] | None:
        """The one answer after so many others; what it points to, where it is a structure."""
        answers = self.library.said[since:]
        if not answers:
            return None
        ((name, told),) = answers
        return name, getattr(told, "_obj", told)

    def find(self, name: str) -> int:
        """The number of a file's node, as a lookup tells it."""
        answer = self.ask("lookup", 1, name.encode())
        assert answer is not None
        return int(answer[1].number)

    def node(self, name: str) -> Node:
        node = self.inodes.find(self.find(name))
        assert node is not None
        return node

    def info(self, handle: int = 0, flags: int = os.O_RDONLY) -> int:
        """The address of a `struct fuse_file_info`."""
        self._infos.append(FileInfo(flags=flags, fh=handle))
        return ctypes.addressof(self._infos[-1])

    def open(self, name: str) -> int:
        """An open file, as what the other operations are given of it."""
        answer = self.ask("open", self.find(name), self.info())
        assert answer is not None
        assert answer[0] == "reply_open"
        return self.info(answer[1].fh)
