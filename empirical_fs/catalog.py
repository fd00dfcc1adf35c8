"""Names and attributes: a snapshot of the project that is replaced whole."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import EmpiricalError, NoSuchFile
from empirical_fs.listing import Listing
from empirical_fs.probes import is_probe
from empirical_fs.resource import Resource
from empirical_fs.single_flight import SingleFlight
from empirical_fs.snapshot import Entry, Snapshot

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_MEASURED_AT_ONCE = 16
_MEASURE_SECONDS = 60.0
_REFRESH_SECONDS = 600.0
_DOUBT_SECONDS = 2.0

log = logging.getLogger(__name__)


class Catalog:
    """The current snapshot, replaced in the background when whoever asks finds it old.

    The lock guards the snapshot, when it is due, whether a refresh is under way, what is in doubt and the
    sizes found. It is never held during a request, so that nobody who asks waits for the network.
    """

    def __init__(
        self,
        fetch: Callable[[], Listing],
        measure: Callable[[Resource], int],
        max_age: float,
        on_change: Callable[[Mapping[str, Entry | None]], None],
    ) -> None:
        """Make the catalogue; it is empty until `load`.

        Args:
            fetch: fetches the listing; may raise ApiError.
            measure: finds the size in bytes of an upload that the API gave none for; may raise
                EmpiricalError.
            max_age: seconds after which a snapshot is replaced when somebody asks.
            on_change: told the names that appeared, changed or vanished, and what they mean now, after a
                refresh.
        """
        self._fetch = fetch
        self._measure = measure
        self._max_age = max_age
        self._on_change = on_change
        self._lock = threading.Lock()
        self._is_settled = threading.Condition(self._lock)
        """Told when a refresh has brought a snapshot, or has failed."""
        self._doubts: dict[int, float] = {}
        """When the store disagreed with the listing, on the aging clock, by the ids of the resources."""
        self._snapshot = Snapshot({})
        self._due_at = float("-inf")
        self._pause = _FIRST_PAUSE
        self._refreshing = False
        self._is_distrusted = False
        self._measuring = SingleFlight[tuple[int, int], int]()
        self._replacing = SingleFlight[None, float]()
        self._asked_at = float("-inf")
        self._last_failure = ""
        self._warned: set[str] = set()
        self._measured: dict[tuple[int, int], int] = {}

    def load(self, fetch: Callable[[], Listing]) -> None:
        """Take the first snapshot here and now, with `fetch` in place of the usual one.

        Raises:
            ApiError: the listing could not be fetched.
        """
        self._replace(fetch)

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
        # Desktops look for some names again and again, which is no reason to fetch a listing.
        snapshot = self.latest if is_probe(name) else self.snapshot()
        try:
            entry = snapshot.by_name[name]
        except KeyError as error:
            raise NoSuchFile(name) from error
        if entry.is_sized:
            return entry
        return replace(entry, resource=self._as_measured(entry.resource))

    def lookup_to_open(self, name: str) -> Entry:
        """The file of that name; where the store disagreed with the listing on it, by the next listing.

        By the old one it would be opened in vain, or just before it becomes something else. Waits for two
        seconds at most, and only for such a file.

        Raises:
            NoSuchFile: there is none.
        """
        # A refresh that is under way may have been asked for before the store disagreed.
        for _ in range(2):
            entry = self.lookup(name)
            if not self._waited_for_a_listing(entry.resource.id):
                return entry
        return self.lookup(name)

    def _waited_for_a_listing(self, resource_id: int) -> bool:
        with self._is_settled:
            if resource_id not in self._doubts:
                return False
            self._is_settled.wait_for(
                lambda: not self._refreshing or resource_id not in self._doubts, _DOUBT_SECONDS / 2
            )
            return True

    def distrust(self, resource: Resource) -> None:
        """Have the snapshot replaced when somebody asks next: the store disagrees with it on `resource`."""
        with self._lock:
            self._measured.clear()
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
        if self._as_measured(resource).size is None:
            self._with_size(resource)
            self._make_due()

    def _as_measured(self, resource: Resource) -> Resource:
        return replace(resource, size=self._measured.get((resource.id, resource.updated_ns)))

    def _with_size(self, resource: Resource) -> Resource:
        sized = self._as_measured(resource)
        if sized.size is not None:
            return sized
        version = (resource.id, resource.updated_ns)
        limit = Deadline.after(_MEASURE_SECONDS)
        size = self._measuring.do(version, lambda: self._measure(resource), limit)
        self._measured[version] = size
        return replace(resource, size=size)

    def _refresh(self) -> None:
        try:
            self._replacing.do(None, self._replace_and_tell, Deadline.after(_REFRESH_SECONDS))
        except EmpiricalError as error:
            if str(error) != self._last_failure:
                log.warning("the listing could not be refreshed, the last one goes on: %s", error)
            self._last_failure = str(error)
        finally:
            with self._lock:
                self._refreshing = False
                self._is_settled.notify_all()

    def _replace_and_tell(self) -> float:
        """Take a new snapshot; when it was asked for, on the aging clock."""
        changed = self._replace(self._fetch)
        if changed:
            self._on_change(changed)
        return self._asked_at

    def _replace(self, fetch: Callable[[], Listing]) -> Mapping[str, Entry | None]:
        """Take a new snapshot; what changed by it."""
        with self._lock:
            # Until this succeeds, the next try comes after a pause, however this one fails.
            self._due_at = aging_clock() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            self._is_distrusted = False
        asked_at = aging_clock()
        listing = fetch()
        self._warn_once(listing)
        snapshot = Snapshot({resource.id: resource for resource in self._all_sized(listing)})
        with self._lock:
            older, self._snapshot = self._snapshot, snapshot
            self._asked_at = asked_at
            self._doubts = {each: since for each, since in self._doubts.items() if since > asked_at}
            self._is_settled.notify_all()
            # What the store disagreed with meanwhile may still be in this listing.
            self._due_at = aging_clock() if self._is_distrusted else asked_at + self._max_age
            self._pause = _FIRST_PAUSE
            self._last_failure = ""
        return snapshot.changed_since(older)

    def _warn_once(self, listing: Listing) -> None:
        for error in listing.malformed:
            if str(error) not in self._warned:
                self._warned.add(str(error))
                log.warning("%s", error)

    def _all_sized(self, listing: Listing) -> list[Resource]:
        """The resources with the sizes that the API did not give, as far as these can be found."""
        unknown = [each for each in listing.resources if not each.is_sized]
        if not unknown:
            return list(listing.resources)
        with ThreadPoolExecutor(_MEASURED_AT_ONCE, "measure") as pool:
            sized = {resource.id: resource for resource in pool.map(self._sized_or_not, unknown)}
        return [sized.get(resource.id, resource) for resource in listing.resources]

    def _sized_or_not(self, resource: Resource) -> Resource:
        try:
            return self._with_size(resource)
        except EmpiricalError as error:
            log.warning("the size of resource %d is not known yet: %s", resource.id, error)
            return resource
