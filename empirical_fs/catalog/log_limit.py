"""Limits the log: a trouble that comes and goes is logged a few times, and then rarely."""

from collections import defaultdict, deque
from collections.abc import Callable

from empirical_fs.clock import aging_clock

_SECONDS = 600.0
_TIMES = 5
"""How often one kind of trouble is logged within `_SECONDS`, at most."""


class LogLimit:
    """Remembers what was logged and when. Not thread-safe: the owner holds a lock."""

    def __init__(self, clock: Callable[[], float] = aging_clock) -> None:
        """Start with nothing logged; `clock` gives seconds."""
        self._clock = clock
        self._told_at: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_TIMES))

    def allows(self, kind: str) -> bool:
        """Whether to log a new trouble of this kind; there must be few kinds, as each is remembered."""
        now, told_at = self._clock(), self._told_at[kind]
        if len(told_at) == _TIMES and now < told_at[0] + _SECONDS:
            return False
        told_at.append(now)
        return True
