"""After a crash at any moment, a damaged file or an error of the disk: right bytes, or a miss."""

import errno
import gc
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from empirical_fs.cache.cached import Cached
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.keys import Identity, Listed
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store
from empirical_fs.errors import SetupError
from tests.unit.cache.disks import (
    KEY,
    Call,
    Clock,
    FailingIo,
    Fate,
    RecordingIo,
    blocks_of,
    check,
    content,
    fill,
    opened,
    read,
    replay,
    version,
)

SIZE = BLOCK + 700
ONE, TWO, DATED = content(SIZE, 1), content(SIZE, 2), content(SIZE, 3)
UNTAGGED = Identity(SIZE, None, 4)

pytestmark = pytest.mark.may_warn("is damaged", "takes nothing for a minute", "it is left alone")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def keep(cached: Cached, data: bytes) -> None:
    for block, piece in blocks_of(data):
        cached.keep(block, piece)


def work(folder: Path, io: Io) -> None:
    """Everything that changes the disk."""
    clock = Clock()
    with opened(folder, io=io, clock=clock) as store:
        one = version(store, ONE)
        keep(one, ONE)
        one.note_listed(Listed(SIZE, 1))
        with suppress(OSError):
            one.pin()
        check(one, ONE)
        two = version(store, TWO, '"two"')
        keep(two, TWO)
        two.note_listed(Listed(SIZE, 2))
        dated = store.version(KEY, UNTAGGED, {"last_modified": "then"})
        keep(dated, DATED)
        two.close()
        with suppress(OSError):
            for entry in store.entries():
                if entry.identity.etag == '"two"':
                    store.evict(entry)
        keep(dated, DATED)
        again = version(store, TWO, '"two"')
        keep(again, TWO)
        found = store.listed(KEY, Listed(SIZE, 1))
        if found is not None:
            check(found, ONE)
        with suppress(OSError):
            one.unpin()


def examine(folder: Path) -> list[bool]:
    """Check all versions, by the three ways to open one; returns which blocks were there."""
    with opened(folder) as store:
        return found_in(store)


def examine_and_mend(folder: Path) -> list[bool]:
    """Also check that everything can be kept once more."""
    with opened(folder) as store:
        found = found_in(store)
        for data, etag in ((ONE, '"one"'), (TWO, '"two"')):
            fill(store, data, etag)
            assert check(version(store, data, etag), data) == [True, True]
    return found


def found_in(store: Store) -> list[bool]:
    found = check(version(store, ONE), ONE)
    found += check(version(store, TWO, '"two"'), TWO)
    found += check(store.version(KEY, UNTAGGED, {"last_modified": "then"}), DATED)
    for number, data in ((1, ONE), (2, TWO)):
        listed = store.listed(KEY, Listed(SIZE, number))
        if listed is not None:
            check(listed, data)
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    folder = tmp_path_factory.mktemp("recorded") / "cache"
    io = RecordingIo(folder.parent)
    work(folder, io)
    assert examine(folder) == [True] * 6
    return io.calls


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / str(number) for number in count())


@pytest.mark.parametrize("fate", Fate)
def test_after_every_system_call_the_power_may_fail(
    calls: list[Call], places: Iterator[Path], fate: Fate
) -> None:
    there = 0
    for stop in range(len(calls) + 1):
        top = next(places)
        replay(calls[:stop], top, dict.fromkeys(range(stop), fate))
        there += sum(examine_and_mend(top / "cache"))
    assert (there > len(calls)) == (fate is Fate.WRITTEN)


@pytest.mark.parametrize("fate", [each for each in Fate if each is not Fate.WRITTEN])
def test_any_single_write_may_be_lost_or_torn(calls: list[Call], places: Iterator[Path], fate: Fate) -> None:
    for number, call in enumerate(calls):
        if call.name in ("write", "truncate"):
            top = next(places)
            replay(calls, top, {number: fate})
            examine(top / "cache")
            examine_and_mend(top / "cache")  # as the first has left it


def test_writes_may_be_lost_and_torn_in_any_mixture(calls: list[Call], places: Iterator[Path]) -> None:
    for seed in range(40):
        chance = random.Random(seed)
        fates = {number: chance.choice(list(Fate)) for number in range(len(calls)) if chance.random() < 0.3}
        top = next(places)
        replay(calls[: chance.randrange(len(calls) // 2, len(calls) + 1)], top, fates)
        examine_and_mend(top / "cache")


def test_a_bit_may_flip_anywhere(calls: list[Call], places: Iterator[Path]) -> None:
    top = next(places)
    replay(calls, top, {})
    chance = random.Random(1)
    files = [each for each in top.rglob("*") if each.is_file()]
    assert len(files) > 6
    for file in files:
        whole = file.read_bytes()
        used = [at for at, byte in enumerate(whole[:4200]) if byte] or [0]
        for at in {
            *chance.sample(used, min(len(used), 6)),
            *(chance.randrange(max(len(whole), 1)) for _ in range(2)),
        }:
            if at < len(whole):
                flipped = bytearray(whole)
                flipped[at] ^= 1 << chance.randrange(3)
                _overwrite(file, bytes(flipped))
                _examine_copy(top)
        _overwrite(file, whole)


def test_a_file_may_be_cut_off_anywhere(calls: list[Call], places: Iterator[Path]) -> None:
    top = next(places)
    replay(calls, top, {})
    for file in [each for each in top.rglob("*") if each.is_file()]:
        whole = file.read_bytes()
        for size in {0, 1, 100, 1030, 4095, 4096, 4100, len(whole) // 2, len(whole) - 1}:
            if size < len(whole):
                _overwrite(file, whole[:size])
                _examine_copy(top)
        _overwrite(file, whole)


def _overwrite(file: Path, data: bytes) -> None:
    file.unlink(missing_ok=True)
    file.parent.mkdir(0o700, exist_ok=True)
    file.write_bytes(data)
    file.chmod(0o600)


def _examine_copy(top: Path) -> None:
    """Examine without repairing what the test has damaged."""
    before = {each: each.read_bytes() for each in top.rglob("*") if each.is_file()}
    examine(top / "cache")
    for file, data in before.items():
        if not file.exists() or file.read_bytes() != data:
            _overwrite(file, data)


@pytest.mark.parametrize(
    ("error", "goes_on", "step"),
    [
        (errno.ENOSPC, True, 1),
        (errno.EIO, False, 3),
        (errno.EIO, True, 4),
        (errno.EMFILE, False, 4),
        (errno.ENOENT, False, 4),
    ],
)
def test_any_system_call_may_fail(places: Iterator[Path], error: int, *, goes_on: bool, step: int) -> None:
    gc.collect()
    descriptors = open_descriptors()
    for number in count(0, step):
        folder, io = next(places), FailingIo(number, error, goes_on=goes_on)
        with suppress(SetupError):
            work(folder, io)
        examine_and_mend(folder)
        if io.calls <= number:
            break
    assert number > 100
    gc.collect()
    assert open_descriptors() <= descriptors


def test_a_read_error_turns_one_file_off_and_no_other(tmp_path: Path) -> None:
    class Broken(Io):
        bad = -1

        def read(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
            if descriptor == self.bad:
                raise OSError(errno.EIO, "bad sector")
            return super().read(descriptor, buffers, offset)

    io = Broken()
    with opened(tmp_path / "cache", io=io) as store:
        fill(store, ONE)
        fill(store, TWO, '"two"')
        one, two = version(store, ONE), version(store, TWO, '"two"')
        assert one.files is not None
        io.bad = one.files.data
        assert read(one, 0, SIZE) == b""
        assert check(two, TWO) == [True, True]
        assert (one.percent, one.stored(0, SIZE)) == (0, 0)
        assert not one.keep(0, ONE[:BLOCK])
        assert store.state.counts.files_off == 1


def test_a_full_disk_is_tried_again_later(tmp_path: Path) -> None:
    class Full(Io):
        is_full = True

        def write(
            self, descriptor: int, buffers: Sequence[bytes | bytearray | memoryview], offset: int
        ) -> int:
            if self.is_full and sum(map(len, buffers)) > 10000:
                raise OSError(errno.ENOSPC, "full")
            return super().write(descriptor, buffers, offset)

    io, clock = Full(), Clock()
    with opened(tmp_path / "cache", io=io, clock=clock) as store:
        cached = version(store, ONE)
        cached.keep(0, ONE[:BLOCK])
        assert store.state.paused == "full"
        assert not cached.keep(0, ONE[:BLOCK])
        assert check(cached, ONE) == [False, False]
        io.is_full = False
        clock.now += 61
        keep(cached, ONE)
        assert check(cached, ONE) == [True, True]
        assert store.state.paused is None
