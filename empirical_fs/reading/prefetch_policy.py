"""Decides how files are fetched into the cache on disk: which one next, how many at once, in which pieces."""

from collections.abc import Collection, Iterable

PIECE = 2**20
"""Bytes that are held in memory at once of one request: they are handed to the disk, and dropped."""

RUN = 64 * 2**20
"""Bytes of one request at most; a longer gap is fetched by several, side by side."""

AHEAD = 2
"""Pieces of one request that are under way, so that the next has its memory when one is full."""

_AT_ONCE = 16
"""Requests at once at most: as many as read-ahead has, too."""
_WHILE_READERS_WAIT = 2
"""Requests at once while programs wait for bytes."""
_WAIT_COUNTS_SECONDS = 1.0
"""For so long after a program had to wait it counts as waiting: it will read on."""
_FIRST = 4
"""Pieces at once before anything is known of the link."""
_SHARE_OF_MEMORY = 4
"""Of the memory for read data, this part may be held; the rest is for programs."""
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
        if tries + 1 >= _TRIES:
            return False
        self._waiting[resource_id] = tries + 1
        return True

    def clear(self) -> None:
        """Forget the rest."""
        self._waiting.clear()


def requests_at_once(since_wait: float) -> int:
    """How many requests may be under way, so many seconds after a program had to wait for bytes."""
    return _WHILE_READERS_WAIT if since_wait < _WAIT_COUNTS_SECONDS else _AT_ONCE


def bytes_at_once(requests: int, connections: int, memory: int, room_in_queue: int, in_flight: int) -> int:
    """How many bytes may be under way.

    Args:
        requests: what `requests_at_once` says.
        connections: how many parallel requests give the best throughput, as measured.
        memory: bytes of memory for read data of all files.
        room_in_queue: bytes that the disk's queue has room for.
        in_flight: bytes that are under way now, which will need room there, too.
    """
    by_link = min(AHEAD * requests, max(AHEAD * connections, _FIRST)) * PIECE
    # One piece is always allowed, else nothing would move with little memory or a slow disk.
    by_room = max(room_in_queue, PIECE if not in_flight else 0)
    return min(by_link, max(memory // _SHARE_OF_MEMORY, PIECE), by_room)


def pieces(start: int, stop: int) -> Iterable[tuple[int, int]]:
    """The range from `start` to `stop` in pieces that end where offsets are multiples of a piece."""
    while start < stop:
        after = min((start // PIECE + 1) * PIECE, stop)
        yield start, after
        start = after
