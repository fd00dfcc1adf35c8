"""A server that refuses requests gets them one after the other, in order and in time."""

from dataclasses import dataclass, field

import pytest

from empirical_fs.cancellation import Cancellation
from empirical_fs.clock import Deadline, DeadlineOfWork
from empirical_fs.errors import Abandoned, Closing, DeadlinePassed, EmpiricalError
from empirical_fs.net.turns import Turn, Turns
from empirical_fs.server import Server
from empirical_fs.work.waits import Done, Steps

STORE = Server("https", "store.example", 443)
OTHER = Server("https", "other.example", 443)


class Taking:
    """Who takes a turn: goes on each time that it is told, as a lane has it."""

    def __init__(self, steps: Steps[Turn]) -> None:
        self.turn: Turn | None = None
        self.failure: EmpiricalError | None = None
        self.wait: Done | None = None
        self._steps = steps
        self.go_on()

    def go_on(self) -> None:
        try:
            wait = next(self._steps)
        except StopIteration as end:
            self.turn, self.wait = end.value, None
        except EmpiricalError as error:
            self.failure, self.wait = error, None
        else:
            assert isinstance(wait, Done)
            self.wait = wait
            wait.future.add_done_callback(lambda _: self.go_on())

    def stop(self) -> None:
        self._steps.close()


@dataclass
class Line:
    """Turns on a clock of its own."""

    seconds: float = 1000.0
    turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(lambda: self.seconds)

    def take(
        self, server: Server = STORE, patience: float = 30, cancellation: Cancellation | None = None
    ) -> Taking:
        return Taking(self.turns.take(server, Deadline(self.seconds + patience), cancellation))

    def taken(self, server: Server = STORE) -> Turn:
        turn = self.take(server).turn
        assert turn is not None
        return turn

    def limit(self, asked: float | None = None) -> Turn:
        """Have the store refuse a second request; the turn of the first one."""
        first, second = self.taken(), self.taken()
        second.refused(asked)
        return first


@pytest.fixture
def line() -> Line:
    return Line()


def test_nobody_waits_for_a_server_that_refuses_nothing(line: Line) -> None:
    """Turns come at once, however many there are."""
    assert all(line.take().turn is not None for _ in range(1000))


def test_one_after_the_other_in_order(line: Line) -> None:
    """Of those who wait for a busy server, the end of one request lets one more go, the first who came."""
    first = line.limit()
    waiting = [line.take() for _ in range(3)]
    assert [each.turn for each in waiting] == [None] * 3
    assert line.take(OTHER).turn is not None
    first.end()
    first.end()
    assert [each.turn is not None for each in waiting] == [True, False, False]


def test_who_is_waited_for_goes_first(line: Line) -> None:
    """What is only likely to be read waits until nobody waits for anything, or for it."""
    first, ahead = line.limit(), [Cancellation(is_awaited=False) for _ in range(2)]
    waiting = [*(line.take(cancellation=each) for each in ahead), line.take()]
    first.end()
    assert [each.turn is not None for each in waiting] == [False, False, True]
    ahead[1].is_awaited = True
    assert waiting[2].turn is not None
    waiting[2].turn.end()
    assert [each.turn is not None for each in waiting] == [False, True, True]


def test_who_is_refused_keeps_its_place(line: Line) -> None:
    """It goes before those who came later, unless it is refused again and again."""
    first, refused = line.limit(), Cancellation()
    again = line.take(cancellation=refused)
    goes_first: list[bool] = []
    while len(goes_first) < 5:
        line.seconds += 1
        other = line.take()
        if again.wait is None:
            again = line.take(cancellation=refused)
        first.end()
        goes_first.append(again.turn is not None)
        if again.turn is not None:
            again.turn.refused(None)
        assert other.turn is not None
        first = other.turn
    assert goes_first == [True] * 4 + [False]


def test_a_pause_is_waited_out_by_one_for_all(line: Line) -> None:
    """While a server is left alone the first alone watches the clock; then one goes, not all."""
    line.limit(5).end()
    waiting = [line.take() for _ in range(3)]
    waits = [each.wait for each in waiting if each.wait is not None]
    assert [wait.seconds for wait in waits] == pytest.approx([5, 30, 30])
    line.seconds += 5
    waiting[0].go_on()
    assert [each.turn is not None for each in waiting] == [True, False, False]


def test_the_next_watches_when_the_first_leaves(line: Line) -> None:
    """Whoever watches the clock may go at any time: another one does it then."""
    line.limit(5).end()
    waiting = [line.take() for _ in range(2)]
    waiting[0].stop()
    assert waiting[1].wait is not None
    assert waiting[1].wait.seconds == pytest.approx(5)
    line.seconds += 5
    waiting[1].go_on()
    assert waiting[1].turn is not None


def test_who_cannot_be_served_in_time_hears_at_once(line: Line) -> None:
    """A pause beyond the deadline is no wait; one that begins meanwhile ends the wait of others."""
    first = line.limit()
    early, late = line.take(patience=3), line.take(patience=30)
    first.refused(10)
    assert isinstance(early.failure, DeadlinePassed)
    assert late.failure is None
    assert isinstance(line.take(patience=9).failure, DeadlinePassed)


def test_the_deadline_ends_the_wait(line: Line) -> None:
    """Whose turn does not come in time leaves, and holds up nobody."""
    first = line.limit()
    early, late = line.take(patience=3), line.take()
    line.seconds += 3
    early.go_on()
    assert isinstance(early.failure, DeadlinePassed)
    first.end()
    assert late.turn is not None


def test_work_does_not_count_the_turns_of_others(line: Line) -> None:
    """Whose deadline is that of work waits on, and has as long as before; a pause beyond it ends that."""
    first, deadline = line.limit(), DeadlineOfWork(line.seconds + 3)
    waiting = Taking(line.turns.take(STORE, deadline, None))
    line.seconds += 60
    waiting.go_on()
    assert waiting.wait is not None
    first.end()
    assert waiting.turn is not None
    assert deadline.at == line.seconds + 3
    other = Taking(line.turns.take(STORE, deadline, None))
    waiting.turn.refused(5)
    assert isinstance(other.failure, DeadlinePassed)


def test_who_is_cancelled_leaves_at_once(line: Line) -> None:
    """A request that nobody wants does not wait, and its memory is free."""
    first, cancellation = line.limit(), Cancellation()
    waiting = [line.take(cancellation=cancellation), line.take()]
    cancellation.cancel()
    assert isinstance(waiting[0].failure, Abandoned)
    first.end()
    assert waiting[1].turn is not None


def test_a_turn_that_nobody_takes_goes_on(line: Line) -> None:
    """Whoever is gone when its turn has come gives it to the next."""
    first = line.limit()
    steps = line.turns.take(STORE, Deadline(line.seconds + 30), None)
    next(steps)
    waiting = line.take()
    first.end()
    assert waiting.turn is None
    steps.close()
    assert waiting.turn is not None


def test_all_hear_of_the_end(line: Line) -> None:
    """When all is over nobody waits."""
    line.limit()
    waiting = [line.take() for _ in range(3)]
    line.turns.close()
    assert all(isinstance(each.failure, Closing) for each in waiting)
