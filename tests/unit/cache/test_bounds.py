"""Usage is never too small, and what does not fit is said."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.cache.bounds import Amount, Counter, Limits, Scanned, Space, chunk, excess, usage

WIDE = Space(size=1000, free=1000, files=0, free_files=0)
PARTS = 2
Step = tuple[str, int, int]


@dataclass
class World:
    """Processes that write and free while one scans, part by part."""

    parts: list[int] = field(default_factory=lambda: [0] * PARTS)
    local: dict[str, Counter] = field(default_factory=lambda: {"a": Counter(), "b": Counter()})
    shown: dict[str, Counter] = field(default_factory=lambda: {"a": Counter(), "b": Counter()})
    scanned: Scanned | None = None
    before: dict[str, Counter] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)
    going: dict[str, list[int]] = field(default_factory=lambda: {"a": [], "b": []})
    """What a process is freeing: the part, the bytes it will free, the bytes it has freed."""

    def step(self, name: str, process: str, number: int) -> None:
        counter = self.local[process]
        part = number % PARTS
        match name:
            case "reserve":
                self.show(process, replace(counter, reserved=counter.reserved + Amount(number)))
            case "write":
                count = min(number, (counter.reserved - counter.spent).bytes)
                self.parts[part] += count
                self.local[process] = replace(counter, spent=counter.spent + Amount(count))
                if number % 2:
                    self.show(process, self.local[process])
            case "show":
                self.show(process, counter)
            case "give back":
                self.show(process, replace(counter, reserved=counter.spent))
            case "begin to free" if not self.going[process]:
                self.going[process] = [part, number, 0]
                freeing = counter.freed + Amount(number)
                self.show(process, replace(counter, freeing=freeing))
            case "free" if self.going[process]:
                part, count, _ = self.going[process]
                self.going[process] = [part, count, min(count, self.parts[part])]
                self.parts[part] -= self.going[process][2]
                self.going[process][1] = 0
            case "end freeing" if self.going[process]:
                freed = counter.freed + Amount(self.going[process][2])
                self.going[process] = []
                self.show(process, replace(counter, freeing=freed, freed=freed))
            case "scan":
                if not self.seen:
                    self.before = dict(self.shown)
                self.seen.append(self.parts[len(self.seen)])
                if len(self.seen) == PARTS:
                    self.scanned = Scanned(Amount(sum(self.seen)), self.before, dict(self.shown))
                    self.seen = []

    def show(self, process: str, counter: Counter) -> None:
        self.local[process] = self.shown[process] = counter


STEPS = st.tuples(
    st.sampled_from(
        [
            "reserve",
            "write",
            "write",
            "show",
            "give back",
            "begin to free",
            "free",
            "end freeing",
            "scan",
            "scan",
        ]
    ),
    st.sampled_from(["a", "b"]),
    st.integers(1, 10),
)


@settings(max_examples=250)
@given(st.lists(STEPS, max_size=60))
def test_usage_is_never_less_than_what_is_on_disk(steps: list[tuple[str, str, int]]) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        if world.scanned is not None:
            assert usage(world.scanned, world.shown).bytes >= sum(world.parts)


def test_usage_is_exact_once_everything_reserved_is_spent() -> None:
    scanned = Scanned(
        Amount(100, 3), {"a": Counter(Amount(50), Amount(50))}, {"a": Counter(Amount(50), Amount(50))}
    )
    now = {
        "a": Counter(Amount(70), Amount(70), Amount(5), Amount(5)),
        "b": Counter(Amount(8, 1), Amount(8, 1)),
    }
    assert usage(scanned, now) == Amount(100 + 20 - 5 + 8, 4)


def test_what_fits_has_no_excess() -> None:
    assert not excess(Limits(100), Amount(100, 5), WIDE, {}).is_any
    assert excess(Limits(100), Amount(101), WIDE, {}).bytes == 1


def test_files_are_limited_too() -> None:
    assert excess(Limits(100, files=5), Amount(1, 7), WIDE, {}).files == 2


def test_free_space_counts_what_all_have_reserved() -> None:
    space = Space(size=1000, free=300, files=0, free_files=0)
    counters = {"a": Counter(Amount(250), Amount(100)), "b": Counter(Amount(60))}
    assert not excess(Limits(10**6, min_free_bytes=90), Amount(), space, counters).is_any
    assert excess(Limits(10**6, min_free_bytes=100), Amount(), space, counters).bytes == 10
    assert excess(Limits(10**6, min_free_percent=20), Amount(), space, counters).bytes == 110


def test_free_files_count_where_the_file_system_has_a_limit() -> None:
    space = Space(size=1000, free=1000, files=100, free_files=12)
    assert (
        excess(Limits(10**6, min_free_percent=10), Amount(), space, {"a": Counter(Amount(0, 3))}).files == 1
    )


def test_little_is_reserved_at_once_in_a_small_cache_and_on_a_small_disk() -> None:
    assert chunk(Limits(64 * 100), Space(2**40, 0, 0, 0)) == Amount(100, 64)
    assert chunk(Limits(2**40), Space(64 * 200, 0, 640, 0)) == Amount(200, 10)
    assert chunk(Limits(2**40), Space(2**40, 0, 0, 0)) == Amount(16 * 2**20, 64)


def test_what_was_evicted_while_a_scan_ended_is_not_subtracted() -> None:
    world = World()
    steps = [("reserve", 9), ("write", 9), ("begin to free", 9), ("free", 9), ("scan", 1), ("scan", 1)]
    for name, number in [*steps, ("end freeing", 9), ("reserve", 9), ("write", 9)]:
        world.step(name, "a", number)
    assert world.scanned is not None
    assert usage(world.scanned, world.shown).bytes >= sum(world.parts) == 9
