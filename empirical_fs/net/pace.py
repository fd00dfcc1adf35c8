"""Decides how many requests a server gets at once, and how fast: no I/O, no threads, no clock."""

import math
from dataclasses import dataclass

PAUSE_MAX = 60.0
"""The longest pause that we make when a server asks for one, in seconds."""
BELIEVED_MAX = 3600.0
"""A server that asks for a longer pause than this many seconds is not believed."""

_PLENTY = 64
"""From this many requests at once on, the limit is dropped."""
_FIRST_PATIENCE, _LONGEST_PATIENCE = 2.0, 60.0
_STEP_SECONDS = 1.0
_FASTER_AT_FIRST, _FASTER = 0.5, 0.8
_SHORTEST_GAP, _LONGEST_GAP = 0.005, 2.0
_EPISODE_SECONDS = 60.0
"""Refusals farther apart than this, in seconds, are taken as unrelated."""
_IDLE_SECONDS = 1.0
"""After this many seconds without a request, though one was allowed, the rate is measured anew."""


@dataclass(slots=True)
class Pace:
    """The request rate that one server bears. Not thread-safe: the owner holds a lock. Times are in seconds.

    Nothing is limited before the first refusal. Each refusal lowers the number of requests at once to those
    that were under way with the refused one. If a request is refused again when no other was under way,
    requests came too fast: from then on there is a gap between two requests, by the rate that was accepted so
    far. After a while without a refusal more is tried; the while doubles each time that this led to a pause.
    """

    in_flight: int = 0
    """Requests under way; each counts until its body has ended."""
    _most: float = math.inf
    _gap: float = 0.0
    _next_at: float = -math.inf
    _paused_until: float = -math.inf
    _sent_at: float = -math.inf
    _refused_at: float = -math.inf
    _counted_since: float = -math.inf
    _accepted: int = 0
    """Requests that were accepted since `_counted_since`."""
    _patience: float = _FIRST_PATIENCE
    _tries_more_at: float = -math.inf
    _step: int = 1
    _faster: float = _FASTER_AT_FIRST
    """The factor by which the gap shrinks when more is tried."""
    _is_trying: bool = False
    """Whether more was tried since the last refusal."""

    @property
    def is_limited(self) -> bool:
        """Whether requests are limited, since the server has lately refused some."""
        return self._most < math.inf or self._gap > 0

    def pause(self, now: float) -> float:
        """How many more seconds the server wants no request; 0 if it takes them."""
        return max(self._paused_until - now, 0.0)

    def delay(self, now: float) -> float | None:
        """The seconds until another request may be sent; None if one under way must end first."""
        if self.in_flight >= self._most:
            return None
        return max(self._paused_until - now, self._next_at - now, 0.0)

    def sent(self, now: float) -> None:
        """Record that a request is sent."""
        if not self.in_flight and now - max(self._sent_at, self._next_at, self._paused_until) > _IDLE_SECONDS:
            self._counted_since, self._accepted = now, 0
        self.in_flight += 1
        self._sent_at, self._next_at = now, now + self._gap

    def ended(self) -> None:
        """Record that a request has ended."""
        self.in_flight -= 1

    def accepted(self, now: float) -> None:
        """Record that a request was answered and not refused; it is still under way."""
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
        """Record that a request sent at `sent_at` was refused; it has ended.

        `asked` is for how many seconds the server wants no request at all, if it said so.
        """
        self.in_flight -= 1
        is_asked = asked is not None and 0 < asked <= BELIEVED_MAX
        if self.in_flight:
            self._most = min(self._most, self.in_flight)
        elif is_asked and sent_at > self._refused_at > now - _EPISODE_SECONDS and self._accepted:
            # Refused again with nothing else under way: the rate was too high.
            borne = (now - self._counted_since) / self._accepted
            if self._gap and self._is_trying:
                # Go back to the gap before the last try, which the server accepted.
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
