"""Read-ahead is earned: a sequential reader never starves, and a random one costs only what it asks for."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from empirical_fs.reading.read_ahead import (
    FIRST_PART,
    KEPT_BEHIND,
    LARGEST_PART,
    REORDERING,
    SMALLEST_PART,
    TRUSTED_TIMES,
    Conditions,
    Planned,
    Range,
    ReadAhead,
)
from tests.support.simulated_link import Shape, Simulation, Wait

KIB, MIB = 2**10, 2**20
STEP = 128 * KIB
SIZE = 64 * MIB
PLENTY = 256 * MIB
WAN = Shape(latency=0.03, each=40e6)
BURSTS = Shape(latency=0.03, each=40e6, burst=2 * MIB)
LOOPBACK = Shape(latency=0.0007, each=1.3e9, together=1.3e9)
HOME = Shape(latency=0.05, each=12e6, together=12e6)
GROWING = 48
"""Requests after which a window is as large as it gets."""


def conditions(  # noqa: PLR0913 - as Conditions has them
    *,
    waited: bool = False,
    missing: bool = False,
    connections: int = 2,
    allowance: int = PLENTY,
    sharers: int = 1,
    trusted_at: int = 0,
    expected: int = 0,
) -> Conditions:
    return Conditions(waited, missing, connections, allowance, sharers, trusted_at, expected)


def at(start: int, size: int = STEP) -> Range:
    return Range(start, start + size)


def alone(start: int, size: int = STEP) -> Planned:
    """What is planned to come by a request of its own."""
    return Planned(start, start + size, start + size)


def sequential(start: int, stop: int, step: int = STEP) -> list[Range]:
    return [Range(place, min(place + step, stop)) for place in range(start, stop, step)]


def shuffled(reads: list[Range], random: Random) -> list[Range]:
    """As the kernel sends them: none more than three places early or late."""
    places = {read: place + random.uniform(0, 3.99) for place, read in enumerate(reads)}
    return sorted(reads, key=lambda read: places[read])


def interleaved(streams: Iterable[list[Range]]) -> list[Range]:
    return [read for reads in zip(*streams, strict=True) for read in reads]


SHAPES = st.builds(
    Shape,
    latency=st.floats(0, 0.2),
    each=st.floats(1e6, 1e9),
    together=st.floats(1e6, 2e9),
    consumed=st.floats(3e6, 2e9),
)
BUDGETS = st.integers(0, PLENTY) | st.integers(0, 4 * MIB) | st.sampled_from([0, MIB, 8 * MIB, PLENTY])
STEPS = st.sampled_from([16 * KIB, 64 * KIB, STEP, 2 * STEP])
PLACES = st.integers(0, SIZE // STEP - 1).map(lambda place: place * STEP)


@st.composite
def sequential_reads(draw: st.DrawFn) -> list[Range]:
    start, step = draw(PLACES), draw(STEPS)
    return sequential(start, min(start + draw(st.integers(1, 200)) * step, SIZE), step)


@st.composite
def shuffled_reads(draw: st.DrawFn) -> list[Range]:
    start = draw(PLACES)
    stop = min(start + draw(st.integers(1, 200)) * STEP, SIZE)
    return shuffled(sequential(start, stop), Random(draw(st.integers(0, 2**32))))


@st.composite
def interleaved_reads(draw: st.DrawFn) -> list[Range]:
    starts = draw(st.lists(st.integers(0, 7), min_size=2, max_size=4, unique=True))
    reads = draw(st.integers(1, 60))
    return interleaved(sequential(start * 8 * MIB, start * 8 * MIB + reads * STEP) for start in starts)


@st.composite
def equal_steps(draw: st.DrawFn) -> list[Range]:
    """Backward and strided reads."""
    start, length = draw(PLACES), draw(STEPS)
    distance = draw(st.integers(-2 * MIB, 2 * MIB).filter(bool))
    places = (start + step * distance for step in range(draw(st.integers(1, 60))))
    return [Range(place, min(place + length, SIZE)) for place in places if 0 <= place < SIZE]


@st.composite
def random_reads(draw: st.DrawFn) -> list[Range]:
    starts = draw(st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=30))
    return [Range(start, min(start + draw(STEPS), SIZE)) for start in starts]


KINDS = sequential_reads() | shuffled_reads() | interleaved_reads() | equal_steps() | random_reads()
MIXTURES = st.lists(KINDS, min_size=1, max_size=4).map(
    lambda kinds: [read for reads in kinds for read in reads]
)


@given(SHAPES, BUDGETS, MIXTURES)
def test_no_byte_is_fetched_twice_while_it_is_held(shape: Shape, budget: int, reads: list[Range]) -> None:
    """Whoever reads, on any link: what is here or on its way is not asked of the store again."""
    shown = Simulation(shape, budget, SIZE).run(reads)
    assert shown.twice == 0
    assert shown.asked == sum(read.size for read in reads)


@given(SHAPES, BUDGETS, MIXTURES)
def test_no_more_than_the_budget_is_held(shape: Shape, budget: int, reads: list[Range]) -> None:
    """Beyond the budget nothing is held but the bytes that the reader waits for, and in the end nothing."""
    simulation = Simulation(shape, budget, SIZE)
    shown = simulation.run(reads)
    assert shown.held_too_much <= 0
    assert shown.held_most >= min(read.size for read in reads)
    simulation.leave()
    assert simulation.held == 0


@settings(max_examples=12)
@given(SHAPES, BUDGETS, st.lists(sequential_reads(), min_size=2, max_size=5))
def test_files_share_the_budget(shape: Shape, budget: int, files: list[list[Range]]) -> None:
    """Files that are read side by side hold no more than the one budget; nothing fails."""
    simulation = Simulation(shape, budget, SIZE, len(files))
    for turn in range(max(len(reads) for reads in files)):
        for file, reads in enumerate(files):
            shown = simulation.run(reads[turn : turn + 1], file)
    assert shown.asked == sum(read.size for reads in files for read in reads)
    assert shown.held_too_much <= 0
    assert shown.twice == 0
    for file in range(len(files)):
        simulation.leave(file)
    assert simulation.held == 0


def has_window_to_spare(wait: Wait, budget: int, step: int, size: int) -> bool:
    """Whether one more part could have been under way when the reader had to wait."""
    part = max(min(LARGEST_PART, budget // 4), SMALLEST_PART)
    kept = min(KEPT_BEHIND, budget // 8)
    # What comes far ahead would hold up the beginning.
    window = min(wait.connections * part, budget - part - kept - step, TRUSTED_TIMES * wait.start)
    is_at_the_end = wait.start + step + wait.ahead >= size
    return wait.ahead + part < window and not is_at_the_end


@settings(max_examples=15)
@given(SHAPES, BUDGETS, st.sampled_from([64 * KIB, STEP, 2 * STEP]), st.booleans())
def test_a_sequential_reader_never_starves_with_window_to_spare(
    shape: Shape,
    budget: int,
    step: int,
    is_shuffled: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Who reads on waits only for a window that is used up, but for the few requests in which it grows."""
    reads = sequential(0, SIZE, step)
    # In less memory, what the kernel reorders is most of what can be ahead.
    if is_shuffled and step == STEP and budget >= 4 * MIB:
        reads = shuffled(reads, Random(1))
    shown = Simulation(shape, budget, SIZE).run(reads)
    starved = [wait for wait in shown.waits if has_window_to_spare(wait, budget, step, SIZE)]
    assert all(wait.requests <= GROWING for wait in starved)


@given(SHAPES, BUDGETS, st.permutations(range(16)), st.data())
def test_a_random_reader_never_grows_a_window(
    shape: Shape, budget: int, places: list[int], data: st.DataObject
) -> None:
    """Who reads all over the place gets one request for each read, in one round trip, and no other byte."""
    starts = [place * 4 * MIB + data.draw(st.integers(0, 2 * MIB)) for place in places]
    distances = [after - before for before, after in pairwise(starts)]
    assume(all(first != second for first, second in pairwise(distances)))
    reads = [Range(start, start + data.draw(STEPS)) for start in starts]
    shown = Simulation(shape, budget, SIZE).run(reads)
    assert shown.requests == reads
    assert shown.held_most == max(read.size for read in reads)
    rate = min(shape.each, shape.together)
    for wait, read in zip(shown.waits, reads, strict=True):
        assert wait.seconds == pytest.approx(shape.latency + read.size / rate, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("size", "length"), [(64 * MIB, 4 * KIB), (1024 * MIB, 4 * KIB), (1024 * MIB, STEP)])
def test_chance_is_no_stream(size: int, length: int) -> None:
    """Where two of many random reads are near one another by chance, that earns next to nothing."""
    random = Random(1)
    reads = [at(random.randrange(size - length), length) for _ in range(2000)]
    shown = Simulation(WAN, PLENTY, size).run(reads)
    assert shown.fetched <= 2 * shown.asked


@pytest.mark.parametrize(
    ("shape", "size", "seconds"),
    [
        pytest.param(WAN, 400 * MIB, 1.13, id="wan"),
        pytest.param(BURSTS, 400 * MIB, 1.13, id="bursts"),
        pytest.param(LOOPBACK, 1024 * MIB, 1.2, id="loopback"),
        pytest.param(HOME, 50 * MIB, 1.1 * 50 * MIB / 12e6, id="home"),
    ],
)
def test_throughput(shape: Shape, size: int, seconds: float) -> None:
    """One sequential reader gets nearly what the link, or the most connections that are used, can carry."""
    shown = Simulation(shape, PLENTY, size).run(sequential(0, size))
    assert shown.fetched == shown.asked == size
    assert shown.seconds <= seconds


def test_a_fast_link_needs_few_connections() -> None:
    """On a loopback link, where two transfers carry all, no more than four are ever side by side."""
    shown = Simulation(LOOPBACK, PLENTY, 256 * MIB).run(sequential(0, 256 * MIB))
    assert shown.beside_most <= 4


def test_a_narrow_link_is_not_crowded() -> None:
    """On a home link, where two transfers carry all, sixteen are tried, and given up again."""
    simulation = Simulation(HOME, PLENTY, 1024 * MIB)
    shown = simulation.run(sequential(0, 350 * MIB))
    assert simulation.connections <= 8
    assert shown.beside <= 9 < shown.beside_most


def test_the_beginning_is_not_held_up_by_what_is_ahead() -> None:
    """On a home link, the first 16 MiB of a large file come in at most twice the time that they need."""
    shown = Simulation(HOME, PLENTY, 1024 * MIB).run(sequential(0, 16 * MIB))
    assert shown.seconds <= 2 * 16 * MIB / HOME.together


@pytest.mark.parametrize("size", [4 * KIB, 64 * KIB, STEP])
def test_a_reader_of_headers_costs_what_it_asks_for(size: int) -> None:
    """One read of the beginning of a file costs exactly that, in one request."""
    assert Simulation(WAN, PLENTY, SIZE).run([at(0, size)]).requests == [at(0, size)]


def test_two_reads_cost_what_they_ask_for() -> None:
    """Two reads that follow one another may be a header and its table: nothing is fetched beside them."""
    shown = Simulation(WAN, PLENTY, SIZE).run(sequential(0, 2 * STEP))
    assert shown.fetched == shown.asked


@given(
    st.integers(1, SIZE // STEP),
    st.sampled_from([64 * KIB, STEP, 2 * STEP]),
    st.booleans(),
    st.sampled_from([2, 16]),
)
def test_a_reader_that_is_not_trusted_wastes_a_tenth(
    steps: int,
    step: int,
    waited: bool,  # noqa: FBT001 - hypothesis gives it
    connections: int,
) -> None:
    """Wherever a reader stops, no more than a tenth of what it read is ahead, until it is trusted."""
    policy, ahead = ReadAhead(SIZE), 0
    for read in sequential(0, min(steps * step, SIZE), step):
        met = conditions(waited=waited, connections=connections, trusted_at=SIZE)
        for planned in policy.plan(read, met):
            ahead = planned.request_stop
        assert ahead <= read.stop + read.stop // 10


@given(st.integers(0, SIZE), st.booleans(), st.sampled_from([2, 16]))
def test_a_head_that_is_expected_comes_ahead(
    expected: int,
    waited: bool,  # noqa: FBT001 - hypothesis gives it
    connections: int,
) -> None:
    """Where the last reader left after so much, that comes ahead of the next one, and then a tenth."""
    policy, ahead = ReadAhead(SIZE), 0
    for read in sequential(0, SIZE, STEP):
        met = conditions(waited=waited, connections=connections, trusted_at=SIZE, expected=expected)
        for planned in policy.plan(read, met):
            ahead = planned.request_stop
        assert ahead <= max(expected, read.stop + read.stop // 10)
        if read.stop >= 3 * STEP and read.stop + 2 * FIRST_PART <= expected:
            assert ahead > read.stop


@pytest.mark.parametrize("trusted_at", [0, 512 * KIB, 8 * MIB])
def test_a_reader_is_trusted_once_it_has_read_so_much(trusted_at: int) -> None:
    """From then on much is fetched ahead, as the waits of the reader ask for."""
    policy = ReadAhead(SIZE)
    for read in sequential(0, SIZE, STEP):
        planned = policy.plan(read, conditions(waited=True, connections=16, trusted_at=trusted_at))
        if sum(each.size for each in planned) >= MIB:
            break
    assert max(trusted_at, 2 * STEP) <= read.stop <= max(trusted_at, 2 * STEP) + STEP


def test_a_slow_reader_earns_no_large_window() -> None:
    """Who takes the bytes more slowly than the link brings them has little ahead, and does not wait."""
    shown = Simulation(Shape(0.03, 40e6, consumed=2e6), PLENTY, 256 * MIB).run(sequential(0, 64 * MIB))
    assert shown.held_most <= 20 * MIB
    assert len(shown.waits) <= 4


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_kernel_is_one_stream(seed: int) -> None:
    """Reads that the kernel sends out of order cost the bytes once, but for the first, and earn a window."""
    reads = sequential(0, SIZE)
    in_order = Simulation(WAN, PLENTY, SIZE).run(reads)
    shown = Simulation(WAN, PLENTY, SIZE).run(shuffled(reads, Random(seed)))
    assert shown.again <= STEP
    assert len(shown.requests) <= 2 * len(in_order.requests)
    assert shown.seconds <= 1.5 * in_order.seconds


def far_apart(streams: int, stop: int) -> list[Range]:
    """Streams in a file of 1 GiB, each so far from the next that no window reaches it."""
    return interleaved(sequential(turn * 256 * MIB, turn * 256 * MIB + stop) for turn in range(streams))


@pytest.mark.parametrize("streams", [2, 3, 4])
def test_streams_in_one_file(streams: int) -> None:
    """Several streams in one file each earn a window: nothing is fetched again, and few reads wait."""
    reads = far_apart(streams, 64 * MIB)
    shown = Simulation(WAN, 1024 * MIB, 1024 * MIB).run(reads)
    assert shown.again == 0
    assert len(shown.waits) < len(reads) / 4
    assert shown.seconds < 0.1 * len(reads) * (WAN.latency + STEP / WAN.each)


@pytest.mark.parametrize("streams", [2, 3, 4])
@pytest.mark.parametrize("budget", [4 * MIB, 8 * MIB, 16 * MIB, 64 * MIB])
def test_streams_under_pressure(streams: int, budget: int) -> None:
    """Several streams in one file that share too little memory do not throw each other's windows away."""
    shown = Simulation(WAN, budget, 1024 * MIB).run(far_apart(streams, 32 * MIB))
    assert shown.held_too_much <= 0
    assert shown.again <= shown.asked / 10


def test_files_under_pressure() -> None:
    """Files that are read side by side under pressure still read ahead, each in smaller requests."""
    files, reads = 8, sequential(0, 16 * MIB)
    budget = 16 * MIB
    simulation = Simulation(WAN, budget, SIZE, files)
    for read in reads:
        for file in range(files):
            shown = simulation.run([read], file)
    assert shown.held_too_much <= 0
    assert len(shown.requests) < files * len(reads) / 2
    late = shown.requests[len(shown.requests) // 2 :]
    assert max(request.size for request in late) <= budget // 4
    assert shown.fetched <= 1.1 * shown.asked


@pytest.mark.parametrize("distance", [-STEP, -MIB, 2 * MIB, -3 * MIB - 1])
def test_equal_steps_are_foreseen(distance: int) -> None:
    """Backward and strided readers wait for a few reads, then for no round trip, and fetch nothing else."""
    start = 0 if distance > 0 else SIZE - STEP
    reads = [at(place) for place in range(start, SIZE - STEP if distance > 0 else 0, distance)]
    shown = Simulation(Shape(0.03, 40e6, consumed=20e6), PLENTY, SIZE).run(reads)
    assert shown.again == 0
    assert shown.fetched <= shown.asked + 16 * STEP
    assert len(shown.waits) <= 8


@given(
    size=st.integers(1, SIZE),
    step=st.sampled_from([4 * KIB + 1, 64 * KIB, STEP, 2 * STEP]),
    waits=st.randoms(use_true_random=False),
    connections=st.sampled_from([2, 4, 8, 16]),
    allowance=st.integers(0, PLENTY),
)
def test_plans_for_a_sequential_reader(
    size: int, step: int, waits: Random, connections: int, allowance: int
) -> None:
    """What is planned has neither gaps nor overlaps, lies in the file, and not beyond the window."""
    size = min(size, 2000 * step)
    policy, ahead = ReadAhead(size), None
    for read in sequential(0, size, step):
        is_waiting = waits.random() < 0.3
        plans = policy.plan(read, conditions(waited=is_waiting, connections=connections, allowance=allowance))
        for plan in plans:
            assert plan.start == (read.stop if ahead is None else max(ahead, read.stop))
            assert plan.start < plan.stop <= min(size, read.stop + allowance)
            assert plan.size <= LARGEST_PART
            assert plan.stop <= read.stop + connections * LARGEST_PART
            assert policy.wants(plan.start, plan.stop)
            ahead = plan.stop


@given(st.lists(st.tuples(KINDS, st.booleans()), max_size=4), BUDGETS, st.randoms(use_true_random=False))
def test_any_reader(mixture: list[tuple[list[Range], bool]], allowance: int, random: Random) -> None:
    """Whatever is read, waited for and refused, plans lie within the file, and none is there twice."""
    policy = ReadAhead(SIZE)
    for reads, is_refused in mixture:
        for read in reads:
            state = conditions(
                waited=random.random() < 0.5,
                missing=random.random() < 0.2,
                connections=random.choice([2, 8, 16]),
                allowance=allowance,
            )
            plans = policy.plan(read, state)
            assert all(0 <= plan.start < plan.stop <= SIZE for plan in plans)
            assert all(plan.size <= max(LARGEST_PART, read.size) for plan in plans)
            assert len(set(plans)) == len(plans)
            if plans and is_refused:
                policy.refuse(random.choice(plans))


def test_one_read_earns_nothing() -> None:
    """The first read of a file plans nothing, wherever it is, and the next one far from it neither."""
    policy = ReadAhead(10**9)
    for start in (5 * MIB, 0, 300 * MIB, 20 * MIB):
        assert policy.plan(at(start), conditions(waited=True, missing=True)) == []
        assert not policy.wants(start + STEP, start + STEP + 1)


def test_a_stream_is_recognised_at_its_second_advance() -> None:
    """The second read that goes on earns two small parts, side by side."""
    policy = ReadAhead(10**9)
    assert policy.plan(at(0), conditions()) == []
    first, second = policy.plan(at(STEP), conditions())
    assert first == alone(2 * STEP, FIRST_PART)
    assert second == alone(first.stop, FIRST_PART)


def test_the_beginning_of_a_stream_may_come_out_of_order() -> None:
    """The second read may come before the first; the one after them goes on with the stream."""
    policy = ReadAhead(10**9)
    assert policy.plan(at(STEP), conditions()) == []
    assert policy.plan(at(0), conditions()) == []
    plans = policy.plan(at(2 * STEP), conditions())
    assert plans[0].start == 3 * STEP


def test_a_skip_inside_the_window_keeps_it() -> None:
    """Who skips forward inside the window goes on with it; nothing is planned again."""
    policy = ReadAhead(10**9)
    policy.plan(at(0), conditions())
    ahead = policy.plan(at(STEP), conditions())[-1].stop
    plans = policy.plan(at(ahead - STEP), conditions())
    assert plans
    assert plans[0].start == ahead
    assert all(before.stop == after.start for before, after in pairwise(plans))


def test_a_seek_earns_nothing() -> None:
    """After a seek beyond the window it has to be earned again, small, from the new place."""
    policy = ReadAhead(10**9)
    for read in sequential(0, 32 * MIB):
        policy.plan(read, conditions(waited=True, connections=16))
    far = 500 * MIB
    assert policy.plan(at(far), conditions(waited=True, missing=True)) == []
    plans = policy.plan(at(far + STEP), conditions())
    assert [plan.size for plan in plans] == [FIRST_PART, FIRST_PART]
    assert plans[0].start == far + 2 * STEP


def test_announced_reads_are_fetched_in_long_parts() -> None:
    """Who says how much it will read gets that by few requests, and little beyond it."""
    policy = ReadAhead(10**9)
    start = 5 * MIB + 12345
    policy.announce(Range(start, start + 8 * MIB))
    plans = policy.plan(Range(start, start + MIB), conditions(waited=True, missing=True))
    assert [plan.size for plan in plans] == [MIB] * 8
    assert (plans[0].start, plans[-1].stop) == (start, start + 8 * MIB)
    beyond = [plan for read in sequential(start + MIB, 7 * MIB) for plan in policy.plan(read, conditions())]
    assert sum(plan.size for plan in beyond) <= MIB


def test_announced_reads_stay_within_the_memory() -> None:
    policy = ReadAhead(10**9)
    policy.announce(Range(0, 100 * MIB))
    plans = policy.plan(Range(0, MIB), conditions(allowance=16 * MIB))
    assert MIB < sum(plan.size for plan in plans) < 16 * MIB


def test_missing_bytes_are_planned_from_the_read_on() -> None:
    """Where bytes of the read are missing, the first range begins with the read: one request, not two."""
    policy = ReadAhead(10**9)
    policy.plan(at(0), conditions())
    plans = policy.plan(at(STEP), conditions(missing=True))
    assert plans[0].start == STEP
    again = policy.plan(at(2 * STEP), conditions(missing=True))
    assert again[0].start == 2 * STEP
    assert policy.plan(at(3 * STEP), conditions()) == []


def test_a_window_grows_by_waiting() -> None:
    """Each wait makes parts twice as large, to 8 MiB, and more of them, up to what the link rewards."""
    policy = ReadAhead(10**9)
    sizes: list[int] = []
    windows: list[int] = []
    for read in sequential(0, 400 * MIB):
        plans = policy.plan(read, conditions(waited=True, connections=8))
        sizes += [plan.size for plan in plans]
        windows += [plan.stop - read.stop for plan in plans]
    assert sizes == sorted(sizes)
    assert sizes[-1] == LARGEST_PART
    assert 7 * LARGEST_PART < max(windows) <= 8 * LARGEST_PART


def test_a_window_shrinks_with_what_the_link_rewards() -> None:
    """Requests side by side that have turned out not to be worth it are not planned any more."""
    policy = ReadAhead(10**9)
    for read in sequential(0, 400 * MIB):
        policy.plan(read, conditions(waited=True, connections=8))
    later = sequential(400 * MIB, 600 * MIB)
    windows = [plan.stop - read.stop for read in later for plan in policy.plan(read, conditions())]
    assert LARGEST_PART < max(windows) <= 2 * LARGEST_PART


def test_a_window_does_not_grow_without_waiting() -> None:
    """Who does not wait has two parts ahead, and no more than an eighth of what it read."""
    policy = ReadAhead(10**9)
    for read in sequential(0, 400 * MIB):
        for plan in policy.plan(read, conditions()):
            assert plan.size <= max(FIRST_PART, read.stop // 16)
            assert plan.stop - read.stop <= max(2 * FIRST_PART, read.stop // 8)
    assert plan.size == LARGEST_PART


def test_backward_steps_are_foreseen_after_three() -> None:
    """Three equal steps back make one more of them foreseen, then more."""
    policy = ReadAhead(10**9)
    start = 500 * MIB
    for turn in range(2):
        assert policy.plan(at(start - turn * 2 * MIB), conditions()) == []
    assert policy.plan(at(start - 4 * MIB), conditions()) == [alone(start - 6 * MIB)]
    assert policy.wants(start - 6 * MIB, start - 6 * MIB + STEP)
    assert not policy.wants(start - 8 * MIB, start - 8 * MIB + STEP)
    assert policy.plan(at(start - 6 * MIB), conditions()) == [alone(start - 8 * MIB), alone(start - 10 * MIB)]


def test_a_broken_step_earns_nothing() -> None:
    """A read that is not where the steps go ends them."""
    policy = ReadAhead(10**9)
    start = 500 * MIB
    for turn in range(4):
        policy.plan(at(start - turn * 2 * MIB), conditions())
    assert policy.plan(at(100 * MIB), conditions()) == []
    assert not policy.wants(start - 8 * MIB, start - 8 * MIB + STEP)


def test_a_little_is_kept_behind() -> None:
    """A mebibyte behind a stream stays wanted, what is farther behind or was never planned does not."""
    policy = ReadAhead(10**9)
    for read in sequential(0, 8 * MIB):
        policy.plan(read, conditions(waited=True, connections=16))
    behind = 8 * MIB - KEPT_BEHIND
    assert policy.wants(behind, behind + 1)
    assert policy.wants(0, behind + 1)
    assert not policy.wants(0, behind)
    assert not policy.wants(500 * MIB, 501 * MIB)


def test_a_refused_range_is_planned_again_smaller() -> None:
    """What there was no memory for is planned again, and half as much, but never next to nothing."""
    policy = ReadAhead(10**9)
    policy.plan(at(0), conditions())
    plans = policy.plan(at(STEP), conditions())
    for turn in range(2, 8):
        refused = plans[0]
        assert refused == alone(turn * STEP, max(FIRST_PART >> (turn - 2), SMALLEST_PART))
        policy.refuse(refused)
        plans = policy.plan(at(turn * STEP), conditions())


def test_a_refused_range_leaves_what_was_held() -> None:
    """The ranges before the one that was refused stay wanted, and the window goes on from there."""
    policy = ReadAhead(10**9)
    policy.plan(at(0), conditions())
    first, second = policy.plan(at(STEP), conditions())
    policy.refuse(second)
    assert policy.wants(first.start, first.stop)
    assert not policy.wants(second.start, second.stop)
    plans = [plan for turn in range(2, 8) for plan in policy.plan(at(turn * STEP), conditions())]
    assert plans[0].start == second.start


def test_a_refused_range_leaves_the_other_streams() -> None:
    """Where there was no memory for one stream, what another one has ahead stays wanted."""
    policy = ReadAhead(10**9)
    windows: dict[int, list[Planned]] = {}
    for start in (100 * MIB, 0):
        policy.plan(at(start), conditions())
        windows[start] = policy.plan(at(start + STEP), conditions())
    policy.refuse(windows[0][0])
    assert not policy.wants(windows[0][0].start, windows[0][0].stop)
    assert all(policy.wants(held.start, held.stop) for held in windows[100 * MIB])
    assert policy.plan(at(100 * MIB + 2 * STEP), conditions()) == []


def test_four_streams_and_no_more() -> None:
    """Four streams are remembered; a fifth takes the place of the one that was not read for longest."""
    policy = ReadAhead(10**9)
    starts = [turn * 100 * MIB for turn in range(5)]
    for start in starts:
        policy.plan(at(start), conditions())
    assert all(policy.plan(at(start + STEP), conditions()) != [] for start in starts[1:])
    assert policy.plan(at(starts[0] + STEP), conditions()) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=20, max_size=100))
def test_requests_are_long_in_a_crowd_only(conditions_met: list[tuple[bool, int]]) -> None:
    """Where many share the memory, a part may come by a longer request, which the next ones continue.

    Such a request is made only for a reader that waited, is no longer than the longest part, and is planned
    to its end.
    """
    policy = ReadAhead(SIZE)
    before = Planned(0, 0, 0)
    has_waited = False
    for turn, (waited, sharers) in enumerate(conditions_met):
        has_waited |= waited
        met = conditions(waited=waited, allowance=PLENTY // sharers, sharers=sharers)
        plan = policy.plan(at(turn * STEP), met)
        for planned in plan:
            assert planned.stop <= planned.request_stop <= SIZE
            if before.stop < before.request_stop:
                assert (planned.start, planned.request_stop) == (before.stop, before.request_stop)
            elif planned.stop < planned.request_stop:
                assert has_waited
                assert 16 <= sharers <= 32
                assert planned.request_stop - planned.start <= LARGEST_PART
                has_waited = False
            before = planned


def test_a_request_for_several_parts() -> None:
    """Of 8 MiB each part has a fourth, and a request in a crowd, as it grows, brings four of them."""
    policy = ReadAhead(SIZE)
    plans = [
        planned
        for read in sequential(0, SIZE)
        for planned in policy.plan(read, conditions(waited=True, allowance=8 * MIB, sharers=32))
    ]
    parts, requests = len(plans), len({planned.request_stop for planned in plans})
    assert parts > 30
    assert requests < parts / 2
    assert max(planned.size for planned in plans) == 2 * MIB


def test_a_request_does_not_outlive_what_it_asked_for() -> None:
    """A reader that goes back to bytes that are missing gets a request for them, and no more by it."""
    policy = ReadAhead(SIZE)
    crowd = conditions(waited=True, allowance=8 * MIB, sharers=32)
    for read in sequential(0, 4 * MIB):
        policy.plan(read, crowd)
    missed = policy.plan(at(4 * MIB - 2 * STEP), conditions(missing=True, allowance=8 * MIB))
    assert [planned.request_stop for planned in missed] == [planned.stop for planned in missed]
    assert missed[0].start == 4 * MIB - 2 * STEP


def test_expecting_all() -> None:
    """A file that was fetched ahead whole is wanted to its end, and nothing of it is planned."""
    policy = ReadAhead(300 * KIB)
    policy.expect(300 * KIB)
    assert policy.wants(0, 1)
    assert policy.wants(300 * KIB - 1, 300 * KIB)
    for read in sequential(0, 300 * KIB):
        assert policy.plan(read, conditions(waited=True)) == []
        assert policy.wants(0, 300 * KIB)


@pytest.mark.parametrize(("start", "is_recognised"), [(3 * STEP, True), (STEP + REORDERING + 1, False)])
def test_a_read_that_is_early(start: int, *, is_recognised: bool) -> None:
    """A read that is as early as the kernel makes it is one of the stream; one from farther away is not."""
    policy = ReadAhead(10**9)
    policy.plan(at(0), conditions())
    assert bool(policy.plan(at(start), conditions())) is is_recognised


def test_range_size() -> None:
    """The size of a range is the number of its bytes."""
    assert Range(3, 10).size == 7
