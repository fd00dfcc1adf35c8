"""A link that is simulated, event by event, under the real reader: no sockets, no threads and no waiting."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from mmap import mmap

from empirical_fs.api.resource import Resource
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import BLOCK, Blocks
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor
from empirical_fs.reading.fetch.concurrency import Link
from empirical_fs.reading.fetch.pool import Fetcher, OnWhole
from empirical_fs.reading.part import Part
from empirical_fs.reading.pending_read import PendingRead
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.reader import Reader
from empirical_fs.reading.supply import Means
from empirical_fs.statistics import Statistics
from tests.unit.conftest import Waiting

MIB = 2**20
_AT_ONCE = 32
"""Fetches of one kind that the real fetcher has under way, at most."""

_EVER = float("inf")
_NEARLY = 0.01
"""What floats lose: a fraction of a byte."""


@dataclass(frozen=True)
class Shape:
    """What a link is like: seconds to the first byte, bytes a second of each transfer and of all together."""

    latency: float
    each: float
    together: float = _EVER
    consumed: float = 1e9
    """Bytes a second that the reader takes."""
    burst: int = 0
    """Bytes of each answer that come all at once, as from a buffer somewhere on the way."""


@dataclass(eq=False)
class Transfer:
    """One request, under way or waiting for its turn."""

    part: Part
    is_ahead: bool
    asked_at: float = 0.0
    arrived_before: int = 0
    """Bytes that all transfers ahead had brought by then."""
    first_byte_at: float = 0.0
    arrived: float = 0.0
    spent: float = 0.0
    """Seconds that all transfers ahead took beside this one."""

    @property
    def left(self) -> float:
        return self.part.size - self.arrived


@dataclass(frozen=True)
class Wait:
    """A read that had to wait: where, for how long, and what was under way and held beyond it by then."""

    start: int
    seconds: float
    ahead: int
    connections: int
    requests: int


@dataclass
class Shown:
    """What a simulation has shown."""

    seconds: float = 0.0
    asked: int = 0
    twice: int = 0
    """Bytes that were asked of the store while they were here or on their way."""
    held_most: int = 0
    held_too_much: int = 0
    """Bytes held beyond the budget and what the reader waits for."""
    beside_most: int = 0
    beside: int = 0
    requests: list[Range] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    @property
    def fetched(self) -> int:
        """Bytes that were asked of the store."""
        return sum(request.size for request in self.requests)

    @property
    def again(self) -> int:
        """Bytes that were fetched although they had been fetched before, of one file."""
        again, reach = 0, 0
        for request in sorted(self.requests, key=lambda request: request.start):
            again += max(min(request.stop, reach) - request.start, 0)
            reach = max(reach, request.stop)
        return again


class _OneBlock(Blocks):
    """Memory of which nobody minds what is in it: the same for all."""

    def __init__(self) -> None:
        super().__init__()
        self._block = mmap(-1, BLOCK)

    def take(self) -> mmap:
        return self._block

    def give(self, blocks: list[mmap]) -> None:
        pass


class SimulatedFetcher(Fetcher):
    """Moves the bytes of parts as a link of some shape would; rates are constant from event to event."""

    def __init__(self, shape: Shape) -> None:
        self.now = 0.0
        self.shown = Shown()
        self._shape = shape
        self._link = Link()
        self._arrived = 0
        self._held: dict[Content, list[Part]] = {}
        self._under_way: list[Transfer] = []
        self._queues: dict[bool, deque[Transfer]] = {True: deque(), False: deque()}

    def fetch(self, content: Content, part: Part, on_whole: OnWhole) -> None:
        self._queue(content, Transfer(part, is_ahead=False))

    def fetch_ahead(
        self, content: Content, part: Part, on_whole: OnWhole, request_stop: int | None = None
    ) -> None:
        self._queue(content, Transfer(part, is_ahead=True))

    def forget(self, content: Content) -> None:
        pass

    def wait_for(self, parts: Iterable[Part], stop: int) -> None:
        """Let time pass until the bytes before `stop` are here."""
        for part in parts:
            wanted = min(stop, part.stop)
            while not part.has(wanted):
                transfer = next(each for each in self._under_way if each.part is part)
                self._pass(_EVER, transfer, wanted - part.start)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            self._pass(until, None, 0)

    def held(self, content: Content) -> list[Part]:
        """The parts of a content that are here, on their way or waiting for their turn."""
        held = self._held.get(content, [])
        self._held[content] = [part for part in held if part.end is None]
        return self._held[content]

    def held_in_all(self) -> int:
        """Bytes of all contents that are here or to come."""
        return sum(part.size for content in list(self._held) for part in self.held(content))

    def _queue(self, content: Content, transfer: Transfer) -> None:
        part, others = transfer.part, self.held(content)
        if part not in others:
            for other in others:
                self.shown.twice += max(min(part.stop, other.stop) - max(part.start, other.start), 0)
            others.append(part)
        self._queues[transfer.is_ahead].append(transfer)
        self._begin()

    def _begin(self) -> None:
        """Begin what there is room for, in turn."""
        for is_ahead, queue in self._queues.items():
            while queue and sum(each.is_ahead is is_ahead for each in self._under_way) < _AT_ONCE:
                transfer = queue.popleft()
                if not transfer.part.is_begun and transfer.part.end is None:
                    self._send(transfer)
        self.shown.beside = len(self._under_way)
        self.shown.beside_most = max(self.shown.beside_most, self.shown.beside)

    def _send(self, transfer: Transfer) -> None:
        part = transfer.part
        with part.filling() as is_ours:
            assert is_ours
        self.shown.requests.append(Range(part.start, part.stop))
        transfer.asked_at = self.now
        transfer.arrived_before = self._arrived
        transfer.first_byte_at = self.now + self._shape.latency
        self._under_way.append(transfer)

    def _pass(self, until: float, awaited: Transfer | None, count: int) -> None:
        """Go to the next event, at `until` at the latest, or when `awaited` has `count` bytes."""
        self._under_way = [each for each in self._under_way if each.part.end is None]
        self._begin()
        flowing = [each for each in self._under_way if each.first_byte_at <= self.now]
        rate = min(self._shape.each, self._shape.together / max(len(flowing), 1))
        moments = [until]
        moments += [each.first_byte_at for each in self._under_way if each.first_byte_at > self.now]
        moments += [self.now + each.left / rate for each in flowing]
        if awaited is not None and awaited.first_byte_at <= self.now:
            moments.append(self.now + max(count - awaited.arrived, 0) / rate)
        seconds = min(moments) - self.now
        assert seconds < _EVER, "somebody waits for what nobody fetches"
        self.now = min(moments)
        for each in self._under_way:
            each.spent += seconds * sum(other.is_ahead for other in self._under_way)
        for each in flowing:
            self._move(each, each.arrived + seconds * rate)
        for each in list(self._under_way):
            if each.first_byte_at <= self.now and not each.arrived:
                self._move(each, min(self._shape.burst, each.part.size))
            if each.left < _NEARLY:
                self._end(each)
        self._begin()

    def _move(self, transfer: Transfer, arrived: float) -> None:
        before = int(transfer.arrived + _NEARLY)
        transfer.arrived = arrived
        count = int(arrived + _NEARLY) - before
        self._arrived += count * transfer.is_ahead
        while count > 0:
            room = len(transfer.part.room())
            transfer.part.advance(min(room, count))
            count -= min(room, count)

    def _end(self, transfer: Transfer) -> None:
        self._under_way.remove(transfer)
        if transfer.is_ahead:
            seconds = self.now - transfer.asked_at
            self._link.observe(
                self._arrived - transfer.arrived_before, seconds, transfer.spent / seconds, 0.0
            )


class Simulation:
    """An application that reads files of one size over one link, by one handle for each."""

    def __init__(self, shape: Shape, budget: int, size: int, files: int = 1) -> None:
        self.budget = budget
        self._shape = shape
        self._budget = Budget(budget)
        self._fetcher = SimulatedFetcher(shape)
        means = Means(self._fetcher, self._budget, _OneBlock(), Statistics())
        resource = Resource(id=1, name="a", size=size, updated_ns=0, link=None)
        self._readers = [Reader(Content(resource, size), means) for _ in range(files)]
        self.cursors = [Cursor(size) for _ in range(files)]
        self._view = memoryview(bytearray(MIB))

    @property
    def connections(self) -> int:
        return self._fetcher.connections

    @property
    def held(self) -> int:
        return self._budget.held

    def run(self, reads: Iterable[Range], file: int = 0) -> Shown:
        """Read, one range after the other; what all runs have shown."""
        for read in reads:
            self._read(read, file)
            self._fetcher.sleep(read.size / self._shape.consumed)
        shown = self._fetcher.shown
        shown.seconds = self._fetcher.now
        return shown

    def leave(self, file: int = 0) -> None:
        """Close the handle of one file, and the file."""
        self._readers[file].supply.leave(self.cursors[file])
        self._readers[file].supply.close()

    def _read(self, read: Range, file: int) -> None:
        """What `Reader.read` does, but that time passes here instead of the wait for a part."""
        reader, cursor, shown = self._readers[file], self.cursors[file], self._fetcher.shown
        shown.asked += read.size
        ready = cursor.take_ready(read.start, read.stop)
        if ready is not None:
            ready[0].give_back()
            return
        needed, new = reader.supply.begin(cursor, read)
        held = max(self._fetcher.held_in_all(), self._budget.held)
        shown.held_most = max(shown.held_most, held)
        shown.held_too_much = max(shown.held_too_much, held - self.budget - read.size)
        begun = self._fetcher.now
        ahead = sum(
            part.stop - max(part.start, read.stop)
            for part in self._fetcher.held(reader.content)
            if part.stop > read.stop
        )
        self._fetcher.wait_for(needed, read.stop)
        seconds = self._fetcher.now - begun
        if seconds > 0:
            shown.waits.append(Wait(read.start, seconds, ahead, self.connections, len(shown.requests)))
        reader.supply.end(PendingRead(cursor, read, Waiting(), needed, new, cursor.waited))
