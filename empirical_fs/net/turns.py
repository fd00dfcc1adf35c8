"""Queues the requests to servers that asked for fewer requests: one queue for each server."""

import threading
import time
from bisect import insort
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline
from empirical_fs.errors import Abandoned, Closing, DeadlinePassed
from empirical_fs.net.lru_table import LruTable
from empirical_fs.net.pace import Pace
from empirical_fs.server import Server
from empirical_fs.work.waits import Done, Steps

_REFUSALS_MAX = 3
"""After more refusals in a row than this, a request goes to the end of the queue, not to hold up others."""


@dataclass(slots=True, eq=False)
class _Place:
    cancellation: Cancellation | None
    at: float
    """The position in the queue, lowest first: when the request came, even if it was refused meanwhile."""

    def keep(self) -> None:
        """Let a retry take the same place, unless the request was refused so often that it may always be."""
        if self.cancellation is not None:
            self.cancellation.refusals += 1
            is_often = self.cancellation.refusals > _REFUSALS_MAX
            self.cancellation.in_line_since = None if is_often else self.at

    def leave(self) -> None:
        """Give up the place: the next request of this cancellation goes to the end."""
        if self.cancellation is not None:
            self.cancellation.in_line_since, self.cancellation.refusals = None, 0


@dataclass(slots=True, eq=False)
class _Waiter:
    deadline: Deadline
    place: _Place
    since: float
    told: Future[None] = field(default_factory=Future)
    """Set to end the wait, so that the request looks again; a new future for each wait."""
    sent_at: float | None = None
    """When its turn came; None before."""
    watches_clock: bool = False
    """Whether its wait ends by itself when the server may be asked again."""

    @property
    def is_awaited(self) -> bool:
        return self.place.cancellation is None or self.place.cancellation.is_awaited

    def left(self, now: float) -> float:
        return self.deadline.left_in_line(self.since, now)


@dataclass(slots=True)
class _Line:
    pace: Pace = field(default_factory=Pace)
    waiting: list[_Waiter] = field(default_factory=list)

    @property
    def is_in_use(self) -> bool:
        return bool(self.waiting or self.pace.in_flight)


class Turn:
    """Permission to send one request. It ends once; ending it again does nothing."""

    __slots__ = ("_line", "_place", "_sent_at", "_turns")

    def __init__(self, turns: "Turns", line: _Line, place: _Place, sent_at: float) -> None:
        """The turn of the request at `place` in `line`, which came at `sent_at` (by the clock of `turns`)."""
        self._turns: Turns | None = turns
        self._line = line
        self._place = place
        self._sent_at = sent_at

    def accepted(self) -> None:
        """Record that the request was answered and not refused; it is under way until `end`."""
        if self._turns is not None:
            self._place.leave()
            self._turns.change(self._line, Pace.accepted)

    def refused(self, asked: float | None) -> None:
        """End the turn of a refused request; `asked` is the pause in seconds that the server asks for."""
        turns, self._turns = self._turns, None
        if turns is not None:
            self._place.keep()
            turns.change(self._line, lambda pace, now: pace.refused(now, self._sent_at, asked))

    def end(self) -> None:
        """End the turn of a request that has ended."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.change(self._line, lambda pace, _: pace.ended())


class Turns:
    """Sends requests to a server at its pace: first those that a caller waits for, else in order of arrival.

    It needs no thread: the first in the queue wakes by itself when the next request may go, and each request
    that ends wakes the next one. The lock guards the queues; no future is set while it is held.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with empty queues; `clock` gives seconds, and is the clock of deadlines."""
        self._clock = clock
        self._lock = threading.Lock()
        self._lines = LruTable[Server, _Line](lambda line: line.is_in_use)
        self._is_closed = False

    @property
    def is_limited(self) -> bool:
        """Whether requests to some server are limited, since it has lately refused some."""
        with self._lock:
            return any(line.pace.is_limited for _, line in self._lines.items())

    def pause(self, server: Server) -> float:
        """How many more seconds a server wants no request; 0 if it takes them."""
        with self._lock:
            line = self._lines.peek(server)
            return 0.0 if line is None else line.pace.pause(self._clock())

    def take(self, server: Server, deadline: Deadline, cancellation: Cancellation | None) -> Steps[Turn]:
        """Wait for the turn to send a request to `server`; the caller must end the turn.

        Raises:
            DeadlinePassed: it did not come in time, or cannot, since the server wants no request until later.
            Abandoned: the request was cancelled.
            Closing: the file system is being unmounted.
        """
        now = self._clock()
        before = None if cancellation is None else cancellation.in_line_since
        place = _Place(cancellation, now if before is None else before)
        with self._lock:
            line = self._line(server)
            if not line.waiting and line.pace.delay(now) == 0:
                line.pace.sent(now)
                return Turn(self, line, place, now)
            waiter = _Waiter(deadline, place, now)
            insort(line.waiting, waiter, key=lambda each: each.place.at)
        try:
            while (seconds := self._look(server, waiter)) is not None:
                if cancellation is not None:
                    cancellation.tell(lambda: _tell([waiter.told]))
                yield Done(waiter.told, seconds)
        except BaseException:
            self._leave(server, waiter)
            raise
        finally:
            if cancellation is not None:
                cancellation.stop_telling()
        if waiter.sent_at is None:
            raise AssertionError("the wait ended without a turn")
        deadline.leave_line(waiter.since, waiter.sent_at)
        return Turn(self, line, place, waiter.sent_at)

    def change(self, line: _Line, change: Callable[[Pace, float], object]) -> None:
        """Update the pace of a server, and give turns to the requests that may go then."""
        with self._lock:
            change(line.pace, self._clock())
            told = self._advance(line) if line.waiting else ()
        if told:
            _tell(told)

    def close(self) -> None:
        """End all waits for a turn: `take` raises Closing."""
        with self._lock:
            self._is_closed = True
            told = [waiter.told for _, line in self._lines.items() for waiter in line.waiting]
        _tell(told)

    def _line(self, server: Server) -> _Line:
        """The queue of a server; it is kept while a request is in it. The caller holds the lock."""
        return self._lines.get_or_put(server, _Line)

    def _look(self, server: Server, waiter: _Waiter) -> float | None:
        """None if it is the waiter's turn; else after how many seconds to look again, if not woken before.

        Raises:
            As `take`.
        """
        with self._lock:
            line, now = self._line(server), self._clock()
            waiter.told, waiter.watches_clock = Future(), False
            told = self._advance(line)
            is_over = waiter.sent_at is None and (self._is_closed or _is_cancelled(waiter))
            seconds = waiter.left(now)
            if waiter.sent_at is None and line.pace.pause(now) >= seconds:
                seconds = 0.0
            elif waiter.sent_at is None and line.waiting[0] is waiter:
                delay = line.pace.delay(now)
                waiter.watches_clock = delay is not None
                seconds = seconds if delay is None else min(seconds, delay)
        _tell(each for each in told if each is not waiter.told)
        if is_over:
            raise (
                Closing("the file system is being unmounted")
                if self._is_closed
                else Abandoned("the request was cancelled")
            )
        if waiter.sent_at is not None:
            return None
        if seconds <= 0:
            raise DeadlinePassed(f"{server.host} did not take the request in time")
        return seconds

    def _leave(self, server: Server, waiter: _Waiter) -> None:
        """Take a waiter out of the queue, or give its turn back if that has come."""

        def leave(pace: Pace, _now: float) -> None:
            if waiter.sent_at is not None:
                pace.ended()
            else:
                line.waiting.remove(waiter)

        with self._lock:
            line = self._line(server)
        self.change(line, leave)

    def _advance(self, line: _Line) -> list[Future[None]]:
        """Give turns to all that may go now; returns the futures to set. The caller holds the lock."""
        told, now = [], self._clock()
        while line.waiting and line.pace.delay(now) == 0:
            chosen = next((each for each in line.waiting if each.is_awaited), line.waiting[0])
            line.waiting.remove(chosen)
            line.pace.sent(now)
            chosen.sent_at = now
            told.append(chosen.told)
        if pause := line.pace.pause(now):
            told += [each.told for each in line.waiting if each.left(now) <= pause]
        if line.waiting and not line.waiting[0].watches_clock and line.pace.delay(now) is not None:
            told.append(line.waiting[0].told)
        return told


def _is_cancelled(waiter: _Waiter) -> bool:
    cancellation = waiter.place.cancellation
    return cancellation is not None and cancellation.is_cancelled


def _tell(told: Iterable[Future[None]]) -> None:
    for each in told:
        with suppress(InvalidStateError):  # another thread has set it already
            each.set_result(None)
