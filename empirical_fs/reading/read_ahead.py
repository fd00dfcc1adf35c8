"""How far to read ahead of one handle, and in how many pieces: pure policy, without I/O or a clock."""

from dataclasses import dataclass, field

from empirical_fs.reading.fetch.concurrency import LEFT_OPEN, LEVELS

# "Simulated" is by tests/unit/simulated_link.py: 400 MiB over 30 ms and 40 MB/s a connection,
# or the first 16 MiB over 50 ms and 12 MB/s in all connections.

FIRST_PART = 512 * 2**10
"""Four of the kernel's reads; simulated, 128 KiB to 2 MiB make no difference."""

LARGEST_PART = 8 * 2**20
"""Simulated: 2 MiB take 1.27 s and 206 requests, 8 MiB 1.11 and 66; 16 MiB 1.10 and 51, but hold 248 MiB."""

SMALLEST_PART = 128 * 2**10
"""One of the kernel's reads."""

REORDERING = 512 * 2**10
"""Bytes by which the kernel's own read-ahead makes reads of one stream arrive out of order."""

KEPT_BEHIND = 2**20
"""Bytes behind a stream's cursor that are kept, for a reader that goes back a little."""

_EARNED_AT = 3
"""Advances before which a window does not grow: two reads in a row may be a header and its table."""

_UNTRUSTED_SHARE = 10
"""A stream that may end at any moment has a tenth of what was read of it ahead, and so wastes no more."""

TRUSTED_TIMES = 4
"""One that goes on has so many times what was read of it: what comes far ahead holds up the beginning.

Simulated: twice as much takes 1.38 s for the 400 MiB, 4 times 1.11, 8 times 1.08; for the first 16 MiB, 8
times takes 2.28 s and 4 times 2.08.
"""

_LENGTHENING = 16
"""A part is as long as this share of what was read, where waits ask for less.

1 GiB from a store nearby: 183 requests in place of 1028, and 1.3 s of CPU in place of 1.5.
"""

_STREAMS_MAX = 4
"""Streams of one handle: programs that merge or compare columns of a file read some side by side."""

_STEPS_MAX = 16
"""Steps foreseen at once, as many as there are requests side by side at most."""

_FIRST_WIDTH = 2
"""Requests side by side at first, so that one is under way when another ends."""

_WIDENING = 4
"""Simulated: with 2, the first 16 MiB take 3.8 s in place of 2.1; 8 gains nothing."""

_CROWDED = range(LEVELS[-1], LEFT_OPEN + 1)
"""Numbers of readers that keep any link busy by one request each, all of which may be left open."""


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
    """What to fetch ahead by a request of its own, or by the one for what was planned just before it."""

    request_stop: int
    """Where the request ends: here, or farther on where parts are smaller than a request should be."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a plan is made under."""

    waited: bool
    """Whether the reader had to wait for bytes since the last plan."""
    missing: bool
    """Whether bytes of this read are neither here nor on their way."""
    connections: int
    """How many requests side by side the link rewards."""
    allowance: int
    """Bytes that may be held for this handle."""
    sharers: int
    """Contents that memory is shared by, this one counted among them."""
    trusted_at: int
    """Bytes that a stream must have read before much is fetched ahead of it."""
    expected: int = 0
    """Bytes of the head of a file that are expected to be read all the same."""

    @property
    def is_crowded(self) -> bool:
        """Whether requests are better long than many."""
        return self.sharers in _CROWDED


@dataclass(slots=True)
class _Stream:
    """A run of reads that goes forward."""

    begin: int
    cursor: int
    ahead: int
    kept_behind: int = KEPT_BEHIND
    advances: int = 1
    read: int = 0
    part: int = FIRST_PART
    width: int = _FIRST_WIDTH
    grown_until: int = 0
    """What was planned before the last growth: nothing is learned from it until that is read."""
    request: Range = Range(0, 0)
    """What the request asks for by which the last part was planned."""
    has_waited: bool = False
    """Whether the reader had to wait since that request was planned."""
    has_been_trusted: bool = False
    """Whether a plan was made for a reader that was trusted, so that its waits say something of that."""

    def has(self, read: Range) -> bool:
        """Whether a read goes on with this stream, a little out of order or skipping perhaps."""
        if not self.cursor - REORDERING <= read.start <= max(self.ahead, self.cursor + REORDERING):
            return False
        if self.begin <= read.start <= self.ahead:
            return True
        begin, cursor = min(self.begin, read.start), max(self.cursor, read.stop)
        return 2 * (self.read + read.size) >= min(cursor - begin, 2 * REORDERING)

    def advance(self, read: Range) -> None:
        self.begin = min(self.begin, read.start)
        self.read += read.size
        if read.stop > self.cursor:
            self.cursor = read.stop
            self.advances += 1
        self.ahead = max(self.ahead, self.cursor)

    def is_trusted(self, trusted_at: int) -> bool:
        """Whether so much was read that the reader is taken for one that reads on."""
        return self.cursor - self.begin >= trusted_at

    def grow(self, connections: int) -> None:
        self.grown_until = self.ahead
        self.part = min(self.part * 2, LARGEST_PART)
        self.width = max(min(self.width * _WIDENING, connections), _FIRST_WIDTH)

    def lengthen(self, was_read: int) -> None:
        """Take longer parts after so many bytes, though the reader does not wait: each costs a request."""
        longer = 2 ** (was_read // _LENGTHENING).bit_length() // 2
        self.part = max(self.part, min(longer, LARGEST_PART))

    def plan(self, size: int, conditions: Conditions) -> list[Planned]:
        """The next parts, as far as the window reaches."""
        part = max(min(self.part, conditions.allowance // 4), SMALLEST_PART)
        self.kept_behind = min(KEPT_BEHIND, conditions.allowance // 8)
        # A part that was read is held until the cursor is well past it.
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
        planned = []
        while self.ahead < size and self.ahead + part <= self.cursor + window:
            start = self.ahead
            if not self.request.start < start < self.request.stop:
                # A reader that does not wait would leave a long request waiting.
                is_long = conditions.is_crowded and self.has_waited and is_trusted
                self.request = Range(start, min(start + (self.part if is_long else part), size))
                self.has_waited = False
            self.ahead = min(start + part, self.request.stop)
            planned.append(Planned(start, self.ahead, self.request.stop))
        return planned


@dataclass(slots=True)
class _Steps:
    """Reads of one length that move by the same distance each time, backward too.

    tac reads 4.4 MB so in 2.7 s in place of 23.5, and tail -n 20000 in 0.9 in place of 5.8, from a store
    that takes 30 ms.
    """

    start: int
    distance: int
    length: int
    repeats: int = 0
    foreseen: int = 0

    def foresees(self, start: int) -> bool:
        steps, rest = divmod(start - self.start, self.distance) if self.distance else (0, 1)
        return rest == 0 and 0 < steps <= self.foreseen

    def continues_with(self, read: Range) -> bool:
        return self.distance != 0 and (read.start, read.size) == (self.start + self.distance, self.length)

    def plan(self, size: int, allowance: int) -> list[Planned]:
        """The next step, then more of them each time a read was foreseen."""
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
    """Where one handle reads in a file of `size` bytes; nothing is earned at first.

    A stream is recognised at its second advance, and has a tenth of what was read of it ahead until it is
    trusted to go on. Then a little is kept coming for it; each time the reader had to wait, parts grow
    to 8 MiB and become more, up to as many side by side as the link rewards. Equal
    steps are recognised at the third read and foreseen one by one, then more. Any other read is random and
    earns nothing. Not safe between threads; its owner serialises.
    """

    size: int
    _streams: list[_Stream] = field(default_factory=list)
    _steps: _Steps | None = None
    _planner: _Stream | None = None

    def plan(self, read: Range, conditions: Conditions) -> list[Planned]:
        """What to fetch ahead, now that `read` is read.

        Where bytes of the read are missing, the first range begins with the read.
        """
        self._planner = None
        going_on = [stream for stream in self._streams if stream.has(read)]
        stream = min(going_on, key=lambda stream: abs(stream.cursor - read.start), default=None)
        if stream is None:
            self._streams = [
                *self._streams[1 - _STREAMS_MAX :],
                _Stream(read.start, read.stop, read.stop, read=read.size),
            ]
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

    def expect(self, stop: int) -> None:
        """Note that the bytes before `stop` were fetched ahead, to be read from the start of the file."""
        self._streams.append(_Stream(0, 0, stop))

    def wants(self, start: int, stop: int) -> bool:
        """Whether bytes that were planned are still expected to be read."""
        if self._steps is not None and self._steps.foresees(start):
            return True
        return any(
            stream.cursor - stream.kept_behind < stop and start < stream.ahead for stream in self._streams
        )

    def refuse(self, planned: Range) -> None:
        """Note that there was no memory for a planned range: plan it again, and half as much."""
        stream = self._planner
        if stream is not None:
            stream.ahead = max(planned.start, stream.cursor)
            stream.part = max(stream.part // 2, SMALLEST_PART)
            stream.width = max(stream.width // 2, _FIRST_WIDTH)

    def _plan_steps(self, read: Range, allowance: int) -> list[Planned]:
        last = self._steps
        if last is not None and last.continues_with(read):
            return last.plan(self.size, allowance)
        self._steps = _Steps(read.start, 0 if last is None else read.start - last.start, read.size)
        return []
