"""What is news for the log: the same again soon is not, however often it comes and goes."""

from collections.abc import Callable

from empirical_fs.clock import aging_clock

_AGAIN_SECONDS = 600.0


class News:
    """What was told, and when. Not safe between threads; its owner serialises."""

    def __init__(self, clock: Callable[[], float] = aging_clock) -> None:
        """Nothing was told yet; `clock` tells seconds."""
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def is_news(self, kind: str) -> bool:
        """Whether something of this kind is to be told now; there are few kinds."""
        now = self._clock()
        if now < self._told_at.get(kind, float("-inf")) + _AGAIN_SECONDS:
            return False
        self._told_at[kind] = now
        return True
