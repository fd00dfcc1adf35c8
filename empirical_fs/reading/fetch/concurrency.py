"""How many requests side by side the way to the store rewards: pure policy on measured rates."""

from bisect import bisect_right

LEVELS = (2, 4, 8, 16)
"""Numbers of requests side by side that are tried. Two, so that one is under way when another ends."""

LEFT_OPEN = 32
"""Requests beside those under way that may be left open, at most, until there is room for more bytes."""

KERNEL_RATE = 1_000_000_000
"""Bytes a second beyond which a reader through FUSE takes no more, roughly."""

SATURATED = 0.8
"""CPU seconds a second beyond which this process is what limits: Python computes in one thread at a time."""

_COUNTED_FROM = tuple(level * 0.75 for level in LEVELS)
"""Requests that must have been side by side for a rate to be that of a level."""
_SMOOTHING = 0.5
"""The weight of the latest rate; simulated, 0.25 and 1 do as well."""
_REWARDING = 1.25
"""More requests are worth it that carry so many times as much; simulated, 1.1 and 1.5 do as well."""
_AS_GOOD = 1.1
"""Fewer requests are as good where more of them carry no more than so many times as much."""
_STRIDE = 2
"""Levels climbed at a time; simulated (read_ahead.py), 1 takes 3.8 s for the first 16 MiB in place of 2.1."""
_FORGETTING = 1.1
"""By what the shortest time grows with each transfer that takes longer: links change."""
_TRIED_AGAIN = 64
"""Transfers after which what more requests did not carry is forgotten: links change."""
_MEASURABLE = 512 * 2**10
"""Bytes of a transfer that say something of the link, and not of the first byte's delay alone."""


class Link:
    """What the transfers of this process have shown. Not safe between threads; its owner serialises.

    It climbs from two requests side by side as long as more of them carry more together, and comes down
    where fewer carry as much.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._rates: dict[int, float] = {}
        self._level = 0
        self._observed = 0
        self._busy = 1.0
        self._round_trip = 0.0

    @property
    def round_trip(self) -> float:
        """Seconds that the shortest transfers took lately; 0 while nothing is known."""
        return self._round_trip

    def transferred(self, seconds: float) -> None:
        """Note how long a transfer took, from its request to its last byte."""
        self._round_trip = min(seconds, (self._round_trip or seconds) * _FORGETTING)

    @property
    def connections(self) -> int:
        """How many requests side by side are worth it."""
        return LEVELS[self._level]

    def observe(self, arrived: int, seconds: float, beside: float, busy: float) -> None:
        """Note what came while one transfer lasted, from its request to its last byte.

        Args:
            arrived: bytes that all transfers brought meanwhile. Those of one transfer say less: what a
                buffer on the way held back comes faster than any link carries it.
            seconds: how long it lasted.
            beside: how many transfers were under way, itself included, on the average.
            busy: CPU seconds that this process took a second.
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
