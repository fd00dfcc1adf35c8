"""What is news for the log: what comes and goes all the time is told a few times, and then seldom."""

from collections import defaultdict, deque
from collections.abc import Callable

from empirical_fs.clock import aging_clock

_SECONDS = 600.0
_TIMES = 5
"""That a kind of news is told within so many seconds, at most."""


class News:
    """What was told, and when. Not safe between threads; its owner serialises."""

    def __init__(self, clock: Callable[[], float] = aging_clock) -> None:
        """Nothing was told yet; `clock` tells seconds."""
        self._clock = clock
        self._told_at: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_TIMES))

    def is_news(self, kind: str) -> bool:
        """Whether to tell of something of this kind that was not so a moment ago; there are few kinds."""
        now, told_at = self._clock(), self._told_at[kind]
        if len(told_at) == _TIMES and now < told_at[0] + _SECONDS:
            return False
        told_at.append(now)
        return True
