"""How far to read ahead of one handle, and in how many pieces: pure policy, without I/O or a clock."""

from dataclasses import dataclass, field
from typing import Protocol

from empirical_fs.reading.fetch.concurrency import LEFT_OPEN, LEVELS

# "Simulated" figures are from tests/unit/simulated_link.py: 400 MiB over a link with a round trip of 30 ms
# and 40 MB/s per connection, or the first 16 MiB over 50 ms and 12 MB/s for all connections together.

FIRST_PART = 512 * 2**10
"""Bytes of a stream's first part: four of the kernel's reads. Simulated, 128 KiB to 2 MiB do equally well."""

LARGEST_PART = 8 * 2**20
"""Bytes. Simulated: 2 MiB take 1.27 s and 206 requests, 8 MiB 1.11 s and 66; 16 MiB 1.10 s and 51, but
hold 248 MiB."""

SMALLEST_PART = 128 * 2**10
"""Bytes: one of the kernel's reads."""

NEEDED_PART = 2**20
"""Bytes of a part that a program needs for certain, if it needs as many. In parts of 128 KiB, to seek and to
read 8 MiB takes 41 requests.
"""

REORDERING = 512 * 2**10
"""Bytes by which reads of one stream may be out of order because of the kernel's own read-ahead."""

KEPT_BEHIND = 2**20
"""Bytes behind a stream's cursor that are kept, for a program that goes back a little."""

_EARNED_AT = 3
"""Advances of a stream before its window may grow: two reads in a row may be a header and its table."""

_UNTRUSTED_SHARE = 10
"""For a stream that is not trusted yet, the bytes read divided by this are fetched ahead, so that at most a
tenth is wasted."""

TRUSTED_TIMES = 4
"""For a trusted stream, at most this many times the bytes read: what is far ahead delays the beginning.

Simulated: twice as much takes 1.38 s for the 400 MiB, 4 times 1.11, 8 times 1.08; for the first 16 MiB, 8
times takes 2.28 s and 4 times 2.08.
"""

_LENGTHENING = 16
"""A part has at least about the bytes read divided by this, even if the program never had to wait.

1 GiB from a store nearby: 183 requests instead of 1028, and 1.3 s of CPU instead of 1.5.
"""

_STREAMS_MAX = 4
"""Streams per handle: programs that merge or compare columns of a file read several in parallel."""

_STEPS_MAX = 16
"""Steps predicted at once, at most: as many as the largest number of parallel requests."""

_FIRST_WIDTH = 2
"""Parallel requests at first, so that one is under way when another ends."""

_WIDENING = 4
"""Factor by which the width grows. Simulated: with 2, the first 16 MiB take 3.8 s instead of 2.1; 8 is no
better."""

_CROWDED = range(LEVELS[-1], LEFT_OPEN + 1)
"""Numbers of contents that keep any link busy with one request each, all of which may be left open."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from `start` to before `stop`."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Planned(Range):
    """A range to fetch ahead, by a request of its own or by that of the range planned just before it."""

    request_stop: int
    """The offset where the request ends: `stop`, or beyond if parts are shorter than a request should be."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions at the time of a plan."""

    waited: bool
    """Whether the program had to wait for bytes since the last plan."""
    missing: bool
    """Whether some bytes of this read have neither arrived nor are being fetched."""
    connections: int
    """How many parallel requests give the best throughput."""
    allowance: int
    """Bytes that may be held for this handle."""
    sharers: int
    """How many contents share the memory, including this one."""
    trusted_at: int
    """Bytes that a stream must have read before much is fetched ahead of it."""
    expected: int = 0
    """Bytes of the head of a file that are expected to be read, even if the stream is not trusted."""

    @property
    def is_crowded(self) -> bool:
        """Whether few long requests are better than many short ones."""
        return self.sharers in _CROWDED


@dataclass(slots=True)
class _Stream:
    """A sequence of reads that moves forward."""

    begin: int
    cursor: int
    ahead: int
    kept_behind: int = KEPT_BEHIND
    advances: int = 1
    read: int = 0
    part: int = FIRST_PART
    width: int = _FIRST_WIDTH
    grown_until: int = 0
    """The offset up to which parts were planned at the last growth; waits before it show nothing about it."""
    announced: int = 0
    """The offset up to which the program has said that it reads."""
    request: Range = Range(0, 0)
    """The range of the request that fetches the last planned part."""
    has_waited: bool = False
    """Whether the program had to wait since that request was planned."""
    has_been_trusted: bool = False
    """Whether the last plan trusted the stream, so that waits show that the window was too small."""

    def has(self, read: Range) -> bool:
        """Whether a read belongs to this stream; it may be a little out of order, or skip a little."""
        if not self.cursor - REORDERING <= read.start <= max(self.ahead, self.cursor + REORDERING):
            return False
        if self.begin <= read.start <= self.ahead:
            return True
        begin, cursor = min(self.begin, read.start), max(self.cursor, read.stop)
        return 2 * (self.read + read.size) >= min(cursor - begin, 2 * REORDERING)

    def advance(self, read: Range) -> None:
        """Add a read to the stream."""
        self.begin = min(self.begin, read.start)
        self.read += read.size
        if read.stop > self.cursor:
            self.cursor = read.stop
            self.advances += 1
        self.ahead = max(self.ahead, self.cursor)

    def is_trusted(self, trusted_at: int) -> bool:
        """Whether enough was read to expect that the program reads on."""
        return self.cursor - self.begin >= trusted_at

    def grow(self, connections: int) -> None:
        """Use longer parts, and more of them in parallel, since the program had to wait."""
        self.grown_until = self.ahead
        self.part = min(self.part * 2, LARGEST_PART)
        self.width = max(min(self.width * _WIDENING, connections), _FIRST_WIDTH)

    def lengthen(self, was_read: int) -> None:
        """Lengthen the parts after `was_read` bytes, even without waits: each part costs a request."""
        longer = 2 ** (was_read // _LENGTHENING).bit_length() // 2
        self.part = max(self.part, min(longer, LARGEST_PART))

    def plan(self, size: int, conditions: Conditions) -> list[Planned]:
        """The next parts to fetch, up to the end of the window."""
        part = max(min(self.part, conditions.allowance // 4), SMALLEST_PART)
        self.kept_behind = min(KEPT_BEHIND, conditions.allowance // 8)
        # A part that was read is kept until the cursor is well past it.
        width = min(self.width, max(conditions.connections, _FIRST_WIDTH))
        window = min(width * part, conditions.allowance - part - self.kept_behind)
        is_trusted, was_read = self.is_trusted(conditions.trusted_at), self.cursor - self.begin
        expected = 0 if self.begin else max(conditions.expected - self.cursor, 0)
        self.has_been_trusted = is_trusted or bool(expected)
        reads_on = max(TRUSTED_TIMES * was_read, _FIRST_WIDTH * FIRST_PART)
        if is_trusted:
            self.lengthen(was_read)
            window = min(window, reads_on)
        else:
            window = min(window, max(was_read // _UNTRUSTED_SHARE, min(reads_on, expected)))
        part = min(part, max(window // _FIRST_WIDTH, SMALLEST_PART))
        needed = max(self.cursor, self.announced)
        window = max(window, min(needed - self.cursor, conditions.allowance - part - self.kept_behind))
        planned = []
        while self.ahead < size and self.ahead + part <= self.cursor + window:
            start = self.ahead
            length = max(part, min(needed - start, NEEDED_PART))
            if not self.request.start < start < self.request.stop:
                # If the program does not wait, it reads more slowly than a long request could deliver.
                is_long = conditions.is_crowded and self.has_waited and is_trusted
                self.request = Range(start, min(start + (self.part if is_long else length), size))
                self.has_waited = False
            self.ahead = min(start + length, self.request.stop)
            planned.append(Planned(start, self.ahead, self.request.stop))
        return planned


@dataclass(slots=True)
class _Steps:
    """Reads of equal length at equal distances, forward or backward.

    With this, tac reads 4.4 MB in 2.7 s instead of 23.5, and tail -n 20000 takes 0.9 s instead of 5.8, from a
    store with a round trip of 30 ms.
    """

    start: int
    distance: int
    length: int
    repeats: int = 0
    foreseen: int = 0

    def foresees(self, start: int) -> bool:
        """Whether a read at `start` is one of the predicted steps."""
        steps, rest = divmod(start - self.start, self.distance) if self.distance else (0, 1)
        return rest == 0 and 0 < steps <= self.foreseen

    def continues_with(self, read: Range) -> bool:
        return self.distance != 0 and (read.start, read.size) == (self.start + self.distance, self.length)

    def plan(self, size: int, allowance: int) -> list[Planned]:
        """The next step; then more steps each time a prediction was right."""
        self.start += self.distance
        self.repeats += 1
        self.foreseen = max(self.foreseen - 1, 0)
        wanted = min(2**self.repeats // 2, _STEPS_MAX, allowance // max(self.length, 1))
        starts = [self.start + step * self.distance for step in range(self.foreseen + 1, wanted + 1)]
        self.foreseen = max(wanted, self.foreseen)
        ranges = [(start, min(start + self.length, size)) for start in starts if 0 <= start < size]
        return [Planned(start, stop, stop) for start, stop in ranges]


@dataclass(slots=True)
class ReadAhead:
    """Plans the read-ahead of one handle in a file of `size` bytes; none at first.

    A stream is recognised at its second advance. Until it is trusted to go on, a tenth of the bytes read is
    fetched ahead; then a little more. Each time the program had to wait, parts grow (up to 8 MiB) and more of
    them are fetched in parallel, up to the number that gives the best throughput. Equal steps are recognised
    at the third read, and predicted one at first, then several. Any other read is random and causes no
    read-ahead. Not thread-safe; the owner serialises calls.
    """

    plans = True

    size: int
    _streams: list[_Stream] = field(default_factory=list)
    _steps: _Steps | None = None
    _planner: _Stream | None = None

    def plan(self, read: Range, conditions: Conditions) -> list[Planned]:
        """The ranges to fetch ahead when a program reads `read`.

        If bytes of the read are missing, the first range begins where the read does.
        """
        self._planner = None
        stream = self._stream_of(read)
        if stream is None:
            self._begin(_Stream(read.start, read.stop, read.stop, read=read.size))
            return self._plan_steps(read, conditions.allowance)
        if self._streams[-1] is not stream:
            self._streams.remove(stream)
            self._streams.append(stream)
        stream.advance(read)
        if stream.advances == 1:
            return self._plan_steps(read, conditions.allowance)
        self._steps, self._planner = None, stream
        stream.has_waited |= conditions.waited
        if conditions.missing and read.start < stream.ahead:
            stream.ahead, stream.request = read.start, Range(read.start, read.start)
        is_earned = stream.advances >= _EARNED_AT and stream.has_been_trusted
        if conditions.waited and is_earned and stream.cursor >= stream.grown_until:
            stream.grow(conditions.connections)
        return stream.plan(self.size, conditions)

    def announce(self, reads: Range) -> None:
        """Note that the program has said that it reads all of `reads`, in several reads."""
        stream = self._stream_of(reads)
        if stream is None:
            stream = self._begin(_Stream(reads.start, reads.start, reads.start))
        stream.announced = max(stream.announced, reads.stop)

    def expect(self, stop: int) -> None:
        """Note that the bytes before `stop` were fetched ahead for a stream that will begin at offset 0."""
        self._streams.append(_Stream(0, 0, stop))

    def wants(self, start: int, stop: int) -> bool:
        """Whether the planned bytes from `start` to `stop` are still expected to be read."""
        if self._steps is not None and self._steps.foresees(start):
            return True
        return any(
            stream.cursor - stream.kept_behind < stop and start < stream.ahead for stream in self._streams
        )

    def refuse(self, planned: Range) -> None:
        """Note that there was no memory for a planned range: plan it again later, with half the window."""
        stream = self._planner
        if stream is not None:
            stream.ahead = max(planned.start, stream.cursor)
            stream.part = max(stream.part // 2, SMALLEST_PART)
            stream.width = max(stream.width // 2, _FIRST_WIDTH)

    def _stream_of(self, read: Range) -> _Stream | None:
        going_on = [stream for stream in self._streams if stream.has(read)]
        return min(going_on, key=lambda stream: abs(stream.cursor - read.start), default=None)

    def _begin(self, stream: _Stream) -> _Stream:
        self._streams = [*self._streams[1 - _STREAMS_MAX :], stream]
        return stream

    def _plan_steps(self, read: Range, allowance: int) -> list[Planned]:
        """Plan the next steps, if the read is one of equal steps; otherwise note it as a first step."""
        last = self._steps
        if last is not None and last.continues_with(read):
            return last.plan(self.size, allowance)
        self._steps = _Steps(read.start, 0 if last is None else read.start - last.start, read.size)
        return []


class Policy(Protocol):
    """What a reader asks about one handle."""

    @property
    def plans(self) -> bool:
        """Whether it may ever plan anything."""

    def plan(self, read: Range, conditions: Conditions) -> list[Planned]:
        """The ranges to fetch ahead when a program reads `read`."""

    def announce(self, reads: Range) -> None:
        """Note that the program has said that it reads all of `reads`, in several reads."""

    def expect(self, stop: int) -> None:
        """Note that the bytes before `stop` were fetched ahead for a stream that will begin at offset 0."""

    def wants(self, start: int, stop: int) -> bool:
        """Whether the planned bytes from `start` to `stop` are still expected to be read."""

    def refuse(self, planned: Range) -> None:
        """Note that there was no memory for a planned range."""


class NoReadAhead:
    """Plans nothing: for a program that says beforehand which ranges it needs."""

    plans = False

    def plan(self, _read: Range, _conditions: Conditions) -> list[Planned]:
        """Nothing."""
        return []

    def announce(self, _reads: Range) -> None:
        """Do nothing."""

    def expect(self, _stop: int) -> None:
        """Do nothing."""

    def wants(self, _start: int, _stop: int) -> bool:
        """No: nothing was planned."""
        return False

    def refuse(self, _planned: Range) -> None:
        """Do nothing."""
