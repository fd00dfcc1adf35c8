"""Names and attributes: a snapshot of the project that is replaced whole."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import EmpiricalError, NoSuchFile
from empirical_fs.last_good import Known, after, at_first
from empirical_fs.listing import Listing
from empirical_fs.news import News
from empirical_fs.probes import is_probe
from empirical_fs.resource import Resource
from empirical_fs.settling import young
from empirical_fs.single_flight import SingleFlight
from empirical_fs.sizes import Measure, Sizes
from empirical_fs.snapshot import Entry, Snapshot, directory_time

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_REFRESH_SECONDS = 600.0

log = logging.getLogger(__name__)


OnChange = Callable[[Mapping[str, Entry | None], Snapshot, Snapshot], None]
"""Told the names that appeared, changed or vanished, with what they mean now, and both snapshots."""


class Catalog:
    """The current snapshot, replaced in the background when whoever asks finds it old.

    The lock guards the snapshot and when the directory changed, when the next snapshot is due, whether a
    refresh is under way, and what is in doubt. It is never held during a request, so that nobody who asks
    waits for the network.
    """

    def __init__(
        self,
        fetch: Callable[[], Listing],
        measure: Measure,
        max_age: float,
        on_change: OnChange,
    ) -> None:
        """Make the catalogue; it is empty until `load`.

        Args:
            fetch: fetches the listing; may raise ApiError.
            measure: finds the size of an upload that the API gave none for.
            max_age: seconds after which a snapshot is replaced when somebody asks.
            on_change: told after a refresh what is different by it; may wait.
        """
        self._fetch = fetch
        self._max_age = max_age
        self._on_change = on_change
        self._lock = threading.Lock()
        self._settling: list[tuple[int, Callable[[], object]]] = []
        """Who is told when a refresh has brought a snapshot, or has failed, and because of which resource."""
        self._young: Mapping[int, float] = {}
        """Until when the store may lag behind the listing, on the aging clock, by the ids."""
        self._doubts: dict[int, float] = {}
        """When the store disagreed with the listing, on the aging clock, by the ids of the resources."""
        self._snapshot = Snapshot({})
        self._known = Known()
        self._news = News()
        self._changed_ns: int | None = None
        self._due_at = float("-inf")
        self._pause = _FIRST_PAUSE
        self._refreshing = False
        self._is_distrusted = False
        self._sizes = Sizes(measure)
        self._replacing = SingleFlight[None, float]()
        self._asked_at = float("-inf")
        self._last_failure = ""

    def load(self, fetch: Callable[[], Listing]) -> None:
        """Take the first snapshot here and now, with `fetch` in place of the usual one.

        Raises:
            ApiError: the listing could not be fetched.
            SetupError: it lists resources, and not one of them can be read.
        """
        self._replace(fetch, at_first)

    def snapshot(self) -> Snapshot:
        """The current snapshot, at once; an old one is replaced in the background."""
        with self._lock:
            snapshot = self._snapshot
            due = not self._refreshing and aging_clock() >= self._due_at
            if due:
                self._refreshing = True
        if due:
            threading.Thread(target=self._refresh, name="refresh", daemon=True).start()
        return snapshot

    def reload(self, patience: float) -> None:
        """Replace the snapshot now by a listing that is fetched from now on.

        Must not be called from a callback of libfuse, as what is told of changes must not.

        Raises:
            ApiError: it could not be fetched.
            DeadlinePassed: not within `patience` seconds.
        """
        limit = Deadline.after(patience)
        begun = aging_clock()
        # One that is under way already may have seen the project before it was changed.
        while self._replacing.do(None, self._replace_and_tell, limit) < begun:
            limit.remaining()

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
        return self._last_failure

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

        At once where no refresh runs; else by the thread that refreshes, which it must not hold up.
        """
        self.snapshot()
        with self._lock:
            if self._refreshing and resource_id in self._doubts:
                self._settling.append((resource_id, call))
                return
        call()

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
        self._make_due()

    def _make_due(self) -> None:
        with self._lock:
            self._is_distrusted = True
            self._due_at = min(self._due_at, aging_clock())

    def measure(self, resource: Resource) -> None:
        """Find the size of an upload that the API gave none for, for lookups and listings from now on.

        Raises:
            EmpiricalError: the size could not be found.
        """
        if self.is_to_be_measured(resource) and self._sizes.find(resource) != resource.size:
            self._make_due()

    def is_to_be_measured(self, resource: Resource) -> bool:
        """Whether the store is to be asked for the size of an upload before it is opened."""
        return self._sizes.is_due(resource, self._asked_at, self.young_until(resource.id))

    def _refresh(self) -> None:
        try:
            self._replacing.do(None, self._replace_and_tell, Deadline.after(_REFRESH_SECONDS))
        except EmpiricalError as error:
            self._failed(error)
        finally:
            with self._lock:
                self._refreshing = False
            self._tell_settled(lambda _: True)

    def _replace_and_tell(self) -> float:
        """Take a new snapshot; when it was asked for, on the aging clock."""
        older = self.latest
        try:
            changed = self._replace(self._fetch, lambda listing: after(listing, self._known))
        except EmpiricalError as error:
            self._failed(error)
            raise
        self._tell_settled(lambda resource_id: resource_id not in self._doubts)
        if changed:
            self._on_change(changed, older, self.latest)
        return self._asked_at

    def _failed(self, error: EmpiricalError) -> None:
        if str(error) != self._last_failure:
            log.warning("the listing could not be refreshed, the last one goes on: %s", error)
        self._last_failure = str(error)

    def _tell_settled(self, is_settled: Callable[[int], bool]) -> None:
        with self._lock:
            told = [call for resource_id, call in self._settling if is_settled(resource_id)]
            self._settling = [each for each in self._settling if not is_settled(each[0])]
        for call in told:
            call()

    def _replace(
        self, fetch: Callable[[], Listing], learn: Callable[[Listing], Known]
    ) -> Mapping[str, Entry | None]:
        """Take a new snapshot of what `learn` makes of the listing; what changed by it."""
        with self._lock:
            # Until this succeeds, the next try comes after a pause, however this one fails.
            self._due_at = aging_clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._is_distrusted = False
        asked_at = aging_clock()
        listing = fetch()
        known = learn(listing)
        self._say_news(known)
        snapshot = Snapshot(self._sizes.find_all(known.shown))
        older, newest_ns = self._snapshot, snapshot.updated_ns
        changed = snapshot.changed_since(older)
        before = None if self._asked_at == float("-inf") else older.resources
        now_young = young(snapshot.resources, before, self._young, asked_at, listing.server_time)
        # What goes through all files is done by now: everybody who looks at the directory takes this lock.
        with self._lock:
            # In this order: who has seen the new time does not find the old files.
            self._snapshot = snapshot
            if changed or self._changed_ns is None:
                self._changed_ns = directory_time(self._changed_ns, newest_ns, time.time_ns())
            self._young = now_young
            self._known = known
            self._asked_at = asked_at
            self._doubts = {each: since for each, since in self._doubts.items() if since > asked_at}
            # What the store disagreed with meanwhile may still be in this listing.
            self._due_at = aging_clock() if self._is_distrusted else asked_at + self._max_age
            self._pause = _FIRST_PAUSE
            self._last_failure = ""
        return changed

    def _say_news(self, known: Known) -> None:
        before = self._known.troubles
        for kind, trouble in known.troubles.items():
            if kind not in before and self._news.is_news(kind):
                log.warning("%s", trouble)
        if before and not known.troubles:
            log.info("the listing is well again")
