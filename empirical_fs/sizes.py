"""Sizes that the API does not give: the store is asked for them."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from empirical_fs.clock import Deadline
from empirical_fs.errors import EmpiricalError
from empirical_fs.news import News
from empirical_fs.resource import Resource
from empirical_fs.single_flight import SingleFlight

_AT_ONCE = 16
_WAIT_SECONDS = 60.0

_Version = tuple[int, int]

log = logging.getLogger(__name__)


class Sizes:
    """The sizes of uploads for which the API gives none, or 0, which may stand for one that it does not know.

    No lock: each step is one operation on a dictionary, which Python serialises.
    """

    def __init__(self, measure: Callable[[Resource], int]) -> None:
        """Know none yet; `measure` finds the size of an upload in bytes, and may raise EmpiricalError."""
        self._measure = measure
        self._measuring = SingleFlight[_Version, int]()
        self._found: dict[_Version, int] = {}
        self._news = News()

    def has(self, resource: Resource) -> bool:
        """Whether the store has said how large this version of an upload is."""
        return _version(resource) in self._found

    def known(self, resource: Resource) -> Resource:
        """The resource with the size that the store has said, if only that knows it."""
        if resource.size or resource.link is not None:
            return resource
        return replace(resource, size=self._found.get(_version(resource), resource.size))

    def find(self, resource: Resource) -> Resource:
        """The same; the store is asked unless it has said it before.

        Raises:
            EmpiricalError: the size could not be found.
        """
        if not self.has(resource):
            version, limit = _version(resource), Deadline.after(_WAIT_SECONDS)
            self._found[version] = self._measuring.do(version, lambda: self._measure(resource), limit)
        return self.known(resource)

    def find_all(self, resources: Mapping[int, Resource]) -> Mapping[int, Resource]:
        """All that is listed, with the sizes that the API did not give, as far as these can be found.

        A listed size of 0 is not asked for here: it is when the file is opened.
        """
        self._forget_all_but(resources)
        sized = {resource_id: self.known(each) for resource_id, each in resources.items()}
        unknown = [each for each in sized.values() if not each.is_sized]
        if unknown:
            with ThreadPoolExecutor(_AT_ONCE, "measure") as pool:
                failures = [each for each in pool.map(self._failure, unknown) if each is not None]
            sized |= {each.id: self.known(each) for each in unknown}
            if failures and self._news.is_news("unknown"):
                (resource, error), others = failures[0], len(failures) - 1
                more = f" and {others} more" if others else ""
                log.warning("the size of resource %d%s is not known yet: %s", resource.id, more, error)
        return sized

    def forget(self, resource: Resource) -> None:
        """Have the store asked again."""
        self._found.pop(_version(resource), None)

    def _forget_all_but(self, resources: Mapping[int, Resource]) -> None:
        for version in list(self._found):
            listed = resources.get(version[0])
            if listed is None or _version(listed) != version:
                self._found.pop(version, None)

    def _failure(self, resource: Resource) -> tuple[Resource, str] | None:
        try:
            self.find(resource)
        except EmpiricalError as error:
            return resource, str(error)
        return None


def _version(resource: Resource) -> _Version:
    return resource.id, resource.updated_ns
