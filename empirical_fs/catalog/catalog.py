"""Names and attributes: a snapshot of the project that is replaced whole."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from msgspec.structs import replace

from empirical_fs.api.last_good import Known, after, at_first
from empirical_fs.api.listing import Leisure, Listing, in_a_hurry
from empirical_fs.api.resource import Resource
from empirical_fs.api.settling import young
from empirical_fs.catalog.desktop_probes import is_probe
from empirical_fs.catalog.directory_times import DirectoryTimes
from empirical_fs.catalog.news import News
from empirical_fs.catalog.refresh import Refreshing, Reload
from empirical_fs.catalog.sizes import Measure, Sizes
from empirical_fs.catalog.snapshot import Entry, Snapshot, directory_time
from empirical_fs.clock import aging_clock
from empirical_fs.errors import NoSuchFile
from empirical_fs.work.jobs import Job
from empirical_fs.work.progress import Progress

_HANGS_SECONDS = 600.0

log = logging.getLogger(__name__)

Fetch = Callable[[Mapping[int, Resource], Progress, Leisure], Listing]
"""Fetches the listing, given what is known of the resources by their ids; may raise ApiError."""

_LEISURE = 0.25
"""The share of the age that a listing may reach which the next one may take, where nobody waits for it."""

OnChange = Callable[[Mapping[str, Entry | None], Snapshot, Snapshot], None]
"""Told the names that appeared, changed or vanished, with what they mean now, and both snapshots."""


class Catalog:
    """The current snapshot, replaced in the background when whoever asks finds it old.

    One lock guards the snapshot, what belongs to it, and what is in doubt. It is never held during a request,
    nor while all files are gone through, so that nobody who asks waits. Another one has one snapshot take the
    place of another at a time.
    """

    def __init__(
        self,
        fetch: Fetch,
        measure: Measure,
        max_age: float,
        on_change: OnChange,
        times: DirectoryTimes | None = None,
    ) -> None:
        """Make the catalogue; it is empty until `load`.

        Args:
            fetch: fetches the listing.
            measure: finds the size of an upload that the API gave none for.
            max_age: seconds after which a snapshot is replaced when somebody asks.
            on_change: told after a refresh what is different by it; may wait.
            times: remembers the time of the directory from mount to mount.
        """
        self._fetch = fetch
        self._max_age = max_age
        self._on_change = on_change
        self._lock = threading.Lock()
        self._replacing = threading.Lock()
        self._settling: list[tuple[int, Callable[[], object]]] = []
        """Who is told when a refresh has brought a snapshot, or has failed, and because of which resource."""
        self._young: Mapping[int, float] = {}
        """Until when the store may lag behind the listing, on the aging clock, by the ids."""
        self._doubts: dict[int, float] = {}
        """When the store disagreed with the listing, on the aging clock, by the ids of the resources."""
        self._snapshot = Snapshot({})
        self._known = Known()
        self._news = News()
        self._times = times or DirectoryTimes()
        self._changed_ns: int | None = None
        self._sizes = Sizes(measure)
        self._unsized: list[Resource] = []
        self._measuring = Job("measure", self._measure_unsized, _HANGS_SECONDS)
        self._refreshing = Refreshing(self._refresh, max_age, partial(self._tell_settled, lambda _: True))
        self._asked_at = float("-inf")

    def load(self, fetch: Fetch, progress: Progress) -> None:
        """Take the first snapshot here and now, with `fetch` in place of the usual one.

        Raises:
            ApiError: the listing could not be fetched.
            SetupError: it lists resources, and not one of them can be read.
        """
        asked_at = aging_clock()
        listing = fetch({}, progress, in_a_hurry)
        # Nobody has been told of anything yet.
        self._take(listing, at_first(listing), asked_at, lambda *_: None)
        self._refreshing.loaded(asked_at)

    def find_sizes(self) -> None:
        """Begin to find the sizes that the API did not give, side by side."""
        if self._unsized and not self._measuring.ask():
            self._sizes.find_none(self._unsized)

    def snapshot(self) -> Snapshot:
        """The current snapshot, at once; an old one is replaced in the background."""
        self._refreshing.look()
        return self._snapshot

    def reload(self) -> Reload:
        """Begin to replace the snapshot by a listing that is fetched from now on.

        Raises:
            NoThread: nobody can do that now.
        """
        return self._refreshing.reload()

    @property
    def latest(self) -> Snapshot:
        """The current snapshot, for whoever does not look at the directory: nothing is replaced for it."""
        return self._snapshot

    @property
    def asked_at(self) -> float:
        """When the listing was asked for that the snapshot is made of, on the aging clock."""
        return self._asked_at

    def young_until(self, resource_id: int) -> float:
        """Until when the store may lag behind the listing on a resource, on the aging clock."""
        return self._young.get(resource_id, float("-inf"))

    @property
    def known(self) -> Known:
        """What the current snapshot is made of."""
        return self._known

    @property
    def changed_ns(self) -> int:
        """When what the directory shows changed last, in nanoseconds since the epoch; it never goes back."""
        return self._changed_ns or 0

    @property
    def age(self) -> float:
        """Seconds since the listing was asked for that the snapshot is made of."""
        return aging_clock() - self._asked_at

    @property
    def failure(self) -> str:
        """Why the last refresh failed; empty if it did not."""
        return self._refreshing.failure

    def lookup(self, name: str) -> Entry:
        """The file of that name.

        Raises:
            NoSuchFile: there is none.
        """
        try:
            return self._as_known(self._looked_at(name).by_name[name])
        except KeyError as error:
            raise NoSuchFile(name) from error

    def current(self, entry: Entry) -> Entry | None:
        """What the resource of `entry` is now; None if it is listed no more."""
        found = self._looked_at(entry.name).by_id.get(entry.resource.id)
        return None if found is None else self._as_known(found)

    def is_in_doubt(self, resource_id: int) -> bool:
        """Whether the store disagreed with the listing on a resource, and no newer listing is there yet."""
        return resource_id in self._doubts

    def when_settled(self, resource_id: int, call: Callable[[], object]) -> None:
        """Tell `call` when a refresh has brought a listing without that doubt, or has failed; or at once.

        At once where no refresh is due; else by the thread that refreshes, which it must not hold up.
        """
        with self._lock:
            self._settling.append((resource_id, call))
        if not self._refreshing.ask():
            self._tell_settled(lambda _: True)

    def _looked_at(self, name: str) -> Snapshot:
        # Desktops look for some names again and again, which is no reason to fetch a listing.
        return self.latest if is_probe(name) else self.snapshot()

    def _as_known(self, entry: Entry) -> Entry:
        resource = self._sizes.known(entry.resource)
        return entry if resource is entry.resource else replace(entry, resource=resource)

    def distrust(self, resource: Resource) -> None:
        """Have the snapshot replaced when somebody asks next: the store disagrees with it on `resource`."""
        self._sizes.forget(resource)
        with self._lock:
            self._doubts[resource.id] = aging_clock()
        self._refreshing.make_due()

    def measure(self, resource: Resource) -> None:
        """Find the size of an upload that the API gave none for, for lookups and listings from now on.

        Raises:
            EmpiricalError: the size could not be found.
        """
        if self.is_to_be_measured(resource) and self._sizes.find(resource) != resource.size:
            self._refreshing.make_due()

    def when_sized(self, entry: Entry, call: Callable[[], object]) -> None:
        """Tell `call` when the size of a file that is being asked for is known, or cannot be; or at once."""
        self._sizes.when_asked_for(entry.resource, call)

    def is_to_be_measured(self, resource: Resource) -> bool:
        """Whether the store is to be asked for the size of an upload before it is opened."""
        return self._sizes.is_due(resource, self._asked_at, self.young_until(resource.id))

    def _refresh(self, progress: Progress) -> float:
        """Take a new snapshot; when it was asked for, on the aging clock."""
        asked_at = aging_clock()
        listing = self._fetch(self._known.shown, progress, self._leisure)
        self._take(listing, after(listing, self._known), asked_at, self._on_change)
        self.find_sizes()
        return asked_at

    def _leisure(self) -> float:
        is_waited_for = bool(self._settling) or self._refreshing.is_waited_for
        return 0.0 if is_waited_for else self._max_age * _LEISURE

    def _tell_settled(self, is_settled: Callable[[int], bool]) -> None:
        with self._lock:
            told = [call for resource_id, call in self._settling if is_settled(resource_id)]
            self._settling = [each for each in self._settling if not is_settled(each[0])]
        for call in told:
            call()

    def _take(self, listing: Listing, known: Known, asked_at: float, on_change: OnChange) -> None:
        """Show what is known by a listing that was asked for at that moment of the aging clock."""
        self._say_news(known)
        with self._replacing:
            if asked_at < self._asked_at:
                return  # another one, which was asked for later, was faster
            before = None if self._asked_at == float("-inf") else self._snapshot.resources
            resources, self._unsized = self._sizes.listed(known.shown)
            # What goes through all files is done by now: everybody who looks at the directory takes the lock.
            now_young = young(resources, before, self._young, asked_at, listing.server_time)
            self._show(resources, now_young, asked_at, on_change)
            if resources is known.shown:
                # One mapping of all that is listed, in place of two that are equal.
                known = dataclasses.replace(known, shown=self._snapshot.resources)
            self._known = known

    def _measure_unsized(self) -> None:
        """Find the sizes that the API did not give, and show them."""
        unsized = self._unsized
        if unsized and self._sizes.find_all(unsized, self._measuring.moved):
            with self._replacing:
                resources, self._unsized = self._sizes.listed(self._known.shown)
                self._show(resources, self._young, self._asked_at, self._on_change)

    def _show(
        self,
        resources: Mapping[int, Resource],
        now_young: Mapping[int, float],
        asked_at: float,
        on_change: OnChange,
    ) -> None:
        """Have a snapshot of these resources take the place of the last one. `_replacing` is held."""
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
        with self._lock:
            # In this order: who has seen the new time does not find the old files.
            self._snapshot = newer
            self._changed_ns = changed_ns
            self._young = now_young
            self._asked_at = asked_at
            self._doubts = {each: since for each, since in self._doubts.items() if since > asked_at}
        self._tell_settled(lambda resource_id: resource_id not in self._doubts)
        if changed:
            on_change(changed, older, newer)

    def _was_awaited(self, before: Entry | None, now: Entry | None) -> bool:
        """Whether `now` is `before` with the size that everybody waited for who looked at it."""
        if before is None or now is None or before.is_sized or self._sizes.has_failed(before.resource):
            return False
        return replace(now.resource, size=None) == before.resource

    def _say_news(self, known: Known) -> None:
        before = self._known.troubles
        for kind, trouble in known.troubles.items():
            if kind not in before and self._news.is_news(kind):
                log.warning("%s", trouble)
        if before and not known.troubles:
            log.info("the listing is well again")
