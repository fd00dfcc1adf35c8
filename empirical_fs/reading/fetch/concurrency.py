"""Decides how many parallel requests to the store give the best throughput: pure policy on measured rates."""

from bisect import bisect_right

LEVELS = (2, 4, 8, 16)
"""Numbers of parallel requests to try. At least two, so that one is under way when another ends."""

LEFT_OPEN = 32
"""The most requests, besides those under way, that may be left open until there is memory for more bytes."""

KERNEL_RATE = 1_000_000_000
"""Bytes a second: roughly the most that a program can read through FUSE."""

SATURATED = 0.8
"""CPU seconds a second from which this process is the bottleneck: Python runs one thread at a time."""

_COUNTED_FROM = tuple(level * 0.75 for level in LEVELS)
"""The average number of parallel requests from which a rate counts for a level."""
_SMOOTHING = 0.5
"""The weight of the latest rate; simulated, 0.25 and 1 do as well."""
_REWARDING = 1.25
"""More requests are worth it if their rate is this many times higher; simulated, 1.1 and 1.5 do as well."""
_AS_GOOD = 1.1
"""Fewer requests are as good if the rate of more requests is at most this many times higher."""
_STRIDE = 2
"""Levels climbed at once; simulated (read_ahead.py), 1 takes 3.8 s for the first 16 MiB instead of 2.1."""
_FORGETTING = 1.1
"""Factor by which the shortest time grows with each transfer that takes longer: links change."""
_TRIED_AGAIN = 64
"""Transfers after which the rates of higher levels are forgotten and tried again: links change."""
_MEASURABLE = 512 * 2**10
"""A transfer must bring this many bytes to show the link's rate, not only the delay of the first byte."""


class Link:
    """What the transfers of this process have shown about the link. Not thread-safe; the owner serialises.

    The number of parallel requests begins at two, rises as long as more requests have a higher total rate,
    and falls when fewer are as good.
    """

    def __init__(self) -> None:
        """Begin at two requests, without any measured rate."""
        self._rates: dict[int, float] = {}
        self._level = 0
        self._observed = 0
        self._busy = 1.0
        self._round_trip = 0.0

    @property
    def round_trip(self) -> float:
        """The shortest time in seconds that a transfer took lately; 0 before the first transfer."""
        return self._round_trip

    def transferred(self, seconds: float) -> None:
        """Note how long a transfer took, from its request to its last byte."""
        self._round_trip = min(seconds, (self._round_trip or seconds) * _FORGETTING)

    @property
    def connections(self) -> int:
        """How many parallel requests give the best throughput."""
        return LEVELS[self._level]

    def observe(self, arrived: int, seconds: float, beside: float, busy: float) -> None:
        """Note what arrived while one transfer lasted, from its request to its last byte.

        Args:
            arrived: bytes that all transfers together brought in this time. The bytes of one transfer would
                mislead: those held in a buffer on the way arrive faster than the link carries them.
            seconds: how long the transfer lasted.
            beside: the average number of transfers under way, including this one.
            busy: CPU seconds that this process used per second.
        """
        if arrived < _MEASURABLE or seconds <= 0:
            return
        level = max(bisect_right(_COUNTED_FROM, beside) - 1, 0)
        rate = arrived / seconds
        before = self._rates.get(level, rate)
        self._rates[level] = before + (rate - before) * _SMOOTHING
        self._busy += (busy - self._busy) * _SMOOTHING
        self._observed += 1
        if self._observed % _TRIED_AGAIN == 0:
            self._rates = {each: rate for each, rate in self._rates.items() if each <= self._level}
        self._level = self._better_level()

    def _better_level(self) -> int:
        """The index in LEVELS to use next: lower if that is as good, higher if that may be better."""
        here = self._rates.get(self._level)
        if here is None:
            return self._level
        lower = max((level for level in self._rates if level < self._level), default=self._level)
        if lower < self._level and self._rates[lower] * _AS_GOOD >= here:
            return lower
        higher = min(self._level + _STRIDE, len(LEVELS) - 1)
        is_limited = here >= KERNEL_RATE or self._busy >= SATURATED
        if not is_limited and self._rates.get(higher, float("inf")) > here * _REWARDING:
            return higher
        return self._level
