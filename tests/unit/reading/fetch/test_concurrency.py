"""As many requests side by side as the link rewards, and no more."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.fetch.concurrency import KERNEL_RATE, LEVELS, SATURATED, Link

MIB = 2**20
PART = 8 * MIB
SETTLING = 16
"""Observations after which the level is found: a few at each."""


def transfer(
    link: Link, each: float, together: float = float("inf"), noise: float = 1.0, busy: float = 0.0
) -> int:
    """One transfer beside as many as the link wants; how many these were."""
    beside = link.connections
    rate = min(each, together / beside) * noise
    link.observe(PART * beside, PART / rate, beside, busy)
    return beside


def settled(link: Link, each: float, together: float = float("inf")) -> int:
    """The number of connections after some transfers."""
    for _ in range(SETTLING):
        transfer(link, each, together)
    return link.connections


def test_begins_with_the_fewest() -> None:
    """Before anything is known, two requests side by side are worth it."""
    assert Link().connections == LEVELS[0] == 2


@given(st.floats(1e5, KERNEL_RATE / LEVELS[-1]))
def test_climbs_where_more_carry_more(each: float) -> None:
    """Where every connection brings its own rate, as many as there may be are worth it."""
    assert settled(Link(), each) == LEVELS[-1]


@given(st.floats(1e5, 1e10), st.floats(1, 16))
def test_stays_where_more_carry_the_same(together: float, share: float) -> None:
    """Where two carry all that the link does, more are not worth it."""
    assert settled(Link(), together / 2 * share, together) == LEVELS[0]


@pytest.mark.parametrize(("needed", "most"), [(2, 2), (4, 8), (8, 8), (16, 16)])
def test_as_many_as_fill_the_link(needed: int, most: int) -> None:
    """Where some number of connections fills the link, it comes to that, or the level above it."""
    each = 5e6
    assert needed <= settled(Link(), each, needed * each) <= most


def test_the_kernel_takes_no_more() -> None:
    """Where the first two carry more than the kernel takes, more are not tried."""
    link = Link()
    for _ in range(SETTLING):
        transfer(link, KERNEL_RATE)
        assert link.connections == LEVELS[0]


def test_a_busy_process_takes_no_more() -> None:
    """Where the first two keep this process computing, more are tried only once they do not."""
    link = Link()
    for _ in range(SETTLING):
        transfer(link, 1e6, busy=SATURATED + 0.1)
        assert link.connections == LEVELS[0]
    assert settled(link, 1e6) == LEVELS[-1]


def test_comes_down() -> None:
    """Where fewer come to carry as much, the others are given up."""
    link = Link()
    assert settled(link, 10e6) == LEVELS[-1]
    assert settled(link, 10e6, 20e6) == LEVELS[0]


def test_climbs_again() -> None:
    """A link that was narrow for a while gets its connections back."""
    link = Link()
    assert settled(link, 10e6) == LEVELS[-1]
    assert settled(link, 10e6, 20e6) == LEVELS[0]
    for _ in range(20):
        settled(link, 10e6)
    assert link.connections == LEVELS[-1]


@given(st.integers(0, MIB // 2 - 1), st.floats(1e-6, 10), st.integers(1, 64))
def test_tiny_transfers_say_nothing(size: int, seconds: float, beside: int) -> None:
    """What is over too soon to be measured changes nothing, now or later."""
    link = Link()
    for _ in range(4):
        link.observe(size, seconds, beside, 0.0)
        link.observe(PART, 0.0, beside, 0.0)
    assert link.connections == LEVELS[0]
    assert settled(link, 1e6) == LEVELS[-1]


@given(
    each=st.floats(1e6, 1e9),
    together=st.floats(1e6, 2e9),
    random=st.randoms(use_true_random=False),
)
def test_settles_on_a_noisy_link(each: float, together: float, random: Random) -> None:
    """Rates that vary by a tenth change its mind once in twenty times at most, to try again perhaps."""
    link = Link()
    levels = [transfer(link, each, together, random.uniform(0.9, 1.1)) for _ in range(400)]
    changes = sum(before != after for before, after in pairwise(levels[100:]))
    assert changes <= len(levels[100:]) / 20


OBSERVED = st.tuples(st.integers(0, 2**40), st.floats(0, 1e6), st.integers(1, 10_000))


@given(st.lists(OBSERVED, max_size=100))
def test_never_another_level(observed: list[tuple[int, float, int]]) -> None:
    """Whatever is observed, the number of connections is one of the levels."""
    link = Link()
    for size, seconds, beside in observed:
        link.observe(size, seconds, beside, 0.0)
        assert link.connections in LEVELS
