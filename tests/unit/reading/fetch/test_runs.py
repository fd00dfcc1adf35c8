"""Requests that go on over several parts: which are taken up again, and when they are closed."""

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.reading.buffers import Blocks, MemoryBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.runs import Run, Runs
from empirical_fs.reading.part import Part
from empirical_fs.work.waits import drive
from tests.unit.conftest import zeros

PART = 1000
STOP = 4 * PART


@pytest.fixture
def runs() -> Runs:
    """No time passes in them."""
    return Runs(lambda: 0.0, parked_most=2)


@pytest.fixture
def closed() -> list[int]:
    """Where the bodies were that were closed."""
    return []


def content(number: int = 0) -> Content:
    return Content(Resource(id=number, name="a", size=STOP, updated_ns=0, link=None), STOP)


def part(number: int) -> Part:
    return Part(number * PART, (number + 1) * PART, MemoryBuffer(PART, Blocks()))


def begin(runs: Runs, of: Content, first: Part, closed: list[int]) -> Run:
    """A run whose first part is being filled, by a request for all."""
    run = runs.add(of, first, STOP)
    assert run is not None
    assert runs.next(run) is first
    run.body = zeros(first.start, STOP, closed.append)
    return run


def fill(run: Run, filled: Part) -> None:
    """What a thread does to a part."""
    body = run.take_body(filled.start)
    assert body is not None
    drive(body.pour(filled, filled.start, filled.stop))
    run.body = body


def park(runs: Runs, of: Content, closed: list[int]) -> Run:
    """A run that is left open after its first part."""
    first = part(0)
    run = begin(runs, of, first, closed)
    fill(run, first)
    assert runs.next(run) is None
    return run


def test_a_run_goes_on_while_it_moves(runs: Runs, closed: list[int]) -> None:
    """What begins where a run ends is added to it, and its thread comes to it in turn."""
    of, parts = content(), [part(number) for number in range(3)]
    run = begin(runs, of, parts[0], closed)
    assert [runs.add(of, each, STOP) for each in parts[1:]] == [None, None]
    fill(run, parts[0])
    for each in parts[1:]:
        assert runs.next(run) is each
        fill(run, each)
    assert runs.next(run) is None
    assert closed == []


def test_a_run_goes_on_after_a_pause(runs: Runs, closed: list[int]) -> None:
    """A run that was left open is handed back, with its body, to be filled by a thread again."""
    of, second = content(), part(1)
    run = park(runs, of, closed)
    assert runs.add(of, second, STOP) is run
    assert runs.next(run) is second
    fill(run, second)
    assert closed == []


@pytest.mark.parametrize("number", [0, 2])
def test_what_does_not_follow_begins_anew(runs: Runs, closed: list[int], number: int) -> None:
    """A part before or after the place where a run is takes one of its own, and so does another content."""
    of = content()
    run = park(runs, of, closed)
    for other in (of, content(1)):
        added = runs.add(other, part(number), STOP)
        assert added is not None
        assert added is not run


def test_a_part_that_reaches_farther_than_the_request_begins_anew(runs: Runs, closed: list[int]) -> None:
    """No run is given a part of which its request brings but the beginning."""
    of = content()
    run = park(runs, of, closed)
    added = runs.add(of, Part(PART, STOP + 1, MemoryBuffer(STOP, Blocks())), STOP + 1)
    assert added is not None
    assert added is not run


def test_what_is_next(runs: Runs) -> None:
    """Only the part after the one that is being filled is about to come."""
    of, parts = content(), [part(number) for number in range(3)]
    run = runs.add(of, parts[0], STOP)
    assert run is not None
    assert not runs.is_next(of, parts[0])
    assert runs.next(run) is parts[0]
    for each in parts[1:]:
        runs.add(of, each, STOP)
    assert [runs.is_next(of, each) for each in parts] == [False, True, False]
    assert not runs.is_next(content(1), parts[1])


def test_a_body_that_is_elsewhere_is_closed(runs: Runs, closed: list[int]) -> None:
    """A part that somebody else fetched ends the request, whether another part is to follow or not."""
    of = content()
    run = park(runs, of, closed)
    assert runs.add(of, part(1), STOP) is run
    assert runs.next(run) is not None  # which is left to somebody else
    assert runs.next(run) is None
    assert closed == [PART]
    run = park(runs, of, closed)
    assert run.take_body(2 * PART) is None
    assert closed == [PART, PART]


def test_the_oldest_make_room(runs: Runs, closed: list[int]) -> None:
    """No more are left open than may be; those that wait for longest are closed, and begin anew."""
    contents = [content(number) for number in range(3)]
    parked = [park(runs, of, closed) for of in contents]
    assert closed == [PART]
    added = [runs.add(of, part(1), STOP) for of in contents]
    assert added[0] is not parked[0]
    assert added[1:] == parked[1:]


def test_what_nobody_comes_back_to_is_closed(closed: list[int]) -> None:
    """A body that was left open for long is closed as soon as another one is."""
    now = 0.0
    runs = Runs(lambda: now, parked_most=2)
    of, other = content(), content(1)
    run = park(runs, of, closed)
    now += 4
    park(runs, other, closed)
    assert closed == []
    now += 4
    park(runs, content(2), closed)
    assert closed == [PART]
    assert runs.add(of, part(1), STOP) is not run


def test_forgotten(runs: Runs, closed: list[int]) -> None:
    """What is left open of a content is closed at once; what moves, when its part is done."""
    of, other = content(), content(1)
    park(runs, of, closed)
    first = part(2)
    moving = begin(runs, of, first, closed)
    kept = park(runs, other, closed)
    runs.forget(of)
    assert closed == [PART]
    fill(moving, first)
    assert runs.next(moving) is None
    assert closed == [PART, 3 * PART]
    assert runs.add(other, part(1), STOP) is kept


def test_what_is_taken_up_again_does_not_make_room(runs: Runs, closed: list[int]) -> None:
    """A run that goes on again is not among those left open."""
    contents = [content(number) for number in range(3)]
    parked = [park(runs, of, closed) for of in contents[:2]]
    assert runs.add(contents[0], part(1), STOP) is parked[0]
    assert runs.next(parked[0]) is not None
    park(runs, contents[2], closed)
    assert closed == []


def test_a_run_that_nobody_moves(runs: Runs, closed: list[int]) -> None:
    """It is over, with its body, and a part that follows takes a run of its own."""
    of = content()
    run = park(runs, of, closed)
    assert runs.add(of, part(1), STOP) is run
    runs.drop(run)
    assert closed == [PART]
    assert not runs.is_next(of, part(1))
    other = runs.add(of, part(1), STOP)
    assert other is not None
    assert other is not run
