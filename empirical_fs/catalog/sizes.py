"""Asks the store for the sizes that the API does not give."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.cache.listing_format import MeasuredSize
from empirical_fs.clock import Deadline, aging_clock
from empirical_fs.errors import EmpiricalError, OutOfReach
from empirical_fs.single_flight import SingleFlight
from empirical_fs.work.parallel import in_parallel

_AT_ONCE = 32
_LONG_AGO = 0.0
"""A time on the aging clock."""
_WAIT_SECONDS = 60.0

_Version = tuple[int, int]

log = logging.getLogger(__name__)


Measure = Callable[[Resource], tuple[int, bool]]
"""Finds the size of an upload in bytes, and whether it certainly belongs to the listed version.

It may raise EmpiricalError.
"""


@dataclass(frozen=True, slots=True)
class _Found:
    """A size in bytes from the store, and when the store was asked; infinite if the size is final."""

    size: int
    at: float


class Sizes:
    """The sizes of uploads for which the API gives none, or 0, which may mean that it does not know.

    The lock guards the callbacks. The tables of found and failed sizes need none: each access is one
    operation on a dictionary or a set, which Python makes atomic.
    """

    def __init__(self, measure: Measure, clock: Callable[[], float] = aging_clock) -> None:
        """Start without any size; `clock` gives seconds."""
        self._measure = measure
        self._measuring = SingleFlight[_Version, tuple[int, bool]]()
        self._clock = clock
        self._found: dict[_Version, _Found] = {}
        self._lock = threading.Lock()
        self._expected: dict[_Version, list[Callable[[], object]]] = {}
        """Callbacks for each size that is about to be measured, called when that has ended."""
        self.news = 0
        """How often a new size was found; it may count too few where threads meet."""
        self._failed: set[_Version] = set()
        self._has_failed = False

    def is_due(self, resource: Resource, listed_at: float, young_until: float) -> bool:
        """Whether to ask the store for the size of an upload that is about to be opened.

        It is asked once per version. For a young version, for which it may lag behind the listing until
        `young_until`, it is asked once more after each listing; the last one was fetched at `listed_at`.
        """
        found = self._found.get(_version(resource))
        if found is None:
            return not resource.size and resource.link is None
        return found.at < min(listed_at, young_until)

    def known(self, resource: Resource) -> Resource:
        """The resource with its latest size from the store, if it has been measured; else unchanged."""
        found = self._found.get(_version(resource))
        if found is None or resource.link is not None or resource.size == found.size:
            return resource
        return replace(resource, size=found.size)

    def find(self, resource: Resource) -> int:
        """Ask the store for the size of an upload in bytes, and remember it.

        Raises:
            EmpiricalError: the size could not be found.
        """
        version, limit, now = _version(resource), Deadline.after(_WAIT_SECONDS), self._clock()
        size, is_final = self._measuring.do(version, lambda: self._measure(resource), limit)
        before = self._found.get(version)
        self._found[version] = _Found(size, math.inf if is_final else now)
        self.news += before is None or before.size != size
        return size

    def listed(self, resources: Mapping[int, Resource]) -> tuple[Mapping[int, Resource], list[Resource]]:
        """The listed resources with all known sizes, and the list of those that `find_all` must measure.

        A listed size of 0 is not measured there, but when the file is opened.
        """
        self._forget_all_but(resources)
        if not self._found and all(each.is_sized for each in resources.values()):
            return resources, []
        sized = {resource_id: self.known(each) for resource_id, each in resources.items()}
        return sized, [each for each in sized.values() if not each.is_sized]

    def expect(self, unknown: Iterable[Resource]) -> None:
        """Have `when_asked_for` wait for these sizes, which `find_all` or `find_none` is to be called for."""
        with self._lock:
            for each in unknown:
                self._expected.setdefault(_version(each), [])

    def find_all(self, unknown: Sequence[Resource], moved: Callable[[], object]) -> bool:
        """Ask the store for sizes in parallel; returns whether any was found. Calls `moved` after each."""
        failures = []
        try:
            for failure in in_parallel(self._failure, unknown, _AT_ONCE):
                moved()
                if failure is not None:
                    failures.append(failure)
        finally:
            self.find_none(unknown)
        # That a server is out of reach was logged when the outage began.
        told = [each for each in failures if not isinstance(each[1], OutOfReach)]
        if told and not self._has_failed:
            (resource, error), others = told[0], len(told) - 1
            more = f" and {others} more" if others else ""
            log.warning("the size of resource %d%s is not known yet: %s", resource.id, more, error)
        self._has_failed = bool(told)
        return len(failures) < len(unknown)

    def find_none(self, unknown: Sequence[Resource]) -> None:
        """Give up measuring these sizes, and call their callbacks."""
        for each in unknown:
            self._is_asked_for(each)

    def has_failed(self, resource: Resource) -> bool:
        """Whether measuring the size has failed once, so that the file was shown without a size."""
        return _version(resource) in self._failed

    def when_asked_for(self, resource: Resource, call: Callable[[], object]) -> None:
        """Call `call` when the pending measurement of a size has ended; at once if none is pending."""
        with self._lock:
            waiting = self._expected.get(_version(resource))
            if waiting is not None:
                waiting.append(call)
                return
        call()

    def _is_asked_for(self, resource: Resource) -> None:
        with self._lock:
            waiting = self._expected.pop(_version(resource), [])
        for call in waiting:
            call()

    def forget(self, resource: Resource) -> None:
        """Forget a size, so that the store is asked again."""
        self._found.pop(_version(resource), None)

    def _forget_all_but(self, resources: Mapping[int, Resource]) -> None:
        """Forget the versions that are not listed any more, or for which the API now gives a size."""
        for version in [*self._found, *self._failed]:
            listed = resources.get(version[0])
            if listed is None or listed.size or _version(listed) != version:
                self._found.pop(version, None)
                self._failed.discard(version)

    def found(self) -> tuple[MeasuredSize, ...]:
        """All sizes from the store, to be kept on disk."""
        return tuple(
            MeasuredSize(resource_id, updated_ns, found.size, math.isinf(found.at))
            for (resource_id, updated_ns), found in list(self._found.items())
        )

    def restore(self, sizes: Iterable[MeasuredSize]) -> None:
        """Take the sizes that were kept on disk, as answers of long ago."""
        for each in sizes:
            found = _Found(each.size, math.inf if each.is_final else _LONG_AGO)
            self._found[each.resource_id, each.updated_ns] = found

    def _failure(self, resource: Resource) -> tuple[Resource, EmpiricalError] | None:
        try:
            self.find(resource)
        except EmpiricalError as error:
            self._failed.add(_version(resource))
            return resource, error.with_traceback(None)
        finally:
            self._is_asked_for(resource)
        return None


def _version(resource: Resource) -> _Version:
    return resource.id, resource.updated_ns
