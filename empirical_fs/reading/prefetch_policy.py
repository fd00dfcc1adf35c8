"""Decides how files are fetched into the cache on disk: which one next, how many at once, in which pieces."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

PIECE = 2**20
"""Bytes that are held in memory at once of one request: they are handed to the disk, and dropped."""

RUN = 64 * 2**20
"""Bytes of one request at most; a longer gap is fetched by several, side by side."""

AHEAD = 2
"""Pieces of one request that are under way, so that the next has its memory when one is full."""

AT_ONCE = 16
"""Requests at once at most: as many as read-ahead has, too."""
_WHILE_READERS_WAIT = 2
"""Requests at once while programs wait for bytes."""
_WAIT_COUNTS_SECONDS = 1.0
"""For so long after a program had to wait it counts as waiting: it will read on."""
_MEASURABLE = 512 * 2**10
"""A request brings this many bytes if it counts as a whole one."""
_SECONDS_AHEAD = 0.5
"""So long the pieces that are under way may take."""
_RATE_SECONDS, _STALE = 0.5, 4
_SHARE_OF_MEMORY = 4
"""Of the memory for read data, this part may be held; the rest is for programs."""
_FAILED_IN_A_ROW = 16
_TRIES = 3
"""How often a file is begun that could not be kept whole."""


class Order:
    """Which file is fetched next: one that a program has opened, else in the given order. Not thread-safe."""

    def __init__(self, ids: Iterable[int]) -> None:
        """Fetch these resources, each once."""
        self._waiting = dict.fromkeys(ids, 0)

    def __len__(self) -> int:
        """How many are not begun yet."""
        return len(self._waiting)

    def next(self, opened: Collection[int] = ()) -> tuple[int, int] | None:
        """Take the id of the next one, and how often it was begun; None after the last.

        Args:
            opened: the ids of the files that programs have open.
        """
        found = next((each for each in opened if each in self._waiting), None)
        if found is None:
            found = next(iter(self._waiting), None)
        return None if found is None else (found, self._waiting.pop(found))

    def put_back(self, resource_id: int, tries: int) -> bool:
        """Take it up again after the others; False if it was begun too often: `tries` times before this."""
        if self.is_last(tries):
            return False
        self._waiting[resource_id] = tries + 1
        return True

    @staticmethod
    def is_last(tries: int) -> bool:
        """Whether a file that was begun `tries` times before this is not begun once more."""
        return tries + 1 >= _TRIES

    def clear(self) -> None:
        """Forget the rest."""
        self._waiting.clear()


def weight(size: int) -> float:
    """What a request for so many bytes counts beside others: a short one is over before it could be measured.

    The number of parallel requests that gives the best throughput is measured by longer ones.
    """
    return min(size / _MEASURABLE, 1.0)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What decides how many requests may be under way."""

    connections: int
    """How many parallel requests give the best throughput, as measured."""
    rate: float
    """Bytes a second that came lately."""
    since_wait: float
    """Seconds since a program had to wait for bytes."""


def may_begin(moving: Collection[int], size: int, now: Conditions) -> bool:
    """Whether a request for `size` bytes may begin beside those that are under way, given by their bytes.

    Many are asked for at once, unless it would take long until their pieces are there: a program that opens a
    file then would have to share the link with them.
    """
    if not moving:
        return True
    if now.since_wait < _WAIT_COUNTS_SECONDS:
        return len(moving) < _WHILE_READERS_WAIT
    if len(moving) >= AT_ONCE:
        return False
    is_worth_it = sum(map(weight, moving)) + weight(size) <= now.connections
    return is_worth_it or (len(moving) + 1) * PIECE <= now.rate * _SECONDS_AHEAD


def may_give_up(failed_in_a_row: int) -> bool:
    """Whether the rest is in vain after so many failures without a byte between: each may take a timeout."""
    return failed_in_a_row >= _FAILED_IN_A_ROW


class Rate:
    """Bytes a second, over the last second or so. Not thread-safe."""

    def __init__(self, now: float) -> None:
        """Begin at 0; `now` and all times are in seconds of one clock."""
        self._since = now
        self._bytes = 0
        self._last = 0.0

    def moved(self, count: int, now: float) -> None:
        """Note that `count` bytes have come."""
        self._bytes += count
        elapsed = now - self._since
        if elapsed >= _RATE_SECONDS:
            self._last, self._since, self._bytes = self._bytes / elapsed, now, 0

    def of(self, now: float) -> float:
        """The rate; 0 after a while in which nothing has come."""
        return self._last if now - self._since < _STALE * _RATE_SECONDS else 0.0


def may_hold(held: int, size: int, memory: int, room_in_queue: int) -> bool:
    """Whether another piece may be under way.

    Args:
        held: bytes that are under way.
        size: the bytes of the next piece.
        memory: bytes of memory for read data of all files.
        room_in_queue: bytes that the disk's queue has room for, which all that is under way needs.
    """
    # One piece is always allowed, however little memory there is; what the disk has no room for is dropped.
    return held + size <= room_in_queue and (not held or held + size <= memory // _SHARE_OF_MEMORY)
