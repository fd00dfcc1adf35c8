"""Who is next to ask a server that has asked for fewer requests: one queue for each server."""

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
from empirical_fs.net.pace import Pace
from empirical_fs.net.recent import Recent
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps, Told

_REFUSALS_MAX = 3
"""After so many in a row a request has its place behind all others: it must not hold them up."""


@dataclass(slots=True, eq=False)
class _Waiter:
    deadline: Deadline
    cancellation: Cancellation | None
    since: float
    place: float
    """Who has a lower one goes before: when it came, even if it was refused meanwhile."""
    told: Future[None] = field(default_factory=Future)
    """Ends its wait, to look again; another one for each wait."""
    sent_at: float | None = None
    """When its turn came."""
    watches_clock: bool = False
    """Whether it looks again by itself when the server may be asked."""

    @property
    def is_awaited(self) -> bool:
        return self.cancellation is None or self.cancellation.is_awaited

    def keep_place(self) -> None:
        """Come back to the same place, unless what is asked for may be refused always."""
        if self.cancellation is not None:
            self.cancellation.refusals += 1
            is_often = self.cancellation.refusals > _REFUSALS_MAX
            self.cancellation.in_line_since = None if is_often else self.place

    def leave_place(self) -> None:
        """Come another time as whoever comes then."""
        if self.cancellation is not None:
            self.cancellation.in_line_since, self.cancellation.refusals = None, 0

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
    """Leave to send one request; it is over once, however often that is said."""

    def __init__(self, turns: "Turns", server: Server, waiter: _Waiter, sent_at: float) -> None:
        """The turn of `waiter`, which came at a moment of the clock."""
        self._turns: Turns | None = turns
        self._server = server
        self._waiter = waiter
        self._sent_at = sent_at

    def accepted(self) -> None:
        """The request was answered, and not refused; it is under way until `end`."""
        if self._turns is not None:
            self._waiter.leave_place()
            self._turns.change(self._server, Pace.accepted)

    def refused(self, asked: float | None) -> None:
        """The server has no time for the request, which is over; `asked` are the seconds that it wants."""
        turns, self._turns = self._turns, None
        if turns is not None:
            self._waiter.keep_place()
            turns.change(self._server, lambda pace, now: pace.refused(now, self._sent_at, asked))

    def end(self) -> None:
        """The request is over."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.change(self._server, lambda pace, _: pace.ended())


class Turns:
    """Lets requests to a server go by its pace: those for which somebody waits first, else as they came.

    There is no thread to it: the first who waits looks again when the next may go, and whoever ends a request
    sees to the next. The lock guards the lines; nobody is told anything under it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody waits; `clock` tells seconds, as a deadline has them."""
        self._clock = clock
        self._lock = threading.Lock()
        self._lines = Recent[Server, _Line](lambda line: line.is_in_use)
        self._is_closed = False

    @property
    def is_limited(self) -> bool:
        """Whether some server was sent more than it bears, lately."""
        with self._lock:
            return any(line.pace.is_limited for _, line in self._lines.items())

    def pause(self, server: Server) -> float:
        """The seconds for which a server still wants to be left alone; 0 if it does not."""
        with self._lock:
            line = self._lines.get(server)
            return 0.0 if line is None else line.pace.pause(self._clock())

    def take(self, server: Server, deadline: Deadline, cancellation: Cancellation | None) -> Steps[Turn]:
        """The turn to send a request to `server`; whoever takes it ends it.

        Raises:
            DeadlinePassed: it did not come in time, or will not, for the server wants to be left alone.
            Abandoned: nobody wants the answer any more.
            Closing: all is over.
        """
        now = self._clock()
        before = None if cancellation is None else cancellation.in_line_since
        waiter = _Waiter(deadline, cancellation, now, now if before is None else before)
        with self._lock:
            insort(self._line(server).waiting, waiter, key=lambda each: each.place)
        try:
            while (seconds := self._look(server, waiter)) is not None:
                if cancellation is not None:
                    cancellation.tell(lambda: _tell([waiter.told]))
                yield Told(waiter.told, seconds)
        except BaseException:
            self._leave(server, waiter)
            raise
        finally:
            if cancellation is not None:
                cancellation.stop_telling()
        if waiter.sent_at is None:
            raise AssertionError("nobody waits any more who has no turn")
        deadline.leave_line(waiter.since, waiter.sent_at)
        return Turn(self, server, waiter, waiter.sent_at)

    def change(self, server: Server, change: Callable[[Pace, float], object]) -> None:
        """Have the pace of a server take note of something, and see who is next."""
        with self._lock:
            line = self._line(server)
            change(line.pace, self._clock())
            told = self._advance(line)
        _tell(told)

    def close(self) -> None:
        """Whoever waits for a turn hears that all is over."""
        with self._lock:
            self._is_closed = True
            told = [waiter.told for _, line in self._lines.items() for waiter in line.waiting]
        _tell(told)

    def _line(self, server: Server) -> _Line:
        """The line of a server, which stays as long as somebody is in it. The lock is held."""
        return self._lines.get_or_put(server, _Line)

    def _look(self, server: Server, waiter: _Waiter) -> float | None:
        """None if it is the waiter's turn; else the seconds after which it is to look again, if not told.

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
                else Abandoned("nobody waits")
            )
        if waiter.sent_at is not None:
            return None
        if seconds <= 0:
            raise DeadlinePassed(f"{server.host} did not take the request in time")
        return seconds

    def _leave(self, server: Server, waiter: _Waiter) -> None:
        """Take a waiter out of the line, and give back its turn if that has come."""

        def leave(pace: Pace, _now: float) -> None:
            if waiter.sent_at is not None:
                pace.ended()
            else:
                self._line(server).waiting.remove(waiter)

        self.change(server, leave)

    def _advance(self, line: _Line) -> list[Future[None]]:
        """Give turns to those who may have one; who is to look again. The lock is held."""
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
    return waiter.cancellation is not None and waiter.cancellation.is_cancelled


def _tell(told: Iterable[Future[None]]) -> None:
    for each in told:
        with suppress(InvalidStateError):  # somebody was faster
            each.set_result(None)
