"""Which file is fetched into the cache next, and how many requests and bytes may be under way."""

import pytest

from empirical_fs.reading.prefetch_policy import (
    AT_ONCE,
    PIECE,
    Conditions,
    Order,
    Rate,
    may_begin,
    may_hold,
    weight,
)

LONG_AGO = float("inf")
SLOW = Conditions(connections=2, rate=0, since_wait=LONG_AGO)


class TestOrder:
    def test_in_turn(self) -> None:
        """Files come in the given order, each once."""
        order = Order([3, 1, 2])
        assert [order.next() for _ in range(4)] == [(3, 0), (1, 0), (2, 0), None]
        assert not order

    def test_what_a_program_opens_comes_first(self) -> None:
        """What is open and was begun already, or is not wanted at all, changes nothing."""
        order = Order(range(5))
        assert order.next({9}) == (0, 0)
        assert order.next({0, 9, 4}) == (4, 0)
        assert order.next({0, 4}) == (1, 0)

    def test_another_try(self) -> None:
        """A file that was not kept is taken up again after the others, but not for ever."""
        order = Order([1, 2])
        assert order.next() == (1, 0)
        assert order.put_back(1, 0)
        assert order.next() == (2, 0)
        assert order.next() == (1, 1)
        assert order.put_back(1, 1)
        assert order.next() == (1, 2)
        assert not order.put_back(1, 2)
        assert order.next() is None

    def test_given_up(self) -> None:
        order = Order([1, 2])
        order.clear()
        assert (len(order), order.next()) == (0, None)


class TestMayBegin:
    def test_the_first(self) -> None:
        """One request is always under way, also while programs wait."""
        assert may_begin([], PIECE, Conditions(connections=2, rate=0, since_wait=0))

    def test_as_many_as_are_worth_it(self) -> None:
        """As long as nothing shows that more come through."""
        assert may_begin([PIECE], PIECE, SLOW)
        assert not may_begin([PIECE] * 2, PIECE, SLOW)
        assert may_begin([PIECE] * 2, PIECE, Conditions(connections=8, rate=0, since_wait=LONG_AGO))

    def test_small_files(self) -> None:
        """They count as what they are: many of them come in the time of a round trip."""
        small = 16 * 2**10
        assert weight(small) < 1 / AT_ONCE
        assert may_begin([small] * (AT_ONCE - 1), small, SLOW)
        assert not may_begin([small] * AT_ONCE, small, SLOW)

    @pytest.mark.parametrize(("rate", "expected"), [(100 * PIECE, AT_ONCE), (12 * PIECE, 6), (PIECE, 2)])
    def test_as_many_as_come_soon(self, rate: float, expected: int) -> None:
        """A link that carries much has all requests, whatever the last measurement says; a slow one few."""
        now = Conditions(connections=2, rate=rate, since_wait=LONG_AGO)
        moving: list[int] = []
        while may_begin(moving, PIECE, now):
            moving.append(PIECE)
        assert len(moving) == expected

    def test_while_programs_wait(self) -> None:
        """Few, however much the link carries; and all again once none has waited for a second."""
        busy = Conditions(connections=16, rate=100 * PIECE, since_wait=0.5)
        assert may_begin([PIECE], PIECE, busy)
        assert not may_begin([PIECE] * 2, PIECE, busy)
        assert may_begin([PIECE] * 2, PIECE, Conditions(connections=16, rate=0, since_wait=1.5))


class TestMayHold:
    def test_memory(self) -> None:
        """A quarter of the memory, so that programs have the rest."""
        assert may_hold(3 * PIECE, PIECE, memory=16 * PIECE, room_in_queue=99 * PIECE)
        assert not may_hold(4 * PIECE, PIECE, memory=16 * PIECE, room_in_queue=99 * PIECE)

    def test_a_slow_disk(self) -> None:
        """What is under way must have room in the queue of the disk, so that nothing is dropped."""
        assert may_hold(PIECE, PIECE, memory=99 * PIECE, room_in_queue=2 * PIECE)
        assert not may_hold(PIECE, PIECE, memory=99 * PIECE, room_in_queue=2 * PIECE - 1)
        assert not may_hold(0, PIECE, memory=99 * PIECE, room_in_queue=PIECE - 1)

    def test_one_piece_always(self) -> None:
        """Else nothing would move with little memory."""
        assert may_hold(0, PIECE, memory=0, room_in_queue=PIECE)


def test_rate() -> None:
    """What came within the last time that was long enough; nothing, if nothing comes any more."""
    rate = Rate(now=10.0)
    rate.moved(100, 10.2)
    assert rate.of(10.2) == 0
    rate.moved(100, 10.5)
    assert rate.of(10.6) == pytest.approx(400)
    assert rate.of(13.0) == 0
