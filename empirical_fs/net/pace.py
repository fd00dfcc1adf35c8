"""How many requests a server gets at once, and how fast: pure policy, without I/O, threads or a clock."""

import math
from dataclasses import dataclass

PAUSE_MAX = 60.0
"""The longest pause that a server is granted, in seconds."""
BELIEVED_MAX = 3600.0
"""Who asks to be left alone for longer than so many seconds does not mean it."""

_PLENTY = 64
"""Requests at once from which nothing is limited any more."""
_FIRST_PATIENCE, _LONGEST_PATIENCE = 2.0, 60.0
_STEP_SECONDS = 1.0
_FASTER_AT_FIRST, _FASTER = 0.5, 0.8
_SHORTEST_GAP, _LONGEST_GAP = 0.005, 2.0
_EPISODE_SECONDS = 60.0
"""Refusals that lie farther apart have nothing to do with each other."""
_IDLE_SECONDS = 1.0
"""Time without a request, though one was free to go, after which the rate is counted anew."""


@dataclass(slots=True)
class Pace:
    """What one server bears. Not safe between threads; its owner serialises. Moments are in seconds.

    Nothing is limited before the first refusal. Each one brings the number of requests at once down to
    those that were under way beside it. What is refused again, when nothing else was under way, came too
    fast: from then on there is a gap between two requests, by the rate that was borne so far. More is tried
    after a while without a refusal, which gets longer each time that a pause came of it.
    """

    in_flight: int = 0
    """Requests under way, to the end of their bodies."""
    _most: float = math.inf
    _gap: float = 0.0
    _next_at: float = -math.inf
    _paused_until: float = -math.inf
    _sent_at: float = -math.inf
    _refused_at: float = -math.inf
    _counted_since: float = -math.inf
    _accepted: int = 0
    """Requests that were not refused since then."""
    _patience: float = _FIRST_PATIENCE
    _tries_more_at: float = -math.inf
    _step: int = 1
    _faster: float = _FASTER_AT_FIRST
    """What the gap is multiplied by when more is tried."""
    _is_trying: bool = False
    """Whether more was tried since the last refusal."""

    @property
    def is_limited(self) -> bool:
        """Whether it was sent more than it bears, lately."""
        return self._most < math.inf or self._gap > 0

    def pause(self, now: float) -> float:
        """The seconds for which it still wants to be left alone; 0 if it does not."""
        return max(self._paused_until - now, 0.0)

    def delay(self, now: float) -> float | None:
        """The seconds until another request may be sent; None if one that is under way must end before."""
        if self.in_flight >= self._most:
            return None
        return max(self._paused_until - now, self._next_at - now, 0.0)

    def sent(self, now: float) -> None:
        """Take note that a request is sent."""
        if not self.in_flight and now - max(self._sent_at, self._next_at, self._paused_until) > _IDLE_SECONDS:
            self._counted_since, self._accepted = now, 0
        self.in_flight += 1
        self._sent_at, self._next_at = now, now + self._gap

    def ended(self) -> None:
        """Take note that a request is over."""
        self.in_flight -= 1

    def accepted(self, now: float) -> None:
        """Take note that a request was answered, and not refused; it is still under way."""
        self._accepted += 1
        if not self.is_limited or now < self._tries_more_at:
            return
        is_full = self.in_flight >= self._most
        if is_full:
            self._most += self._step
            self._step *= 2
        if self._most >= _PLENTY:
            self._most = math.inf
        if is_full or self._gap:
            shorter = self._gap * self._faster
            self._gap = shorter if shorter > _SHORTEST_GAP else 0.0
            self._is_trying = True
            self._tries_more_at = now + _STEP_SECONDS
        if not self.is_limited:
            self._patience, self._faster = _FIRST_PATIENCE, _FASTER_AT_FIRST

    def refused(self, now: float, sent_at: float, asked: float | None = None) -> None:
        """Take note that a request which was sent at that moment was refused; it is over.

        `asked` are the seconds for which the server wants no request at all, if it said so.
        """
        self.in_flight -= 1
        is_asked = asked is not None and 0 < asked <= BELIEVED_MAX
        if self.in_flight:
            self._most = min(self._most, self.in_flight)
        elif is_asked and sent_at > self._refused_at > now - _EPISODE_SECONDS and self._accepted:
            # Once more, and nothing else was under way: it is the rate.
            borne = (now - self._counted_since) / self._accepted
            if self._gap and self._is_trying:
                # What it bore before is known.
                borne, self._faster = self._gap / self._faster, _FASTER
            self._gap = min(max(borne, self._gap, _SHORTEST_GAP), _LONGEST_GAP)
        self._tries_more_at, self._step = now + _FIRST_PATIENCE, 1
        if is_asked and asked is not None:
            self._paused_until = max(self._paused_until, now + min(asked, PAUSE_MAX))
            if self._is_trying:
                self._patience = min(self._patience * 2, _LONGEST_PATIENCE)
            self._tries_more_at = self._paused_until + self._patience
        self._refused_at = self._counted_since = now
        self._accepted, self._is_trying = 0, False
