"""Usage is never too small, and what does not fit is said."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.cache.bounds import Amount, Counter, Limits, Scanned, Space, chunk, excess, usage

WIDE = Space(size=1000, free=1000, files=0, free_files=0)
PARTS = 3
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

    def step(self, name: str, process: str, number: int) -> None:
        counter = self.local[process]
        part = number % PARTS
        match name:
            case "reserve":
                self.show(process, Counter(counter.reserved + Amount(number), counter.spent, counter.freed))
            case "write":
                count = min(number, (counter.reserved - counter.spent).bytes)
                self.parts[part] += count
                self.local[process] = Counter(counter.reserved, counter.spent + Amount(count), counter.freed)
            case "show":
                self.show(process, counter)
            case "give back":
                self.show(process, Counter(counter.spent, counter.spent, counter.freed))
            case "free":
                count = min(number, self.parts[part])
                self.parts[part] -= count
                self.show(process, Counter(counter.reserved, counter.spent, counter.freed + Amount(count)))
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
    st.sampled_from(["reserve", "write", "show", "give back", "free", "scan", "scan"]),
    st.sampled_from(["a", "b"]),
    st.integers(1, 10),
)


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
        "a": Counter(Amount(70), Amount(70), Amount(5)),
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
