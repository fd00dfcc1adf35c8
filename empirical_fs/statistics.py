"""What a mount has done since it began, counted."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

RATE_SECONDS = 5.0
"""The time over which the throughput is taken."""

_OF_SERVERS = ("EIO", "EACCES")
"""What operations fail with because a server does not give the bytes; others say something of a file."""

Kind = Literal["api", "store"]


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts at one moment."""

    reads: int
    """Reads of programs, as the kernel hands them on; what its page cache answers is none."""
    reads_from_memory: int
    """Those whose bytes were here already."""
    bytes_fetched: int
    bytes_per_second: float
    """Fetched lately."""
    requests_in_flight: dict[Kind, int]
    urls_signed: int
    """How often a URL was signed again."""
    errors: dict[str, int]
    """Operations that failed, by the name of the errno."""
    failed_in_a_row: int
    """Operations that failed since bytes came last, because bytes could not be had."""
    failing_for: float
    """Seconds since the first of these; 0 without any."""


class Statistics:
    """Counts what happens. The lock guards all counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing has happened yet; `clock` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._reads = self._reads_from_memory = self._fetched = self._signed = 0
        self._lately: deque[tuple[float, int]] = deque()
        self._in_flight: dict[Kind, int] = {"api": 0, "store": 0}
        self._errors: Counter[str] = Counter()
        self._failed_in_a_row, self._failing_since = 0, 0.0

    def read(self, *, waited: bool) -> None:
        """A read was answered, and had to wait for its bytes or not."""
        with self._lock:
            self._reads += 1
            self._reads_from_memory += not waited

    def fetched(self, count: int) -> None:
        """So many bytes have come from the store."""
        with self._lock:
            now = self._clock()
            if count:
                self._failed_in_a_row = 0
            self._fetched += count
            self._lately.append((now, count))
            self._forget(now)

    def signed(self) -> None:
        """A URL was signed, which no listing had brought."""
        with self._lock:
            self._signed += 1

    def failed(self, name: str) -> None:
        """An operation failed with the errno of that name."""
        with self._lock:
            self._errors[name] += 1
            if name in _OF_SERVERS:
                if not self._failed_in_a_row:
                    self._failing_since = self._clock()
                self._failed_in_a_row += 1

    @contextmanager
    def request(self, kind: Kind) -> Iterator[None]:
        """A request is under way."""
        with self._lock:
            self._in_flight[kind] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight[kind] -= 1

    def counts(self) -> Counts:
        """The counts now."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            return Counts(
                reads=self._reads,
                reads_from_memory=self._reads_from_memory,
                bytes_fetched=self._fetched,
                bytes_per_second=sum(count for _, count in self._lately) / RATE_SECONDS,
                requests_in_flight=dict(self._in_flight),
                urls_signed=self._signed,
                errors=dict(self._errors),
                failed_in_a_row=self._failed_in_a_row,
                failing_for=now - self._failing_since if self._failed_in_a_row else 0.0,
            )

    def _forget(self, now: float) -> None:
        while self._lately and self._lately[0][0] < now - RATE_SECONDS:
            self._lately.popleft()
