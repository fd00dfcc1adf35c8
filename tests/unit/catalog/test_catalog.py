"""The catalogue: answers at once from what it has, and fetches the listing in the background."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from empirical_fs.api.last_good import Known, after
from empirical_fs.api.listing import Listing
from empirical_fs.api.resource import Malformed, Resource
from empirical_fs.cache.listing_format import KeptListing, MeasuredSize
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.errors import (
    ApiUnavailable,
    EmpiricalError,
    NoSuchFile,
    OutOfReach,
    SetupError,
    StoreUnavailable,
)
from empirical_fs.work.progress import unseen
from tests.support.harness import wait_until
from tests.support.listed import said

PATIENCE = 10.0
PAGE = "https://x/page"


def resource(identity: int, name: str = "", **fields: object) -> Resource:
    base = Resource(id=identity, name=name or f"{identity}.txt", size=identity * 10, updated_ns=0, link=None)
    return replace(base, **fields)


class World:
    """A project that is listed and measured, and what the catalogue tells of it."""

    def __init__(self, *resources: Resource, max_age: float = 0) -> None:
        self.resources = resources
        self.malformed: tuple[Malformed, ...] = ()
        self.sizes: dict[int, int] = {}
        self.fetches = 0
        self.measures: list[int] = []
        self.changes: list[Mapping[str, Entry | None]] = []
        self.before_fetch: Callable[[], object] = lambda: None
        self.before_answer: Callable[[], object] = lambda: None
        self.before_measure: Callable[[], object] = lambda: None
        self.on_tell: Callable[[], object] = lambda: None
        self.catalog = Catalog(self.fetch, self.measure, max_age, self.tell)

    def tell(self, changed: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        assert changed == newer.changed_since(older)
        self.changes.append(changed)
        self.on_tell()

    def opened(self, identity: int) -> Resource:
        """What is opened: what is listed once nothing is in doubt any more, or cannot be settled."""
        for _ in range(2):
            if self.catalog.is_in_doubt(identity):
                settled = threading.Event()
                self.catalog.when_settled(identity, settled.set)
                assert settled.wait(PATIENCE)
        return self.catalog.latest.resources[identity]

    def fetch(self, *_: object) -> Listing:
        self.fetches += 1
        self.before_fetch()
        listing = Listing(self.resources, self.malformed, server_time=time.time())
        self.before_answer()
        return listing

    def measure(self, measured: Resource) -> tuple[int, bool]:
        self.measures.append(measured.id)
        self.before_measure()
        if measured.id not in self.sizes:
            raise StoreUnavailable("busy")
        return self.sizes[measured.id], False

    def loaded(self) -> "World":
        self.catalog.load(self.fetch, unseen)
        self.catalog.find_sizes()
        settle(self)
        return self

    def refreshed(self) -> Snapshot:
        """The snapshot after the refresh that asking begins, if it begins one."""
        self.catalog.snapshot()
        settle(self)
        return self.catalog.latest


def settle(world: "World") -> None:
    """Wait for the refresh that is under way, and for the sizes that it looks for."""
    for job in (world.catalog._refreshing._job, world.catalog._measuring):
        wait_until(lambda job=job: not job.is_busy, "the end of a job")  # type: ignore[misc]


def test_lookup() -> None:
    """A name leads to its file, and any other name to none."""
    world = World(resource(1), max_age=1000).loaded()
    assert world.catalog.lookup("1.txt").resource.id == 1
    with pytest.raises(NoSuchFile):
        world.catalog.lookup("2.txt")


def test_what_nobody_looks_for_is_no_look() -> None:
    """A name that programs ask for everywhere costs no refresh, whether it is there or not."""
    world = World(resource(1), resource(2, ".DS_Store")).loaded()
    for name in (".hidden", ".Trash-1000"):
        with pytest.raises(NoSuchFile):
            world.catalog.lookup(name)
    assert world.catalog.lookup(".DS_Store").resource.id == 2
    settle(world)
    assert world.fetches == 1


def test_a_young_snapshot_is_not_fetched_again() -> None:
    """While the snapshot is young there is no traffic, however often somebody asks."""
    world = World(resource(1), max_age=1000).loaded()
    for _ in range(10):
        world.refreshed()
    assert world.fetches == 1


def test_an_old_snapshot_is_replaced() -> None:
    """Who asks when the snapshot is old gets the old one, and those who come later the new one."""
    world = World(resource(1)).loaded()
    world.resources = (resource(2),)
    assert list(world.catalog.snapshot().by_name) == ["1.txt"]
    settle(world)
    assert list(world.catalog.snapshot().by_name) == ["2.txt"]
    settle(world)


def test_nobody_waits_and_one_fetch_at_a_time() -> None:
    """While a refresh hangs everybody is answered from the last snapshot, and no second one begins."""
    world, go = World(resource(1)).loaded(), threading.Event()
    world.before_fetch = lambda: go.wait(PATIENCE)
    for _ in range(20):
        assert list(world.catalog.snapshot().by_name) == ["1.txt"]
    go.set()
    settle(world)
    assert world.fetches == 2


@pytest.mark.warns("the listing could not be refreshed, .*: 503")
def test_a_failing_refresh(caplog: pytest.LogCaptureFixture) -> None:
    """While the API is down the last snapshot goes on, with one warning and a pause between tries."""

    def fail() -> None:
        raise ApiUnavailable("503")

    world = World(resource(1)).loaded()
    world.before_fetch = fail
    for _ in range(10):
        assert list(world.refreshed().by_name) == ["1.txt"]
    assert world.fetches == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert world.changes == []


def test_a_failing_load() -> None:
    """The first listing fails aloud."""

    def fail(*_: object) -> Listing:
        raise ApiUnavailable("503")

    with pytest.raises(ApiUnavailable):
        World().catalog.load(fail, unseen)


def test_changes_are_told() -> None:
    """After a refresh exactly the names that appeared, changed or vanished are told; without any, nothing."""
    world = World(resource(1), resource(2), resource(3), resource(4, "same"), resource(5, "same")).loaded()
    world.refreshed()
    assert world.changes == []
    world.resources = (resource(1, updated_ns=1), resource(3), resource(5, "same"), resource(9))
    world.refreshed()
    assert [sorted(names) for names in world.changes] == [["1.txt", "2.txt", "9.txt", "same", "same (5)"]]


def test_the_directory_changes_when_anything_that_it_shows_does() -> None:
    """Its time begins with the newest date, moves with every visible change, and never goes back."""
    world = World(resource(1, updated_ns=3), resource(2, updated_ns=8)).loaded()
    assert world.catalog.changed_ns == 8
    world.refreshed()
    assert world.catalog.changed_ns == 8
    times = [8]
    for resources in (
        (resource(1, updated_ns=3),),
        (resource(1, updated_ns=3, said=said(description="new")),),
        (resource(1, updated_ns=10**19),),
        (),
    ):
        world.resources = resources
        world.refreshed()
        times.append(world.catalog.changed_ns)
    assert times == sorted(set(times))
    assert times[3] == 10**19
    world.refreshed()
    assert world.catalog.changed_ns == times[-1]


def test_distrust() -> None:
    """A snapshot with which the store disagrees is replaced when somebody asks next, and not before."""
    world = World(resource(1), max_age=1000).loaded()
    world.catalog.distrust(resource(1))
    settle(world)
    assert world.fetches == 1
    world.refreshed()
    world.refreshed()
    assert world.fetches == 2


def test_distrust_while_a_refresh_is_under_way() -> None:
    """A listing that was asked for before the store disagreed does not settle the matter."""
    world = World(resource(1), max_age=1000).loaded()
    asked, go = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        assert go.wait(PATIENCE)

    world.before_answer = hang
    world.catalog.distrust(resource(1))
    world.catalog.snapshot()
    assert asked.wait(PATIENCE)
    world.catalog.distrust(resource(1))
    go.set()
    settle(world)
    world.refreshed()
    assert world.fetches == 3


def test_what_is_in_doubt_is_opened_by_the_next_listing() -> None:
    """By one that is asked for after the store disagreed; other files are opened as they are listed."""
    world = World(resource(1), resource(2), max_age=1000).loaded()
    world.before_fetch = lambda: world.catalog.distrust(resource(1)) if world.fetches == 2 else None
    world.catalog.distrust(resource(1))
    world.resources = (resource(1, updated_ns=5), resource(2, updated_ns=5))
    assert world.opened(2).updated_ns == 0
    assert world.opened(1).updated_ns == 5
    settle(world)
    assert world.fetches == 3


@pytest.mark.warns("the listing could not be refreshed, .*: busy")
def test_what_is_in_doubt_is_opened_as_it_was_where_nothing_better_comes() -> None:
    """A listing that cannot be fetched holds nobody up."""
    world = World(resource(1), max_age=1000).loaded()
    world.resources = (resource(1, updated_ns=5),)

    def fail() -> None:
        raise ApiUnavailable("busy")

    world.before_fetch = fail
    world.catalog.distrust(resource(1))
    assert world.opened(1).updated_ns == 0


def test_unknown_sizes_are_measured_once() -> None:
    """The size that the API does not give is found with the listing, and again only for another version."""
    world = World(resource(1), resource(2, size=None))
    world.sizes[2] = 77
    world.loaded()
    assert world.catalog.changed_ns == 0, "nobody has seen it without a size"
    assert world.refreshed().by_name["2.txt"].size == 77
    assert world.measures == [2]
    world.resources = (resource(2, size=None, updated_ns=5),)
    world.sizes[2] = 78
    assert world.refreshed().by_name["2.txt"].size == 78
    assert world.measures == [2, 2]


@pytest.mark.warns("the size of resource 2 is not known yet: busy")
def test_a_size_that_cannot_be_found(caplog: pytest.LogCaptureFixture) -> None:
    """A file whose size cannot be found is listed all the same, with a warning, and measured when opened."""
    world = World(resource(1), resource(2, size=None), max_age=1000).loaded()
    entry = world.catalog.lookup("2.txt")
    assert (entry.size, entry.is_sized) == (0, False)
    assert ["size of resource 2" in record.message for record in caplog.records] == [True]
    with pytest.raises(StoreUnavailable):
        world.catalog.measure(entry.resource)
    world.sizes[2] = 5
    world.catalog.measure(entry.resource)
    assert world.catalog.lookup("2.txt").size == 5
    before = world.catalog.changed_ns
    assert world.refreshed().by_name["2.txt"].size == 5
    assert world.catalog.changed_ns > before
    assert world.measures == [2, 2, 2]


def test_known_sizes_and_links_are_not_measured() -> None:
    """What has a size, and what has no content, costs no request."""
    world = World(resource(1), resource(2, link=PAGE, size=None)).loaded()
    assert all(each.is_sized for each in world.catalog.snapshot().by_name.values())
    assert world.measures == []


@pytest.mark.warns("the size of resource 2 is not known yet: busy")
def test_one_measurement_for_all_who_open(pool: ThreadPoolExecutor) -> None:
    """However many open a file of unknown size at once, it is measured by one request."""
    world, begun, go = World(resource(2, size=None), max_age=1000), threading.Semaphore(0), threading.Event()
    world.loaded()
    world.sizes[2] = 5
    world.measures.clear()

    def hang() -> None:
        begun.release()
        assert go.wait(PATIENCE)

    world.before_measure = hang
    futures = [pool.submit(world.catalog.measure, resource(2, size=None)) for _ in range(4)]
    assert begun.acquire(timeout=PATIENCE)
    begun.acquire(timeout=0.1)
    go.set()
    assert [future.result(PATIENCE) for future in futures] == [5] * 4
    assert world.catalog.lookup("2.txt").size == 5
    assert world.measures == [2]


def test_measured_again_after_the_store_disagreed() -> None:
    """A measured size that the store contradicts is measured again, though `updated_at` stays the same."""
    world = World(resource(2, size=None), max_age=1000)
    world.sizes[2] = 77
    world.loaded()
    world.sizes[2] = 78
    world.catalog.distrust(resource(1))
    assert world.refreshed().by_name["2.txt"].size == 77, "of another resource"
    world.catalog.distrust(resource(2))
    assert world.refreshed().by_name["2.txt"].size == 78


@pytest.mark.warns("resource 8 and 1 more of the listing cannot be read", "resource 7 cannot be read")
def test_malformed_resources_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A kind of trouble gets one warning that names the first id, and another one when it is back."""
    world = World(resource(1))
    world.malformed = (Malformed(8, "its name"), Malformed(9, "its name"), Malformed(7, "its size"))
    world.loaded().refreshed()
    world.refreshed()
    assert ["resource 8 and 1 more" in record.message for record in caplog.records] == [True, False]
    assert "resource 7 " in caplog.records[1].message
    for malformed in ((Malformed(8, "its name"), Malformed(7, "its size")), (), (Malformed(7, "its size"),)):
        world.malformed = malformed
        world.refreshed()
    assert len(caplog.records) == 3


@pytest.mark.warns("resource 1 and 99 more of the listing cannot be read")
def test_what_cannot_be_read_stays(caplog: pytest.LogCaptureFixture) -> None:
    """Resources that cannot be read any more stay as they were, with one warning, until they are gone."""
    world = World(*map(resource, range(1, 101))).loaded()
    before = world.catalog.latest
    world.resources, world.malformed = (), tuple(Malformed(each, "its size") for each in range(1, 101))
    for _ in range(3):
        assert world.refreshed().changed_since(before) == {}
    assert len(caplog.records) == 1
    assert (world.catalog.known.unreadable, world.catalog.known.kept) == (100, 100)
    world.resources, world.malformed = (resource(1),), (Malformed(2, "its size"),)
    assert list(world.refreshed().by_name) == ["1.txt", "2.txt"]
    world.malformed = ()
    assert list(world.refreshed().by_name) == ["1.txt"]
    assert world.catalog.known.unreadable == 0


@pytest.mark.warns("resource 2 cannot be read")
def test_a_size_that_was_measured_stays() -> None:
    """A resource whose size was measured keeps it, without another request, while it cannot be read."""
    world = World(resource(2, size=None))
    world.sizes[2] = 77
    world.loaded()
    world.resources, world.malformed = (), (Malformed(2, "its name"),)
    assert world.refreshed().by_name["2.txt"].size == 77
    assert world.measures == [2]


def test_a_listing_of_which_nothing_can_be_read() -> None:
    """It is refused at first, and nothing is logged, since whoever mounts is told."""
    world = World()
    world.malformed = (Malformed(8, "its size"),)
    with pytest.raises(SetupError, match="none of the 1 resources"):
        world.loaded()


@pytest.mark.warns("the listing could not be refreshed, .*: the listing is cut short")
def test_a_reload_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Why a reload failed is known until a refresh succeeds, and logged once."""
    world = World(resource(1), max_age=1000).loaded()
    whole = world.fetch

    def cut_short(*_: object) -> Listing:
        return dataclasses.replace(whole(), resources=(), counted=1, listed=0)

    world.catalog._fetch = cut_short
    for _ in range(2):
        with pytest.raises(ApiUnavailable):
            world.catalog.reload().outcome.result(PATIENCE)
    assert "cut short" in world.catalog.failure
    assert list(world.catalog.latest.by_name) == ["1.txt"]
    assert len(caplog.records) == 1
    world.catalog._fetch = whole
    world.catalog.reload().outcome.result(PATIENCE)
    assert world.catalog.failure == ""


def kept(*resources: Resource, age: float = 100, sizes: tuple[MeasuredSize, ...] = ()) -> KeptListing:
    now = time.time() - age
    return KeptListing(Known(shown={each.id: each for each in resources}), sizes, now, now)


def restored(*resources: Resource, world: World | None = None, **fields: Any) -> World:
    """A catalogue that shows what an earlier mount has kept."""
    world = world or World()
    world.catalog.restore(kept(*resources, **fields))
    return world


def test_what_an_earlier_mount_has_kept() -> None:
    """It is shown at once, without a request; and who looks then has the listing fetched."""
    world = restored(resource(1), resource(2), world=World(resource(2), resource(3), max_age=1000))
    assert list(world.catalog.latest.by_name) == ["1.txt", "2.txt"]
    assert world.catalog.age == pytest.approx(100, abs=5)
    assert world.catalog.is_restored
    assert world.catalog.to_keep() is None
    assert world.fetches == 0
    assert list(world.refreshed().by_name) == ["2.txt", "3.txt"]
    assert not world.catalog.is_restored
    assert [set(each) for each in world.changes] == [{"1.txt", "3.txt"}]
    world.refreshed()
    assert world.fetches == 1


@pytest.mark.parametrize("error", [OutOfReach("x.org"), ApiUnavailable("refused")])
def test_out_of_reach_is_not_deleted(error: EmpiricalError, caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked for in vain, no file goes; it was told why when the mount began."""

    def fail() -> None:
        raise error

    world = World(resource(1))
    world.catalog.restore(kept(resource(1)), str(error))
    world.before_fetch = fail
    for _ in range(3):
        assert list(world.refreshed().by_name) == ["1.txt"]
        world.catalog._refreshing.make_due()
    assert world.changes == []
    assert caplog.records == []
    assert world.catalog.failure == str(error)


def test_a_listing_that_is_cut_short_after_a_restart() -> None:
    """It is refused as it would be in the mount that has kept the last one."""
    world = restored(resource(1), resource(2))
    assert world.catalog.known.shown.keys() == {1, 2}
    listing = Listing((resource(1),), (), counted=2, listed=1)
    with pytest.raises(ApiUnavailable, match="cut short"):
        after(listing, world.catalog.known)


def test_what_is_kept() -> None:
    """The last listing of the API, when it was asked for, and sizes from the store; each change is told."""
    told: list[bool] = []
    world = World(resource(1), resource(2, size=None))
    world.catalog = Catalog(world.fetch, world.measure, 0, world.tell, on_listed=told.append)
    world.sizes[2] = 50
    world.loaded()
    assert told == [True, True], "the listing, and a size"
    world.refreshed()
    assert told == [True, True, False]
    world.resources = (resource(1), resource(2, size=None), resource(3))
    world.refreshed()
    assert told == [True, True, False, True]
    found = world.catalog.to_keep()
    assert found is not None
    assert set(found.known.shown) == {1, 2, 3}
    assert found.listed_at == pytest.approx(time.time(), abs=5)
    assert [(each.resource_id, each.size) for each in found.sizes] == [(2, 50)]


def test_sizes_that_were_kept() -> None:
    """A file of which the API does not know the size has its size while the store is out of reach, too."""
    unsized = resource(1, size=None)
    world = restored(unsized, sizes=(MeasuredSize(1, 0, 70, is_final=False),))
    assert world.catalog.lookup("1.txt").size == 70
    assert not world.catalog.is_to_be_measured(unsized)
    world.catalog.find_sizes()
    settle(world)
    assert world.measures == []


def test_sizes_that_are_waited_for_while_the_kernel_is_told() -> None:
    """A look-up that waits for a size ends, though the kernel is told of the change only after that."""
    world = World(resource(1), max_age=1000).loaded()
    world.resources, world.sizes = (resource(1), resource(2, size=None)), {2: 50}
    came: list[bool] = []

    def look(*_: object) -> None:
        asked = threading.Event()
        world.catalog.when_sized(world.catalog.latest.by_name["2.txt"], asked.set)
        came.append(asked.wait(PATIENCE))

    world.on_tell = look
    world.catalog.reload().outcome.result(PATIENCE)
    settle(world)
    assert came[0]
    assert world.catalog.lookup("2.txt").size == 50


@pytest.mark.warns("the size of resource 2 is not known yet: busy")
def test_a_size_that_is_not_found_beside_one_that_is() -> None:
    """Nobody waits any longer for the one that could not be found."""
    world = World(resource(1, size=None), resource(2, size=None), max_age=1000)
    world.sizes = {1: 50}
    world.loaded()
    asked = threading.Event()
    world.catalog.when_sized(world.catalog.latest.by_name["2.txt"], asked.set)
    assert asked.is_set()


def test_sizes_while_the_store_is_out_of_reach(caplog: pytest.LogCaptureFixture) -> None:
    """That was told when the outage began, and nobody waits for them."""

    def fail() -> None:
        raise OutOfReach("x.org")

    world = World()
    world.before_measure = fail
    restored(resource(1, size=None), world=world)
    world.catalog.find_sizes()
    settle(world)
    asked = threading.Event()
    world.catalog.when_sized(world.catalog.latest.by_name["1.txt"], asked.set)
    assert asked.is_set()
    assert caplog.records == []


def handed_listing(*resources: Resource, age: float = 0) -> KeptListing:
    now = time.time() - age
    return KeptListing(Known(shown={each.id: each for each in resources}), (), now, now)


def test_a_listing_of_another_process_is_fetched_again_only_once_somebody_lists() -> None:
    world = World(resource(2), max_age=60)
    assert world.catalog.take_over(handed_listing(resource(1), age=1000))
    assert set(world.catalog.snapshot().resources) == {1}
    assert world.catalog.age > 900
    world.catalog.lookup("1.txt")
    assert world.fetches < 1
    world.catalog.expire()
    world.catalog.snapshot()
    wait_until(lambda: set(world.catalog.latest.resources) == {2}, "the new listing")
    world.catalog.expire()
    world.catalog.snapshot()
    assert world.fetches == 1


def test_a_listing_of_another_process_replaces_an_older_one_alone() -> None:
    world = World(resource(1), max_age=60)
    world.catalog.load(world.fetch, unseen)
    assert not world.catalog.take_over(handed_listing(resource(2), age=5))
    assert not world.catalog.take_over(handed_listing(resource(2)))
    older = World(resource(1), max_age=60)
    assert older.catalog.take_over(handed_listing(resource(1), age=50))
    assert older.catalog.take_over(handed_listing(resource(2)))
    assert older.changes[-1].keys() == {"1.txt", "2.txt"}


def test_a_doubt_about_a_listing_of_another_process_has_it_fetched_again() -> None:
    world = World(resource(1), max_age=60)
    world.catalog.take_over(handed_listing(resource(1), age=10))
    world.catalog.distrust(resource(1))
    world.catalog.snapshot()
    wait_until(lambda: world.fetches == 1, "the new listing")
