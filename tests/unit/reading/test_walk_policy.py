from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.walk_policy import RECOGNISED_AT, WINDOW_MAX, Siblings

FILES = [1000 + place * 7 for place in range(300)]
COUNTS = st.integers(1, len(FILES))
RANDOMS = st.integers(0, 2**32).map(Random)


def walk(policy: Siblings, ids: Iterable[int], order: list[int] = FILES) -> list[list[int]]:
    """What is fetched at each of the reads."""
    return [policy.read(each, order) for each in ids]


def flat(fetched: list[list[int]]) -> list[int]:
    return [each for step in fetched for each in step]


@given(begin=st.integers(0, 250), count=COUNTS)
def test_a_walk_is_fetched_ahead_once(begin: int, count: int) -> None:
    """Of a walk all files but the first few are fetched before their turn, each once, in order."""
    ids = FILES[begin : begin + count]
    fetched = walk(Siblings(), ids)
    ahead = flat(fetched)
    first = begin + RECOGNISED_AT - 1
    assert ahead == FILES[first : first + len(ahead)]
    known: set[int] = set()
    for turn, (read, step) in enumerate(zip(ids, fetched, strict=True)):
        assert turn < RECOGNISED_AT or read in known
        known.update(step)
        assert len(known.difference(ids[: turn + 1])) <= WINDOW_MAX


@given(count=COUNTS)
def test_a_walk_earns_its_window(count: int) -> None:
    """No more files are fetched in vain than were read before: success comes first."""
    ids = FILES[:count]
    fetched = set(flat(walk(Siblings(), ids)))
    in_vain = len(fetched.difference(ids))
    assert in_vain <= WINDOW_MAX
    assert in_vain <= 2 ** max(count - RECOGNISED_AT + 1, 0)
    assert count >= RECOGNISED_AT or not fetched


@given(step=st.sampled_from([-3, -2, -1, 0, 2, 3, 5, 9, 20, -20]), start=st.integers(0, len(FILES) - 1))
def test_other_orders_cost_nothing(step: int, start: int) -> None:
    """Going backward, leaving files out, or reading one again and again fetches nothing."""
    places = [start + turn * step for turn in range(60)]
    assert flat(walk(Siblings(), [FILES[place] for place in places if 0 <= place < len(FILES)])) == []


@given(count=st.integers(20, 300), random=RANDOMS)
def test_reads_here_and_there_cost_next_to_nothing(count: int, random: Random) -> None:
    """Files that are read in a random order are hardly ever taken for a walk."""
    files = FILES[:count]
    fetched = flat(walk(Siblings(), random.sample(files, count), files))
    assert len(fetched) <= max(count // 5, 8)


def test_reads_here_and_there_cost_nothing_as_a_rule() -> None:
    """Over many random orders of a few files, hardly any file is fetched ahead."""
    files, random = FILES[:20], Random(5)
    fetched = [len(flat(walk(Siblings(), random.sample(files, 20), files))) for _ in range(500)]
    assert sum(fetched) / 500 <= 0.5


@given(st.integers(0, 5), RANDOMS)
def test_parallel_readers_are_recognised(disorder: int, random: Random) -> None:
    """A walk by several readers at once, which come out of order, is fetched ahead for the most part."""
    delayed = sorted((place + random.uniform(0, disorder), each) for place, each in enumerate(FILES))
    ids = [each for _, each in delayed]
    known: set[int] = set()
    foreseen = 0
    policy = Siblings()
    for read in ids:
        foreseen += read in known
        step = policy.read(read, FILES)
        assert known.isdisjoint(step)
        known.update(step)
    assert foreseen >= len(FILES) * 0.7
    assert known <= set(FILES)


def test_several_walks_at_once() -> None:
    """Walks through different parts of the directory are each recognised."""
    policy, begins = Siblings(), (0, 80, 160)
    for turn in range(40):
        for begin in begins:
            policy.read(FILES[begin + turn], FILES)
    ahead = [policy.read(FILES[begin + 40], FILES) for begin in begins]
    assert all(ahead)


def test_a_walk_that_leaves_some_out_goes_on() -> None:
    """A walk past files that were copied before loses some of its window, and earns it again."""
    policy = Siblings()
    walk(policy, FILES[:50])
    known = set(flat(walk(policy, FILES[55:140])))
    assert set(FILES[114:140]) <= known


def test_it_stops_with_the_walk() -> None:
    """When the pattern stops, nothing more is fetched, and what comes next must earn it anew."""
    policy = Siblings()
    walk(policy, FILES[:50])
    assert flat(walk(policy, [FILES[200], FILES[250], FILES[150], FILES[299]])) == []
    assert flat(walk(policy, FILES[220 : 220 + RECOGNISED_AT - 1])) == []


def test_the_directory_may_change() -> None:
    """A walk goes on when files come and go, by the places that its files have now."""
    policy = Siblings()
    known = set(flat(walk(policy, FILES[:50])))
    changed = [*range(5), *FILES[20:200], 7, *FILES[200:]]
    known |= set(flat(walk(policy, FILES[50:120], changed)))
    assert set(FILES[RECOGNISED_AT:120]) <= known


@pytest.mark.parametrize("order", [[], [5], FILES[100:]])
def test_files_that_are_gone(order: list[int]) -> None:
    """A file that is not in the directory, or a walk whose front is gone, is no reason to fail."""
    policy = Siblings()
    walk(policy, FILES[:50])
    assert policy.read(FILES[50], order) == []
    assert policy.read(FILES[51], []) == []


def test_the_end_of_the_directory() -> None:
    """Nothing lies beyond the last file."""
    fetched = walk(Siblings(), FILES)
    assert fetched[-1] == []
    assert flat(fetched)[-1] == FILES[-1]
