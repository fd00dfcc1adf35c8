"""A walk through the directory is recognised and fetched ahead; any other order costs next to nothing."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.walk_policy import RECOGNISED_AT, WINDOW_MAX, Beginning, Siblings

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
    """WalkPrefetch through different parts of the directory are each recognised."""
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


MIB, SMALL = 2**20, 2**18


def read_whole(policy: Siblings, each: int, size_of: dict[int, int], room: int) -> list[Beginning]:
    """What is fetched when a file is read, which is then read whole and closed."""
    policy.read(each, FILES)
    begun = policy.beginnings(each, size_of.get, SMALL, room)
    policy.closed(each, size_of[each], is_whole=True)
    return begun


@given(count=st.integers(1, 60), room=st.integers(0, 256 * MIB), random=RANDOMS)
def test_larger_files_are_fetched_as_far_as_was_earned(count: int, room: int, random: Random) -> None:
    """Of a walk that reads files whole, no more is ahead than there is room for, and than was read of it.

    Of no file more is fetched than twice the longest that was read, nor twice.
    """
    size_of = {each: random.randrange(1, 40 * MIB) for each in FILES}
    policy, ahead, longest, read = Siblings(), dict[int, int](), 0, 0
    for each in FILES[:count]:
        for begun in read_whole(policy, each, size_of, room):
            assert begun.resource_id not in ahead
            assert SMALL < begun.stop <= min(size_of[begun.resource_id], 2 * longest)
            ahead[begun.resource_id] = begun.stop
        in_vain = sum(stop for other, stop in ahead.items() if other > each)
        assert in_vain <= min(room, read)
        longest, read = max(longest, size_of[each]), read + size_of[each]
    assert count > RECOGNISED_AT or not ahead


def test_photos_are_fetched_before_their_turn() -> None:
    """Of files of one size each but the first few is begun while one before it is read."""
    policy, known = Siblings(), set[int]()
    size_of = dict.fromkeys(FILES, 4 * MIB)
    for place, each in enumerate(FILES):
        assert place <= RECOGNISED_AT or each in known
        known |= {begun.resource_id for begun in read_whole(policy, each, size_of, 16 * MIB)}


@given(random=RANDOMS)
def test_heads_earn_nothing(random: Random) -> None:
    """A walk that leaves the files early, each or one among a few, has none of the larger ones fetched."""
    policy = Siblings()
    size_of = {each: random.randrange(1, 40 * MIB) for each in FILES}
    for place, each in enumerate(FILES):
        policy.read(each, FILES)
        assert policy.beginnings(each, size_of.get, SMALL, 256 * MIB) == []
        policy.closed(each, size_of[each], is_whole=place % RECOGNISED_AT > 0)


def test_a_file_that_is_left_early_ends_it() -> None:
    """After that, what comes next must earn it anew."""
    policy, size_of = Siblings(), dict.fromkeys(FILES, 4 * MIB)
    for each in FILES[:10]:
        read_whole(policy, each, size_of, 64 * MIB)
    policy.read(FILES[10], FILES)
    policy.closed(FILES[10], 4 * MIB, is_whole=False)
    assert [read_whole(policy, each, size_of, 64 * MIB) for each in FILES[11:14]] == [[], [], []]
    assert policy.beginnings(FILES[200], size_of.get, SMALL, 64 * MIB) == []
