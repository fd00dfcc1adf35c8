"""Counts what a mount has done since its start."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from empirical_fs.histogram import Durations, Histogram

RATE_SECONDS = 5.0
"""The period in seconds over which the throughput is averaged."""

_OF_SERVERS = ("EIO", "EACCES")
"""What operations fail with because a server does not give the bytes; others say something of a file."""

Kind = Literal["api", "store"]
Outcome = Literal[
    "success", "redirect", "busy", "unsatisfied", "client_error", "server_error", "no_answer", "cancelled"
]
"""How a request ended: an answer of 2xx; of 3xx; 429 or 503; 412 or 416, by which a store says that a version
or a range is not there; another 4xx; another 5xx; no answer that is HTTP; given up by us before an answer."""

KINDS: tuple[Kind, ...] = get_args(Kind)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts at one moment."""

    reads: int
    """Reads that the kernel has sent; those that its page cache answers do not count."""
    reads_from_memory: int
    """Reads whose bytes had already arrived."""
    bytes_read: int
    """Bytes that reads were answered with."""
    read_waits: Durations
    """How long reads waited whose bytes had not arrived, however they ended: bytes, an error, or given up."""
    bytes_fetched: int
    bytes_per_second: float
    """Bytes fetched a second, averaged over the last RATE_SECONDS."""
    requests_in_flight: dict[Kind, int]
    requests: dict[tuple[Kind, Outcome], int]
    """The requests that were sent, by how they ended; those that were tried again count each time."""
    request_waits: dict[Kind, Durations]
    """How long requests took from being sent to the head of the answer, or to whatever ended them before."""
    urls_signed: int
    """How many URLs the API has signed on request; those in a listing do not count."""
    errors: dict[str, int]
    """The number of operations that failed, by the name of the errno."""
    failed_in_a_row: int
    """Operations that failed since bytes arrived last, because bytes could not be fetched."""
    failing_for: float
    """Seconds since the first of these; 0 without any."""


class Statistics:
    """Counts what happens. The lock guards all counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with all counts at 0; `clock` returns seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._reads = self._reads_from_memory = self._bytes_read = self._fetched = self._signed = 0
        self._read_waits = Histogram()
        self._lately: deque[tuple[float, int]] = deque()
        self._in_flight: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._requests: Counter[tuple[Kind, Outcome]] = Counter()
        self._request_waits = {kind: Histogram() for kind in KINDS}
        self._errors: Counter[str] = Counter()
        self._failed_in_a_row, self._failing_since = 0, 0.0

    def read(self, count: int, *, waited: bool) -> None:
        """Count a read that was answered with `count` bytes; `waited`: whether it had to wait for them."""
        with self._lock:
            self._reads += 1
            self._reads_from_memory += not waited
            self._bytes_read += count

    def waited(self, seconds: float) -> None:
        """Count the wait of a read that has ended, in whatever way."""
        with self._lock:
            self._read_waits.observe(seconds)

    def fetched(self, count: int) -> None:
        """Count bytes that arrived from the store."""
        with self._lock:
            now = self._clock()
            if count:
                self._failed_in_a_row = 0
            self._fetched += count
            self._lately.append((now, count))
            self._forget(now)

    def signed(self) -> None:
        """Count a URL that was signed on request, not in a listing."""
        with self._lock:
            self._signed += 1

    def failed(self, name: str) -> None:
        """Count an operation that failed with the errno of that name."""
        with self._lock:
            self._errors[name] += 1
            if name in _OF_SERVERS:
                if not self._failed_in_a_row:
                    self._failing_since = self._clock()
                self._failed_in_a_row += 1

    @contextmanager
    def request(self, kind: Kind) -> Iterator[None]:
        """Count a request as in flight until the context ends."""
        self.begun(kind)
        try:
            yield
        finally:
            self.over(kind)

    def begun(self, kind: Kind) -> None:
        """Count a request as in flight until `over`."""
        with self._lock:
            self._in_flight[kind] += 1

    def over(self, kind: Kind) -> None:
        """Count a request as no longer in flight."""
        with self._lock:
            self._in_flight[kind] -= 1

    def requested(self, kind: Kind, outcome: Outcome, seconds: float) -> None:
        """Count a request that was sent, and how long it took to the head of its answer, if there was one."""
        with self._lock:
            self._requests[kind, outcome] += 1
            self._request_waits[kind].observe(seconds)

    def counts(self) -> Counts:
        """A snapshot of the counts."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            return Counts(
                reads=self._reads,
                reads_from_memory=self._reads_from_memory,
                bytes_read=self._bytes_read,
                read_waits=self._read_waits.durations(),
                bytes_fetched=self._fetched,
                bytes_per_second=sum(count for _, count in self._lately) / RATE_SECONDS,
                requests_in_flight=dict(self._in_flight),
                requests=dict(self._requests),
                request_waits={kind: waits.durations() for kind, waits in self._request_waits.items()},
                urls_signed=self._signed,
                errors=dict(self._errors),
                failed_in_a_row=self._failed_in_a_row,
                failing_for=now - self._failing_since if self._failed_in_a_row else 0.0,
            )

    def _forget(self, now: float) -> None:
        while self._lately and self._lately[0][0] < now - RATE_SECONDS:
            self._lately.popleft()
