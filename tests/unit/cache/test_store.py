"""What was kept is read again, by another store and later; nothing else is."""

import errno
import logging
import os
import shutil
import stat
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.keys import Identity, Listed, ResourceKey
from empirical_fs.cache.record import BLOCK
from empirical_fs.cache.store import Store, System
from empirical_fs.cache.verified_files import SAME_MOMENT
from empirical_fs.cache.writer import Runtime
from empirical_fs.errors import SetupError
from tests.support.harness import wait_until
from tests.unit.cache.disks import (
    KEY,
    LONG_AGO,
    PLENTY,
    Clock,
    FailingIo,
    HalfIo,
    age,
    blocks_of,
    check,
    content,
    fill,
    identity_of,
    keep_all,
    opened,
    read,
    usage_of,
    version,
)

SIZE = 3 * BLOCK + 1000
DATA = content(SIZE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_what_was_kept_is_read_by_another_store_later(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    with opened(folder) as store:
        cached = version(store, DATA)
        assert read(cached, 0, SIZE) == DATA
        assert store.state.counts.bytes_read == SIZE


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 1),
        (5, BLOCK),
        (BLOCK - 1, BLOCK + 1),
        (100, SIZE),
        (BLOCK, 3 * BLOCK),
        (SIZE - 1, SIZE),
        (1, SIZE - 1),
    ],
)
def test_any_range_can_be_read_at_first_and_later(folder: Path, start: int, stop: int) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        for _ in range(2):
            assert read(cached, start, stop) == DATA[start:stop]


def test_a_read_past_the_end_gives_what_is_before_it(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert read(cached, SIZE - 10, SIZE + 10) == DATA[-10:]
        assert read(cached, SIZE, SIZE + 10) == b""
        assert read(cached, SIZE + 10, SIZE + 20) == b""


def test_a_read_ends_at_the_first_gap(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        for block in (0, 1, 3):
            assert cached.keep(block, DATA[block * BLOCK : (block + 1) * BLOCK])
        assert read(cached, 10, SIZE) == DATA[10 : 2 * BLOCK]
        assert read(cached, 2 * BLOCK, SIZE) == b""
        assert cached.stored(10, SIZE) == 2 * BLOCK
        assert cached.stored(10, 20) == 20
        assert cached.stored(2 * BLOCK + 5, SIZE) == 2 * BLOCK + 5
        assert cached.stored(3 * BLOCK + 5, SIZE + 99) == SIZE
        assert cached.percent == 75
        assert not cached.is_complete


class ReadAhead(Io):
    """Notes what is read ahead."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def read_ahead(self, descriptor: int, offset: int, size: int) -> None:
        self.ranges.append((offset, offset + size))


def test_only_what_is_there_is_read_ahead(folder: Path) -> None:
    """A hole of the data file would be filled with zeros in memory."""
    io = ReadAhead()
    with opened(folder, io=io) as store:
        cached = version(store, DATA)
        pieces = dict(blocks_of(DATA))
        for block in (0, 1, 3):
            assert cached.keep(block, pieces[block])
        cached.expect(100, SIZE)
        cached.expect(100, BLOCK)
        cached.expect(2 * BLOCK, SIZE)
        cached.expect(3 * BLOCK, SIZE)
        assert io.ranges == [(100, 2 * BLOCK), (100, BLOCK), (3 * BLOCK, SIZE)]


def test_a_version_is_complete_when_all_is_there_and_verified_when_all_was_read(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        assert not cached.is_complete
        keep_all(cached, DATA)
        assert cached.is_complete
        assert cached.percent == 100
        assert not cached.is_verified
        read(cached, 0, SIZE)
        assert cached.is_verified
        descriptor = cached.fileno()
        assert descriptor is not None
        assert os.pread(descriptor, SIZE + 1, 0) == DATA


def test_an_empty_object_is_complete_and_takes_no_file(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, b"")
        assert (cached.percent, cached.is_complete, cached.is_verified) == (100, True, True)
        assert not list(folder.rglob("*.record"))


def test_a_block_of_another_length_is_a_mistake(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        for block, data in ((0, b"x"), (3, DATA[:BLOCK]), (4, b""), (-1, DATA[:BLOCK])):
            with pytest.raises(ValueError, match="block"):
                cached.keep(block, data)


def test_a_replaced_resource_has_no_block_of_the_old_one(folder: Path) -> None:
    new = content(SIZE, "new")
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, new, '"two"')
        assert read(cached, 0, SIZE) == b""
        keep_all(cached, new)
        assert check(cached, new) == [True] * 4
        assert check(version(store, DATA), DATA) == [True] * 4
        assert read(version(store, new, '"two"', ResourceKey(KEY.origin, KEY.project, 8)), 0, SIZE) == b""


def test_a_redated_resource_with_the_same_etag_keeps_its_blocks(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    later = {"etag": '"one"', "last_modified": "later", "version_id": "7"}
    with opened(folder) as store:
        cached = store.version(KEY, identity_of(DATA, updated_ns=2), later)
        assert check(cached, DATA) == [True] * 4
        cached.note_listed(Listed(SIZE, 2))
        cached.close()
    with opened(folder) as store:
        found = store.listed(KEY, Listed(SIZE, 2))
        assert found is not None
        assert found.validators == later
        assert check(found, DATA) == [True] * 4


def test_without_an_etag_other_validators_mean_other_bytes(folder: Path) -> None:
    new, identity = content(SIZE, "new"), Identity(SIZE, None, 1)
    with opened(folder) as store, opened(folder) as beside:
        old = store.version(KEY, identity, {"last_modified": "then"})
        keep_all(old, DATA)
        elsewhere = beside.version(KEY, identity, {"last_modified": "then"})
        cached = store.version(KEY, identity, {"last_modified": "now"})
        assert read(cached, 0, SIZE) == b""
        keep_all(cached, new)
        # Who reads the old bytes goes on with them, and nobody mixes them with the new ones.
        old.keep(0, DATA[:BLOCK])
        elsewhere.keep(0, DATA[:BLOCK])
        elsewhere.keep(1, DATA[BLOCK : 2 * BLOCK])
        assert check(old, DATA) == [True] * 4
        assert check(cached, new) == [True] * 4
        check(elsewhere, DATA)
    with opened(folder) as store:
        assert check(store.version(KEY, identity, {"last_modified": "now"}), new) == [True] * 4


def test_without_any_validator_bytes_that_differ_begin_anew(folder: Path) -> None:
    new, identity = content(SIZE, "new"), Identity(SIZE, None, 1)
    with opened(folder) as store, opened(folder) as beside:
        old = store.version(KEY, identity, {})
        keep_all(old, DATA)
        cached = beside.version(KEY, identity, {})
        cached.keep(1, new[BLOCK : 2 * BLOCK])
        assert check(old, DATA) == [True] * 4
        keep_all(cached, new)
        assert check(cached, new) == [True] * 4
        assert check(old, DATA) == [True] * 4


def test_two_processes_that_do_not_fit_do_not_evict_each_other(folder: Path) -> None:
    limits, other, clock = Limits(5 * BLOCK + 2**16), ResourceKey("", "", 1), Clock()
    with opened(folder, limits, clock=clock) as store, opened(folder, limits, clock=clock) as beside:
        before = [False] * 8
        for _ in range(3):
            one, two = version(store, DATA), version(beside, DATA, key=other)
            assert check(one, DATA) + check(two, DATA) == before
            for block in range(4):
                for cached in (one, two):
                    cached.keep(block, DATA[block * BLOCK :][:BLOCK])
            before = check(one, DATA) + check(two, DATA)
            one.close()
            two.close()
            clock.now += 400
        assert 4 <= sum(before) < 8


def test_a_version_is_found_by_the_listing_that_described_it_last(folder: Path) -> None:
    new = content(SIZE, "new")
    with opened(folder) as store:
        for data, etag in ((DATA, '"one"'), (new, '"two"')):
            cached = version(store, data, etag)
            cached.note_listed(Listed(SIZE, 5))
            keep_all(cached, data)
            cached.close()
    with opened(folder) as store:
        assert store.listed(KEY, Listed(SIZE, 6)) is None
        assert store.listed(ResourceKey("", "", 1), Listed(SIZE, 5)) is None
        found = store.listed(KEY, Listed(SIZE, 5))
        assert found is not None
        assert found.validators["etag"] == '"two"'
        assert found.identity == identity_of(new, '"two"')
        assert check(found, new) == [True] * 4
        old = version(store, DATA)
        old.note_listed(Listed(SIZE, 5))
        again = store.listed(KEY, Listed(SIZE, 5))
        assert again is old


@pytest.mark.warns("is damaged")
def test_what_differs_from_its_checksum_is_a_miss_that_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    (data,) = folder.rglob("*.data")
    broken = bytearray(data.read_bytes())
    broken[10] ^= 1
    broken[BLOCK + 10] ^= 1
    data.write_bytes(broken)
    with opened(folder) as store, caplog.at_level(logging.WARNING):
        cached = version(store, DATA)
        assert check(cached, DATA) == [False, False, True, True]
        assert store.state.counts.blocks_damaged == 2
        assert len(caplog.messages) == 1
        assert cached.stored(0, SIZE) == 0
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4
    with opened(folder) as store:
        assert check(version(store, DATA), DATA) == [True] * 4


@pytest.mark.warns("is damaged")
def test_damage_is_recorded_for_others(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    (data,) = folder.rglob("*.data")
    os.truncate(data, BLOCK + 1)
    with opened(folder) as store:
        assert check(version(store, DATA), DATA) == [True, False, False, False]
    with opened(folder) as store:
        assert version(store, DATA).percent == 25


@pytest.mark.warns("is damaged")
def test_a_file_cut_off_after_it_was_verified_gives_no_wrong_byte(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert read(cached, 0, SIZE) == DATA
        (data,) = folder.rglob("*.data")
        os.truncate(data, BLOCK + 1)
        assert check(cached, DATA) == [True, False, False, False]
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4


@pytest.mark.warns("block 1 of .* is damaged; it is fetched again")
def test_a_file_changed_in_place_after_it_was_verified(folder: Path) -> None:
    """By another program, in its old size: what it has written is a miss, and the rest is verified anew."""
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert check(cached, DATA) == [True] * 4
        whole = memoryview(bytearray(SIZE))
        assert cached.read_from_memory(0, whole)
        (path,) = folder.rglob("*.data")
        with path.open("r+b") as file:
            os.pwrite(file.fileno(), bytes(100), BLOCK)
        assert not cached.read_from_memory(0, whole)
        assert check(cached, DATA) == [True, False, True, True]
        assert cached.keep(1, DATA[BLOCK : 2 * BLOCK])
        assert check(cached, DATA) == [True] * 4
        assert cached.read_from_memory(0, whole)
        assert whole == DATA


def test_nothing_can_be_told_from_names_and_nobody_else_can_look(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        keep_all(cached, DATA)
        cached.pin()
    for each in (folder, *folder.rglob("*")):
        mode = each.stat().st_mode
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600)
        assert "example" not in str(each.relative_to(folder))
    for each in folder.rglob("*"):
        assert not each.is_file() or KEY.origin.encode() not in each.read_bytes()


@pytest.mark.parametrize("part", ["", "v1"])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_can_write_to_is_refused(folder: Path, part: str, mode: int) -> None:
    Store(folder, PLENTY)
    (folder / part).chmod(mode)
    with pytest.raises(SetupError, match="others than you can write"):
        Store(folder, PLENTY)


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(SetupError) as refused:
            Store(path, PLENTY)
        assert "\n" not in str(refused.value)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(SetupError):
        Store(loop, PLENTY)


def test_without_a_descriptor_nothing_is_taken_for_a_moment(folder: Path) -> None:
    """Another file may be closed soon; that is no news for the user."""

    class Scarce(Io):
        is_scarce = True

        def create(self, path: Path) -> int:
            if self.is_scarce:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().create(path)

    io, clock = Scarce(), Clock()
    with opened(folder, io=io, clock=clock) as store:
        cached = version(store, DATA)
        cached.keep(0, DATA[:BLOCK])
        assert store.state.paused == os.strerror(errno.EMFILE)
        io.is_scarce = False
        clock.now += 6
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4


def test_an_empty_folder_on_a_read_only_disk(folder: Path) -> None:
    """The message names the disk, not the folder that could not be made."""

    class ReadOnly(Io):
        def make_folder(self, path: Path) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    folder.mkdir()
    with pytest.raises(SetupError, match="Read-only file system"):
        Store(folder, PLENTY, system=System(ReadOnly()))


def test_opening_takes_no_longer_with_many_versions_in_the_folder(folder: Path) -> None:
    calls = []
    Store(folder, PLENTY)
    for _ in range(2):
        io = FailingIo()
        Store(folder, PLENTY, system=System(io))
        calls.append(io.calls)
        with opened(folder) as store:
            for number in range(30):
                fill(store, DATA[:100], key=ResourceKey("", "", number))
    assert calls[0] == calls[1]


def test_the_folder_may_be_a_symbolic_link_to_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    with opened(tmp_path / "link") as store:
        fill(store, DATA)
    with opened(tmp_path / "cache") as store:
        assert check(version(store, DATA), DATA) == [True] * 4


def test_a_folder_in_one_where_everybody_can_rename_it_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SetupError, match="everybody can write"):
        Store(tmp_path / "cache", PLENTY)
    tmp_path.chmod(0o1777)
    Store(tmp_path / "cache", PLENTY)


def test_what_is_read_counts_as_used(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        age(folder)
        cached = version(store, DATA)
        assert cached.last_used == LONG_AGO
        read(cached, 0, 1)
        assert cached.last_used > LONG_AGO


def test_blocks_that_another_process_has_written_take_no_room_again(folder: Path) -> None:
    with opened(folder) as store, opened(folder) as beside:
        cached = version(beside, DATA)
        fill(store, DATA)
        before = beside.state.used
        keep_all(cached, DATA)
        assert beside.state.used == before
        assert check(cached, DATA) == [True] * 4


def test_a_file_that_another_machine_has_removed_is_begun_anew(folder: Path) -> None:
    class Stale(Io):
        is_stale = False

        def read(self, descriptor: int, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
            if self.is_stale:
                raise OSError(errno.ESTALE, "stale")
            return super().read(descriptor, buffers, offset)

    io = Stale()
    with opened(folder, io=io) as store:
        cached = version(store, DATA)
        keep_all(cached, DATA)
        io.is_stale = True
        assert read(cached, 0, SIZE) == b""
        io.is_stale = False
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4
        assert store.state.counts.files_off == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir(0o700)
    os.chown(folder, 12345, -1)
    with pytest.raises(SetupError, match="another user"):
        Store(folder, PLENTY)


def test_a_cache_that_is_too_large_by_now_is_made_smaller_at_the_start(folder: Path) -> None:
    """Though nothing is written."""
    with opened(folder) as store:
        for number in range(4):
            fill(store, content(SIZE, number), key=ResourceKey("", "", number))
    age(folder)
    limits = Limits(2 * SIZE)
    with opened(folder, limits):
        assert 0 < usage_of(folder) <= limits.size


def test_small_files_count_as_what_they_take(folder: Path) -> None:
    """Not as whole blocks: a full cache of them is nearly half full on the disk."""
    limits = Limits(2**20)
    with opened(folder, limits) as store:
        for number in range(60):
            cached = version(store, content(50, number), key=ResourceKey("", "", number))
            cached.keep(0, content(50, number))
            cached.close()
        paused = store.state.paused
        assert paused is not None
        assert "full" in paused
        assert 0.45 * limits.size < usage_of(folder) <= limits.size


def test_nothing_is_taken_before_the_start_and_after_the_end(folder: Path) -> None:
    store = Store(folder, PLENTY)
    cached = version(store, DATA)
    assert not cached.keep(0, DATA[:BLOCK])
    store.start()
    assert cached.keep(0, DATA[:BLOCK])
    store.close()
    assert not cached.keep(1, DATA[BLOCK : 2 * BLOCK])
    assert read(cached, 0, BLOCK) == DATA[:BLOCK]


class SlowIo(FailingIo):
    """Writes nothing before it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()

    def truncate(self, descriptor: int, size: int) -> None:
        self.may_go.wait(30)
        super().truncate(descriptor, size)


def test_a_disk_that_is_slower_than_the_network_costs_no_time_and_little_memory(folder: Path) -> None:
    io = SlowIo()
    store = Store(folder, PLENTY, queue=3 * BLOCK, system=System(io))
    store.start()
    data = content(10 * BLOCK)
    cached = version(store, data)
    taken = [cached.keep(block, data[block * BLOCK : (block + 1) * BLOCK]) for block in range(10)]
    assert taken == [True] * 3 + [False] * 7
    assert store.state.counts.blocks_dropped == 7
    assert not store.drain(0.01)
    io.may_go.set()
    assert store.drain(30)
    assert check(cached, data) == taken
    assert cached.keep(3, data[3 * BLOCK : 4 * BLOCK])
    cached.close()
    store.close()


@pytest.mark.warns("is damaged")
def test_short_writes_are_continued(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    age(folder)
    with opened(folder, io=HalfIo()) as store:
        cached = version(store, DATA)
        os.truncate(next(folder.rglob("*.data")), 0)
        assert check(cached, DATA) == [False] * 4
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4


def test_the_least_recently_used_version_makes_room(folder: Path) -> None:
    limits = Limits(8 * BLOCK + 2**16)
    keys = [ResourceKey("", "", number) for number in range(6)]
    clock = Clock()
    with opened(folder, limits, clock=clock) as store:
        for number, key in enumerate(keys):
            clock.now += 400
            fill(store, DATA, key=key)
            age(folder)
            os.utime(
                next(store.folder.resource(key.digest).glob("*.record")), (10**9 + number, 10**9 + number)
            )
            assert usage_of(folder) <= limits.size
        left = [any(check(version(store, DATA, key=key), DATA)) for key in keys]
        counts = store.state.counts
    assert left[-1]
    assert 1 <= sum(left) <= 2
    assert counts.evictions == len(keys) - sum(left)
    assert counts.bytes_evicted > BLOCK * counts.evictions


def test_what_is_open_or_pinned_or_in_use_is_not_evicted_and_the_rest_is_not_cached(folder: Path) -> None:
    limits = Limits(6 * BLOCK + 2**16)
    other = ResourceKey("", "", 1)
    with opened(folder, limits) as store:
        cached = version(store, DATA)
        keep_all(cached, DATA)
        age(folder)
        for close in (False, True):
            if close:
                cached.pin()
                assert cached.is_pinned
                cached.close()
            second = version(store, DATA, key=other)
            for block in range(4):
                second.keep(block, DATA[block * BLOCK :][:BLOCK])
            assert sum(check(second, DATA)) < 4
            assert store.state.paused is not None
            assert usage_of(folder) <= limits.size
            second.close()
    with opened(folder, limits) as store:
        cached = version(store, DATA)
        assert check(cached, DATA) == [True] * 4
        cached.unpin()
        assert not cached.is_pinned


def test_what_was_just_used_makes_room_for_what_is_pinned(folder: Path) -> None:
    """At once, also if readers have just found the cache full; never what is pinned itself."""
    limits = Limits(8 * BLOCK + 2**16)
    keys = [ResourceKey("", "", number) for number in range(5)]
    with opened(folder, limits) as store:
        for key in keys[:3]:
            cached = version(store, DATA, key=key)
            for block, piece in blocks_of(DATA):
                cached.keep(block, piece)
            cached.close()
        assert store.state.paused is not None
        for key in keys[3:]:
            pinned = version(store, DATA, key=key)
            pinned.pin()
            keep_all(pinned, DATA)
            assert check(pinned, DATA) == [True] * 4
            assert usage_of(folder) <= limits.size
            pinned.close()
        third = version(store, DATA, key=keys[0])
        third.pin()
        for block, piece in blocks_of(DATA):
            third.keep(block, piece)
        assert sum(check(third, DATA)) < 4
        assert store.state.paused == "it is full of files that are pinned or open"
        assert usage_of(folder) <= limits.size


def test_a_number_of_files_is_a_limit(folder: Path) -> None:
    with opened(folder, Limits(2**30, files=7)) as store:
        for number in range(5):
            cached = version(store, DATA, key=ResourceKey("", "", number))
            cached.keep(0, DATA[:BLOCK])
            cached.close()
        found = [
            each
            for each in (folder / "v1").rglob("*")
            if "processes" not in each.parts and len(each.name) > 2
        ]
        assert 3 <= len([each for each in found if each.name != "processes"]) <= 7


def test_an_evicted_version_is_read_by_who_has_it_open_and_begun_anew_by_who_writes(folder: Path) -> None:
    with opened(folder) as store, opened(folder) as other:
        cached = version(store, DATA)
        keep_all(cached, DATA)
        (entry,) = other.entries()
        assert other.evict(entry) >= SIZE
        assert not list(folder.rglob("*.data"))
        assert check(cached, DATA) == [True] * 4
        assert cached.keep(0, DATA[:BLOCK])  # it was verified, so it is not written again
        again = version(other, DATA)
        keep_all(again, DATA)
        assert check(again, DATA) == [True] * 4


@pytest.mark.may_warn("takes nothing for a minute", "is damaged")
def test_a_cache_folder_that_was_removed_is_made_again(folder: Path) -> None:
    clock = Clock()
    with opened(folder, clock=clock) as store:
        fill(store, DATA)
        shutil.rmtree(folder)
        cached = version(store, DATA)
        assert read(cached, 0, SIZE) == b""
        cached.keep(0, DATA[:BLOCK])
        clock.now += 61
        keep_all(cached, DATA)
        assert check(cached, DATA) == [True] * 4
    with opened(folder) as store:
        fill(store, DATA)
        assert check(version(store, DATA), DATA) == [True] * 4


def test_entries_say_what_is_there_and_a_check_drops_what_is_damaged(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        for block in (1, 2, 3):
            cached.keep(block, DATA[block * BLOCK :][:BLOCK])
        cached.note_listed(Listed(SIZE, 9))
        cached.pin()
        cached.close()
    store = Store(folder, PLENTY)  # a command starts nothing
    (entry,) = store.entries()
    assert (entry.resource, entry.identity) == (KEY.digest, identity_of(DATA))
    assert (entry.size, entry.cached_bytes, entry.percent) == (SIZE, SIZE - BLOCK, 66)
    assert (entry.is_pinned, entry.listed) == (True, Listed(SIZE, 9))
    assert entry.last_used > 10**9
    moved = list[int]()
    assert store.verify(entry, moved.append).damaged == 0
    assert sum(moved) == SIZE - BLOCK
    (data,) = folder.rglob("*.data")
    broken = bytearray(data.read_bytes())
    broken[2 * BLOCK] ^= 1
    data.write_bytes(broken)
    found = store.verify(entry)
    assert (found.good, found.damaged) == (2, 1)
    assert (store.verify(entry).good, store.verify(entry).damaged) == (2, 0)
    assert next(store.entries()).cached_bytes == SIZE - 2 * BLOCK
    store.evict(entry)
    assert not list(store.entries())
    assert not list(folder.rglob("*.pin"))


@pytest.mark.warns("another release")
def test_a_record_of_another_release_is_left_alone_and_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(folder) as store:
        fill(store, DATA)
    (record,) = folder.rglob("*.record")
    raw = bytearray(record.read_bytes())
    raw[8:12] = (99).to_bytes(4, "little")
    raw[12:16] = zlib.crc32(raw[:12]).to_bytes(4, "little")
    record.write_bytes(raw)
    with opened(folder) as store, caplog.at_level(logging.WARNING):
        for _ in range(2):
            cached = version(store, DATA)
            assert read(cached, 0, SIZE) == b""
            cached.keep(0, DATA[:BLOCK])
            cached.close()
        assert store.listed(KEY, Listed(SIZE, 1)) is None
        assert not list(store.entries())
    assert [each for each in caplog.messages if "another release" in each] == caplog.messages
    assert len(caplog.messages) == 1
    assert record.read_bytes() == raw


def test_rests_of_crashes_are_removed_when_they_are_old(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        place = store.folder.place(KEY.digest, identity_of(DATA).digest)
    rests = [place.new(), place.data("abc"), store.folder.place(KEY.digest, "0" * 32).data("abc")]
    for rest in rests:
        rest.write_bytes(b"x")
    with opened(folder):
        assert all(rest.exists() for rest in rests)
    for rest in rests:
        os.utime(rest, (10**9, 10**9))
    with opened(folder) as store:
        assert not any(rest.exists() for rest in rests)
        assert check(version(store, DATA), DATA) == [True] * 4


@pytest.mark.warns("takes nothing for a minute")
def test_a_read_only_folder_can_be_read(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)

    class ReadOnlyIo(FailingIo):
        def open(self, path: Path, *, writable: bool = True) -> int:
            if writable:
                raise OSError(errno.EROFS, "read-only")
            return super().open(path, writable=writable)

        def create(self, path: Path) -> int:
            raise OSError(errno.EROFS, "read-only")

        def touch(self, descriptor: int) -> None:
            raise OSError(errno.EROFS, "read-only")

    with opened(folder, io=ReadOnlyIo()) as store:
        cached = version(store, DATA)
        assert check(cached, DATA) == [True] * 4
        assert store.state.paused is not None


def test_gaps(folder: Path) -> None:
    """Where something is missing, and up to where."""
    with opened(folder) as store:
        cached = version(store, DATA)
        assert cached.missing(0, SIZE) == SIZE
        cached.keep(1, DATA[BLOCK : 2 * BLOCK])
        assert (cached.stored(0, SIZE), cached.missing(0, SIZE)) == (0, BLOCK)
        assert (cached.stored(BLOCK, SIZE), cached.missing(BLOCK, SIZE)) == (2 * BLOCK, BLOCK)
        assert (cached.missing(2 * BLOCK + 5, SIZE), cached.missing(0, 10)) == (SIZE, 10)
        cached.close()


def test_what_a_check_finds_is_not_served_by_who_has_verified_it_before(folder: Path) -> None:
    """A block that this process has served may be damaged since; a check of it counts for all."""
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert read(cached, 0, SIZE) == DATA
        (data,) = folder.rglob("*.data")
        with data.open("r+b") as file:
            file.write(b"\xff" if DATA[0] != 0xFF else b"\x00")
        (entry,) = store.entries()
        assert (store.verify(entry).damaged, store.verify(entry).damaged) == (1, 0)
        assert check(cached, DATA) == [False, True, True, True]
        cached.close()


def test_an_open_version_that_was_removed_is_kept_anew(folder: Path) -> None:
    """Whoever has it open learns that nothing of it is there."""
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        cached.pin()
        (entry,) = store.entries([KEY.digest])
        assert store.pinned(KEY.digest) == {cached.place.version}
        assert store.all_pinned() == {KEY.digest}
        assert store.evict(entry) >= SIZE
        assert (cached.percent, cached.stored(0, SIZE), store.pinned(KEY.digest)) == (0, 0, set())
        keep_all(cached, DATA)
        assert read(cached, 0, SIZE) == DATA
        assert not store.is_to_write(cached)
        cached.close()


class Never:
    """A job that is never begun."""

    def __init__(self, _name: str, _work: Callable[[], object]) -> None:
        pass

    def ask(self) -> bool:
        return True


def test_room_in_the_queue(folder: Path) -> None:
    """What is handed over and not written yet takes room, and is known of."""
    store = Store(folder, PLENTY, queue=2 * BLOCK, system=System(runtime=Runtime(Never, Clock(), 0)))
    store.start()
    cached = version(store, DATA)
    assert store.room_in_queue == 2 * BLOCK
    assert not store.is_to_write(cached)
    assert cached.keep(0, DATA[:BLOCK])
    assert (store.room_in_queue, store.is_to_write(cached)) == (BLOCK, True)
    cached.close()
    store.close(0)


def changed_long_ago(folder: Path) -> None:
    """Wait until a further change of the data file would show in its times."""
    (data,) = folder.rglob("*.data")
    newest = max(data.stat().st_mtime, data.stat().st_ctime)
    wait_until(lambda: time.time() - newest > SAME_MOMENT, "another moment")


def test_a_descriptor_is_given_of_what_is_verified_as_a_whole(folder: Path) -> None:
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert cached.fileno() is None
        assert read(cached, 0, BLOCK) == DATA[:BLOCK]
        assert cached.fileno() is None
        assert cached.verify()
        number = cached.fileno()
        assert number is not None
        assert os.pread(number, SIZE + 1, 0) == DATA
        os.ftruncate(number, SIZE + 1)
        assert cached.fileno() is None


def test_what_a_reader_verifies_meanwhile_is_no_damage(folder: Path) -> None:
    """While a file is verified, a program may read the very block that comes next."""
    with opened(folder) as store:
        fill(store, DATA)
        cached = version(store, DATA)
        assert cached.verify(lambda: read(cached, 0, SIZE) == DATA)
        assert cached.is_verified


@pytest.mark.warns("is damaged")
def test_what_is_damaged_or_absent_is_not_verified(folder: Path) -> None:
    with opened(folder) as store:
        cached = version(store, DATA)
        assert cached.keep(0, DATA[:BLOCK])
        assert not cached.verify()
        keep_all(cached, DATA)
        assert not cached.verify(lambda: False)
        (data,) = folder.rglob("*.data")
        with data.open("r+b") as file:
            file.seek(2 * BLOCK + 5)
            file.write(b"?!")
        assert not cached.verify()
        assert store.state.counts.blocks_damaged == 1
        assert cached.fileno() is None
        assert cached.keep(2, DATA[2 * BLOCK : 3 * BLOCK])
        assert cached.verify()


@pytest.mark.warns("is damaged")
def test_what_was_verified_stays_so_until_its_file_changes(folder: Path) -> None:
    """A version that was closed is not verified anew by the same process, unless somebody wrote to it."""
    with opened(folder) as store:
        fill(store, DATA)
        changed_long_ago(folder)
        for is_known in (False, True):
            cached = version(store, DATA)
            assert cached.is_verified == is_known
            assert cached.verify()
            cached.close()
        (data,) = folder.rglob("*.data")
        times = data.stat()
        with data.open("r+b") as file:
            file.write(b"?!")
        os.utime(data, ns=(times.st_atime_ns, times.st_mtime_ns))
        cached = version(store, DATA)
        assert not cached.is_verified
        assert not cached.verify()


def test_what_was_verified_long_ago_is_verified_again(folder: Path) -> None:
    """Reopening it in between does not put that off."""
    clock = Clock()
    with opened(folder, clock=clock) as store:
        fill(store, DATA)
        changed_long_ago(folder)
        cached = version(store, DATA)
        assert cached.verify()
        cached.close()
        for seconds, is_known in ((400, True), (190, True), (20, False)):
            clock.now += seconds
            cached = version(store, DATA)
            assert cached.is_verified == is_known
            cached.close()


def test_a_file_that_has_just_changed_is_verified_again(folder: Path) -> None:
    """Another change in the same moment might not show in its times."""
    with opened(folder) as store:
        fill(store, DATA)
        os.utime(next(folder.rglob("*.data")))
        cached = version(store, DATA)
        assert cached.verify()
        cached.close()
        assert not version(store, DATA).is_verified
