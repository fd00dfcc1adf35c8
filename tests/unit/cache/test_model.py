"""Two stores on one folder, against a model: right bytes or a miss, and a hit where nothing was lost."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.keys import Listed, ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store, System
from empirical_fs.cache.writer import Runtime
from tests.unit.cache.disks import PLENTY, Clock, Inline, age, content, read, usage_of, version

pytestmark = pytest.mark.may_warn("is damaged", "takes nothing for a minute", "it is left alone")

SIZE = 2 * BLOCK + 99
BLOCKS = 3
KEYS = [ResourceKey("", "", number) for number in range(2)]
ETAGS = ['"one"', '"two"']
CONTENTS = {(key, etag): content(SIZE, (key.resource_id, etag)) for key in KEYS for etag in ETAGS}
Version = tuple[ResourceKey, str]

versions = st.sampled_from(list(CONTENTS))
whose = st.integers(0, 1)
blocks = st.integers(0, BLOCKS - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), whose, versions, blocks),
        st.tuples(st.just("keep"), whose, versions, blocks),
        st.tuples(st.just("read"), whose, versions, st.integers(0, SIZE - 1)),
        st.tuples(st.just("evict"), whose, versions, blocks),
        st.tuples(st.just("reopen"), whose, versions, blocks),
        st.tuples(st.just("list"), whose, versions, blocks),
        st.tuples(st.just("close"), whose, versions, blocks),
        st.tuples(st.just("damage"), whose, versions, st.integers(0, 2**30)),
    ),
    max_size=40,
)
Step = tuple[str, int, Version, int]


@dataclass
class World:
    """The folder, two stores, and what they have open."""

    folder: Path
    limits: Limits
    clock: Clock = field(default_factory=Clock)
    stores: list[Store] = field(default_factory=list)
    opened: list[dict[Version, Cached]] = field(default_factory=lambda: [{}, {}])

    def __post_init__(self) -> None:
        self.stores = [self.started(), self.started()]

    def started(self) -> Store:
        store = Store(self.folder, self.limits, system=System(runtime=Runtime(Inline, self.clock, 0)))
        store.start()
        return store

    def cached(self, who: int, what: Version) -> Cached:
        if what not in self.opened[who]:
            self.opened[who][what] = version(self.stores[who], CONTENTS[what], what[1], what[0])
        return self.opened[who][what]

    def close(self, who: int, what: Version) -> None:
        cached = self.opened[who].pop(what, None)
        if cached is not None:
            cached.close()

    def reopen(self, who: int) -> None:
        for what in CONTENTS:
            self.close(who, what)
        self.stores[who].close()
        self.stores[who] = self.started()

    def evict(self, who: int, what: Version) -> None:
        for entry in self.stores[who].entries():
            if (entry.resource, entry.identity.etag) == (what[0].digest, what[1]):
                self.stores[who].evict(entry)

    def end(self) -> None:
        for who in range(2):
            self.reopen(who)
            self.stores[who].close()


def piece(what: Version, block: int) -> bytes:
    return CONTENTS[what][block * BLOCK : (block + 1) * BLOCK]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("model") / "cache"


@given(steps)
def test_without_damage_and_limits_everything_kept_is_there_until_it_is_evicted(
    fresh: Callable[[], Path], steps: list[Step]
) -> None:
    world, there, listed = World(fresh(), PLENTY), set[tuple[Version, int]](), dict[ResourceKey, Version]()
    for name, who, what, number in steps:
        if name == "keep":
            assert world.cached(who, what).keep(number, piece(what, number))
            there.add((what, number))
        elif name == "read":
            found = read(world.cached(who, what), number, SIZE)
            reach = next((b for b in range(number // BLOCK, BLOCKS) if (what, b) not in there), BLOCKS)
            assert found == CONTENTS[what][number : reach * BLOCK]
            assert world.cached(who, what).stored(number, SIZE) == max(number, min(reach * BLOCK, SIZE))
        elif name == "evict":
            world.evict(who, what)
            there -= {(what, block) for block in range(BLOCKS)}
            listed = {key: each for key, each in listed.items() if each != what}
        elif name == "reopen":
            world.reopen(who)
        elif name == "list" and any((what, block) in there for block in range(BLOCKS)):
            world.cached(who, what).note_listed(Listed(SIZE, 1))
            listed[what[0]] = what
        world.close(who, what)
        for key, current in listed.items():
            cached = world.stores[who].listed(key, Listed(SIZE, 1))
            assert cached is not None
            assert cached.identity.etag == current[1]
            cached.close()
    world.end()


@settings(max_examples=80)
@given(steps, st.sampled_from([2**30, 6 * BLOCK, 10 * BLOCK]))
def test_with_damage_limits_and_files_left_open_there_are_right_bytes_or_none(
    fresh: Callable[[], Path], steps: list[Step], size: int
) -> None:
    world = World(fresh(), Limits(size))
    for name, who, what, number in steps:
        if name == "keep":
            age(world.folder)
            world.clock.now += 400
            world.cached(who, what).keep(number, piece(what, number))
        elif name == "read":
            found = read(world.cached(who, what), number, SIZE)
            assert found == CONTENTS[what][number : number + len(found)]
        elif name == "evict":
            world.evict(who, what)
        elif name == "reopen":
            world.reopen(who)
        elif name == "list":
            world.cached(who, what).note_listed(Listed(SIZE, 1))
            cached = world.stores[who].listed(what[0], Listed(SIZE, 1))
            if cached is not None:
                right = CONTENTS[what[0], cached.identity.etag or ""]
                found = read(cached, 0, SIZE)
                assert found == right[: len(found)]
                cached.close()
        elif name == "close":
            world.close(who, what)
        elif name == "damage" and all(not opened for opened in world.opened):
            damage(world.folder, number)
        assert usage_of(world.folder) <= size + 2 * 4096  # the counters of the two
    world.end()


def damage(folder: Path, seed: int) -> None:
    """Change a byte of a file, or cut the file off."""
    chance = random.Random(seed)
    files = sorted(each for each in folder.rglob("*") if each.is_file() and "processes" not in each.parts)
    if not files:
        return
    file = chance.choice(files)
    if chance.random() < 0.3:
        os.truncate(file, chance.randrange(file.stat().st_size + 1))
        return
    data = bytearray(file.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
