"""The parts that a content holds are like a plain model, whatever comes and goes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from mmap import mmap

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.errors import StoreUnavailable
from empirical_fs.reading.budget import Account, Budget
from empirical_fs.reading.buffers import BLOCK, Blocks
from empirical_fs.reading.part import Part
from empirical_fs.reading.parts import Parts
from empirical_fs.reading.read_ahead import Range

SIZE = 40
TOTAL = 30
RANGES = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 15)).map(
    lambda pair: Range(pair[0], min(pair[0] + pair[1], SIZE))
)
OWNERS = st.sampled_from(["one", "other"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("use"), RANGES),
        st.tuples(st.just("let go"), st.integers(0, 5)),
        st.tuples(st.just("ahead"), OWNERS, RANGES),
        st.tuples(st.just("unwanted"), OWNERS, RANGES),
        st.tuples(st.just("leave"), OWNERS),
        st.tuples(st.just("shrink"), st.integers(0, TOTAL)),
        st.tuples(st.just("fail"), st.integers(0, 5)),
    ),
    max_size=25,
)


def untouched(size: int) -> None:
    raise AssertionError("nobody presses here")


def overlap(kept: Range, start: int, stop: int) -> bool:
    return start < kept.stop and kept.start < stop


@dataclass
class Tried:
    """Parts under test, beside what a plain model knows of them."""

    budget: Budget = field(default_factory=lambda: Budget(TOTAL))
    used: list[list[Part]] = field(default_factory=list)
    seen: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = Parts[str](Account(self.budget, untouched), Blocks())

    @property
    def alive(self) -> list[Part]:
        """The parts that were neither dropped nor have failed."""
        return [part for part in self.seen if part.end is None]

    def use(self, wanted: Range) -> None:
        before = set(self.alive)
        used, new = self.parts.use(wanted)
        assert not before & set(new)
        assert used == sorted(used, key=lambda part: part.start)
        assert set(used) <= before | set(new)
        assert {at for part in used for at in range(part.start, part.stop)} >= set(
            range(wanted.start, wanted.stop)
        )
        self.seen += new
        self.used.append(used)

    def let_go(self, number: int) -> None:
        if number < len(self.used):
            self.parts.let_go(self.used.pop(number))

    def hold_ahead(self, owner: str, planned: Range) -> None:
        held, covered = self.budget.held, self.covered(planned)
        new = self.parts.hold_ahead(owner, planned)
        missing = planned.size - covered
        assert (new is None) == (held + missing > TOTAL)
        assert sum(part.size for part in new or []) == (0 if new is None else missing)
        self.seen += new or []

    def covered(self, wanted: Range) -> int:
        return sum(
            any(part.start <= at < part.stop for part in self.alive)
            for at in range(wanted.start, wanted.stop)
        )

    def fail(self, number: int) -> None:
        for part in self.alive[number : number + 1]:
            part.fail(StoreUnavailable("broke off"))

    def check(self) -> None:
        extents = sorted((part.start, part.stop) for part in self.alive)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(extents))
        for each in range(SIZE):
            assert self.parts.covers(Range(each, each + 1)) == bool(self.covered(Range(each, each + 1)))
        assert self.budget.held >= sum(part.size for part in self.alive)


@given(STEPS)
def test_it_is_like_a_plain_model(steps: list[tuple[object, ...]]) -> None:
    """Parts never overlap, cover what was asked for, stay while they are used, and are all counted."""
    tried = Tried()
    for step in steps:
        match step:
            case ("use", Range() as wanted):
                tried.use(wanted)
            case ("let go", int(number)):
                tried.let_go(number)
            case ("ahead", str(owner), Range() as planned):
                tried.hold_ahead(owner, planned)
            case ("unwanted", str(owner), Range() as kept):
                tried.parts.drop_unwanted(owner, partial(overlap, kept))
            case ("leave", str(owner)):
                tried.parts.drop_of(owner)
            case ("shrink", int(size)):
                tried.parts.shrink(size)
            case ("fail", int(number)):
                tried.fail(number)
        for used in tried.used:
            assert all(part.end is None or isinstance(part.failure, StoreUnavailable) for part in used)
        tried.check()
    tried.parts.clear()
    assert tried.alive == []
    assert tried.budget.held == 0


def test_what_is_held_for_one_serves_all() -> None:
    """A part that was fetched ahead of one handle is used by another one, and nothing new is needed."""
    tried = Tried()
    tried.hold_ahead("one", Range(0, 20))
    used, new = tried.parts.use(Range(5, 10))
    assert [(part.start, part.stop) for part in used] == [(0, 20)]
    assert new == []


def test_the_farthest_go_first() -> None:
    """Under pressure the parts that are read last are dropped, and none that a read uses."""
    tried = Tried()
    for start in (0, 10, 20):
        tried.hold_ahead("one", Range(start, start + 10))
    tried.use(Range(20, 21))
    tried.parts.shrink(20)
    assert [part.start for part in tried.alive] == [0, 20]
    tried.parts.shrink(0)
    assert [part.start for part in tried.alive] == [20]


class Interrupting(Blocks):
    """Memory for blocks; somebody else does something just before the next one is handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def take(self) -> mmap:
        self.meanwhile()
        return super().take()


def test_a_part_that_fails_meanwhile_leaves_no_hole() -> None:
    """Which parts a read needs is decided once: one that fails just then is among them, and says so later."""
    blocks = Interrupting()
    parts = Parts[str](Account(Budget(4 * BLOCK), untouched), blocks)
    (first,), _ = parts.use(Range(0, BLOCK))
    blocks.meanwhile = partial(first.fail, StoreUnavailable("lost"))
    needed, new = parts.use(Range(0, 2 * BLOCK))
    assert [(part.start, part.stop) for part in needed] == [(0, BLOCK), (BLOCK, 2 * BLOCK)]
    assert new == needed[1:]
    assert first.failure is not None


def by_tens(extent: Range) -> Range:
    return Range(extent.start // 10 * 10, min(-(-extent.stop // 10) * 10, SIZE))


@given(st.lists(st.tuples(st.booleans(), RANGES), max_size=10))
def test_new_parts_are_widened(steps: list[tuple[bool, Range]]) -> None:
    """They still do not overlap, cover what was asked for, and reach beyond it as far as others allow."""
    parts = Parts[str](Account(Budget(10 * SIZE), untouched), Blocks(), by_tens)
    seen: list[Part] = []
    for is_ahead, wanted in steps:
        new = parts.hold_ahead("one", wanted) if is_ahead else parts.use(wanted)[1]
        assert parts.covers(wanted)
        wide = by_tens(wanted)
        assert all(wide.start <= part.start < part.stop <= wide.stop for part in new or [])
        seen += new or []
        extents = sorted((part.start, part.stop) for part in seen)
        assert all(stop <= start for (_, stop), (start, _) in pairwise(extents))
    if len(steps) == 1:
        assert [(part.start, part.stop) for part in seen] == [(wide.start, wide.stop)]
