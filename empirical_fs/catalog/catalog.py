"""The current snapshot of the project, and its refreshes."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from empirical_fs.api.last_good import Known, after, at_first
from empirical_fs.api.listing import Leisure, Listing, in_a_hurry
from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import young
from empirical_fs.cache.listing_format import KeptListing
from empirical_fs.catalog.desktop_probes import is_probe
from empirical_fs.catalog.directory_times import DirectoryTimes
from empirical_fs.catalog.doubts import Doubts
from empirical_fs.catalog.listing_to_keep import Listed, ListingToKeep, OnListed, nothing
from empirical_fs.catalog.log_limit import LogLimit
from empirical_fs.catalog.refresh import Refreshing, Reload
from empirical_fs.catalog.sizes import Measure, Sizes
from empirical_fs.catalog.snapshot import Entry, Snapshot, directory_time
from empirical_fs.clock import aging_clock
from empirical_fs.errors import NoSuchFile
from empirical_fs.work.jobs import Job
from empirical_fs.work.progress import Progress

_HANGS_SECONDS = 600.0
_NEWER_SECONDS = 1.0
"""By so much must a listing of another process be newer: the clocks that tell are not quite the same."""
_LOOKUP_TO_ANSWER_SECONDS = 1.0
"""As a rule, a request is answered at most this long after the kernel has looked up its name."""

log = logging.getLogger(__name__)

Fetch = Callable[[Mapping[int, Resource], Progress, Leisure], Listing]
"""Fetches the listing, given the resources of the previous one by id; may raise ApiError."""

_LEISURE = 0.25
"""The share of `max_age` that a refresh may take if no caller waits for it."""

OnChange = Callable[[Mapping[str, Entry | None], Snapshot, Snapshot], None]
"""Called with the changed names and their new entries (None: deleted), the old and the new snapshot."""


class Catalog:
    """Holds the current snapshot; a caller that finds it old starts a refresh in the background.

    `_replacing` lets one thread at a time replace the snapshot. Readers take no lock, so that they never wait
    for a request or for a loop over all files: each attribute is replaced in one step.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it asks, and whom it tells
        self,
        fetch: Fetch,
        measure: Measure,
        max_age: float,
        on_change: OnChange,
        times: DirectoryTimes | None = None,
        on_listed: OnListed = nothing,
    ) -> None:
        """Start empty; `load` fetches the first snapshot, or `restore` takes one of an earlier mount.

        Args:
            fetch: fetches the listing.
            measure: finds the size of an upload for which the API gave none.
            max_age: a snapshot older than this many seconds is refreshed on the next access.
            on_change: called after a refresh with the changes; may block.
            times: remembers the directory's modification time from mount to mount.
            on_listed: called after each listing; must not block.
        """
        self._fetch = fetch
        self._max_age = max_age
        self._on_change = on_change
        self._replacing = threading.Lock()
        self._doubts = Doubts()
        self._young: Mapping[int, float] = {}
        """Until when the store may lag behind the listing, on the aging clock, by resource id."""
        self._snapshot = Snapshot({})
        self._known = Known()
        self._log_limit = LogLimit()
        self._times = times or DirectoryTimes()
        self._changed_ns: int | None = None
        self._sizes = Sizes(measure)
        self._to_keep = ListingToKeep(self._sizes, on_listed)
        self.to_keep = self._to_keep.to_keep
        self._unsized: list[Resource] = []
        self._measuring = Job("measure", self._measure_unsized, _HANGS_SECONDS)
        self._refreshing = Refreshing(self._refresh, max_age, self._doubts.give_up)
        self._asked_at = float("-inf")
        self._telling_until = float("-inf")

    def load(self, fetch: Fetch, progress: Progress) -> None:
        """Fetch the first snapshot in this thread, with `fetch` in place of the usual function.

        Raises:
            ApiError: the listing could not be fetched.
            SetupError: it lists resources, and none of them can be read.
        """
        asked_at = aging_clock()
        listing = fetch({}, progress, in_a_hurry)
        # No program has seen a file yet, so there is no change to report.
        self._take(at_first(listing), asked_at, listing.server_time, lambda *_: None)
        self._refreshing.loaded(asked_at)

    def restore(self, kept: KeptListing, failure: str = "") -> None:
        """Show the listing of an earlier mount, until the API answers with another one.

        `failure` is why the first listing could not be fetched, if that was tried.
        """
        age = max(time.time() - kept.listed_at, 0.0)
        asked_at = aging_clock() - age
        self._sizes.restore(kept.sizes)
        with self._replacing:
            self._replace(kept.known, asked_at, kept.server_time, lambda *_: None)
        self._refreshing.restored(failure)

    def take_over(self, kept: KeptListing) -> bool:
        """Show a listing that another process has just fetched; False if the one that is shown is as new.

        It goes on being shown until `expire` is called, or the store turns out to disagree with it.
        """
        age = max(time.time() - kept.listed_at, 0.0)
        asked_at = aging_clock() - age
        with self._replacing:
            if asked_at < self._asked_at + _NEWER_SECONDS:
                return False
            self._sizes.restore(kept.sizes)
            self._replace(kept.known, asked_at, kept.server_time, self._on_change)
            self._refreshing.handed_over()
            return True

    def expire(self) -> None:
        """Have the next access fetch a listing, if the one that is shown was taken over."""
        self._refreshing.expire()

    @property
    def is_restored(self) -> bool:
        """Whether the snapshot is that of an earlier mount: the API has given no listing yet."""
        return not self._to_keep.has_listed

    def find_sizes(self) -> None:
        """Start to find the sizes that the API did not give, in parallel, in the background."""
        if self._unsized and not self._measuring.ask():
            self._sizes.find_none(self._unsized)

    def snapshot(self) -> Snapshot:
        """The current snapshot, without waiting; if it is old, a refresh starts in the background."""
        self._refreshing.look()
        return self._snapshot

    def reload(self) -> Reload:
        """Start a refresh whose listing is fetched from now on.

        Raises:
            NoThread: no thread can be started.
        """
        return self._refreshing.reload()

    @property
    def latest(self) -> Snapshot:
        """The current snapshot, without starting a refresh."""
        return self._snapshot

    @property
    def asked_at(self) -> float:
        """When the request for the snapshot's listing was made, on the aging clock."""
        return self._asked_at

    def young_until(self, resource_id: int) -> float:
        """Until when the store may lag behind the listing for a resource, on the aging clock."""
        return self._young.get(resource_id, float("-inf"))

    @property
    def known(self) -> Known:
        """The state of the project after the last listing, from which the snapshot is made."""
        return self._known

    @property
    def changed_ns(self) -> int:
        """The directory's mtime, in nanoseconds since the epoch; it never decreases."""
        return self._changed_ns or 0

    @property
    def age(self) -> float:
        """Seconds since the request for the snapshot's listing was made."""
        return aging_clock() - self._asked_at

    @property
    def is_telling(self) -> bool:
        """Whether a request may come by a name that the current snapshot no longer has.

        That is so while `on_change` runs, which tells the kernel, and a moment longer: the kernel may have
        looked the name up before, and its request is answered after.
        """
        return aging_clock() < self._telling_until

    @property
    def failure(self) -> str:
        """Why the last refresh failed; empty if it succeeded."""
        return self._refreshing.failure

    def lookup(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            NoSuchFile: there is no such file.
        """
        try:
            return self._as_known(self._looked_at(name).by_name[name])
        except KeyError as error:
            raise NoSuchFile(name) from error

    def current(self, entry: Entry) -> Entry | None:
        """The current entry of the resource of `entry`; None if it is no longer listed."""
        found = self._looked_at(entry.name).by_id.get(entry.resource.id)
        return None if found is None else self._as_known(found)

    def is_in_doubt(self, resource_id: int) -> bool:
        """Whether the store disagreed with the listing about a resource since the last listing."""
        return resource_id in self._doubts

    def when_settled(self, resource_id: int, call: Callable[[], object]) -> None:
        """Call `call` when a refresh has brought a listing without that doubt, or has ended otherwise.

        The refreshing thread calls it, so it must not block. If no refresh is due or can start, it is called
        at once.
        """
        self._doubts.wait(resource_id, call)
        if not self._refreshing.ask():
            self._doubts.give_up()

    def _looked_at(self, name: str) -> Snapshot:
        # Desktops look up some names again and again; that must not cause a refresh.
        return self.latest if is_probe(name) else self.snapshot()

    def _as_known(self, entry: Entry) -> Entry:
        resource = self._sizes.known(entry.resource)
        return entry if resource is entry.resource else replace(entry, resource=resource)

    def distrust(self, resource: Resource) -> None:
        """Record that the store disagrees about `resource`; the next access starts a refresh."""
        self._sizes.forget(resource)
        self._doubts.add(resource.id)
        self._refreshing.make_due()

    def measure(self, resource: Resource) -> int:
        """Find the size of an upload for which the API gave none; look-ups and listings show it from now on.

        Returns the size in bytes.

        Raises:
            EmpiricalError: the size could not be found.
        """
        if not self.is_to_be_measured(resource):
            return self._sizes.known(resource).size or 0
        size = self._sizes.find(resource)
        self._to_keep.measured()
        if size != resource.size:
            self._refreshing.make_due()
        return size

    def when_sized(self, entry: Entry, call: Callable[[], object]) -> None:
        """Call `call` once the size that is being measured is known, or cannot be; else at once."""
        self._sizes.when_asked_for(entry.resource, call)

    def is_to_be_measured(self, resource: Resource) -> bool:
        """Whether to ask the store for the size of an upload before it is opened."""
        return self._sizes.is_due(resource, self._asked_at, self.young_until(resource.id))

    def _refresh(self, progress: Progress) -> float:
        """Fetch a new snapshot; returns the time of the request on the aging clock."""
        asked_at = aging_clock()
        listing = self._fetch(self._known.shown, progress, self._leisure)
        self._take(after(listing, self._known), asked_at, listing.server_time, self._on_refreshed)
        return asked_at

    def _on_refreshed(self, changed: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        # In this order: a look-up may wait for a size, and until that ends the kernel is told of no change.
        self.find_sizes()
        self._tell(changed, older, newer)

    def _tell(self, changed: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        if changed:
            self._on_change(changed, older, newer)

    def _leisure(self) -> float:
        is_waited_for = self._doubts.is_waited_for or self._refreshing.is_waited_for
        return 0.0 if is_waited_for else self._max_age * _LEISURE

    def _take(self, known: Known, asked_at: float, server_time: float, on_shown: OnChange) -> None:
        """Show the state after a listing that was requested at `asked_at` (aging clock).

        `on_shown` is called once it is shown, also if nothing has changed.
        """
        self._log_troubles(known)
        with self._replacing:
            if asked_at < self._asked_at:
                return  # a listing that was requested later is already shown
            self._replace(known, asked_at, server_time, on_shown)
            self._to_keep.listed(Listed(self._known, asked_at, server_time))

    def _replace(self, known: Known, asked_at: float, server_time: float, on_shown: OnChange) -> None:
        """Show this state. The caller holds `_replacing`."""
        before = None if self._asked_at == float("-inf") else self._snapshot.resources
        resources, self._unsized = self._sizes.listed(known.shown)
        self._sizes.expect(self._unsized)
        now_young = young(resources, before, self._young, asked_at, server_time)
        self._show(resources, now_young, asked_at, on_shown)
        if resources is known.shown:
            # Share one mapping of all resources, to save the memory of an equal one.
            known = dataclasses.replace(known, shown=self._snapshot.resources)
        self._known = known

    def _measure_unsized(self) -> None:
        """Find the sizes that the API did not give, and show them."""
        unsized = self._unsized
        if unsized and self._sizes.find_all(unsized, self._measuring.moved):
            with self._replacing:
                resources, self._unsized = self._sizes.listed(self._known.shown)
                self._show(resources, self._young, self._asked_at, self._tell)
                self._to_keep.measured()

    def _show(
        self,
        resources: Mapping[int, Resource],
        now_young: Mapping[int, float],
        asked_at: float,
        on_shown: OnChange,
    ) -> None:
        """Replace the snapshot by one of these resources. The caller holds `_replacing`."""
        older = self._snapshot
        newer = older if older.is_of(resources) else Snapshot(resources, older)
        changed = {} if newer is older else newer.changed_since(older)
        changed_ns = self._changed_ns
        if changed_ns is None:
            changed_ns = self._times.begin(newer.by_name.values(), newer.updated_ns, time.time_ns())
        elif changed:
            if any(not self._was_awaited(older.by_name.get(name), now) for name, now in changed.items()):
                changed_ns = directory_time(changed_ns, newer.updated_ns, time.time_ns())
            self._times.changed(((older.by_name.get(name), now) for name, now in changed.items()), changed_ns)
        # In this order: a program that sees the new mtime must not find the old files.
        self._telling_until = float("inf") if changed else self._telling_until
        self._snapshot = newer
        self._changed_ns = changed_ns
        self._young = now_young
        self._asked_at = asked_at
        self._doubts.drop_before(asked_at)
        self._doubts.settle()
        try:
            on_shown(changed, older, newer)
        finally:
            self._telling_until = (
                aging_clock() + _LOOKUP_TO_ANSWER_SECONDS if changed else self._telling_until
            )

    def _was_awaited(self, before: Entry | None, now: Entry | None) -> bool:
        """Whether `now` is `before` with its size; look-ups waited for that, so no program saw `before`."""
        if before is None or now is None or before.is_sized or self._sizes.has_failed(before.resource):
            return False
        return replace(now.resource, size=None) == before.resource

    def _log_troubles(self, known: Known) -> None:
        before = self._known.troubles
        for kind, trouble in known.troubles.items():
            if kind not in before and self._log_limit.allows(kind):
                log.warning("%s", trouble)
        if before and not known.troubles:
            log.info("the listing is correct again")
