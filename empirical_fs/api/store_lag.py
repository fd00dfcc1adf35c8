"""Decides whether the store may still serve the old bytes of a changed resource. Policy without I/O.

The listing may be ahead of the store: for a moment, the store serves the old object for the new version. A
program that reads in that moment would see the old bytes for as long as the kernel caches the pages. So the
first answer for a young version is not final: after the next listing, the next open asks the store once more
whether it still has the same object.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource

LAG_SECONDS = 60.0
"""For how many seconds a store may lag behind the listing."""

_PAUSE_SECONDS = 5.0
_NANOSECONDS = 10**9


@dataclass(slots=True)
class StoreLag:
    """Whether the store's first answer for one version is final. Not thread-safe: the owner holds a lock.

    All times are of one clock, in seconds.
    """

    young_until: float = float("-inf")
    """Until when the store may lag behind."""
    _asked_at: float | None = None
    """When the store was asked last; None if its answer is final."""
    _not_before: float = float("-inf")
    """When it may be asked again."""

    def answered(self, now: float, *, is_another: bool) -> None:
        """Record the store's answer; `is_another`: the object is not that of the previous version."""
        is_final = is_another or now >= self.young_until
        self._asked_at = None if is_final else now
        self._not_before = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether the last answer was final."""
        return self._asked_at is None

    def put_off(self, now: float) -> None:
        """Record that the store is being asked; as it may not answer, others wait before they ask, too."""
        self._not_before = now + _PAUSE_SECONDS

    def is_put_off(self, now: float) -> bool:
        """Whether another caller is asking the store just now, so that this one must not."""
        return now < self._not_before

    def is_to_be_asked(self, listed_at: float, now: float) -> bool:
        """Whether to ask the store again, given that the last listing was fetched at `listed_at`."""
        return self._asked_at is not None and listed_at > self._asked_at and now >= self._not_before


def young(
    resources: Mapping[int, Resource],
    before: Mapping[int, Resource] | None,
    until: Mapping[int, float],
    now: float,
    server_time: float,
) -> dict[int, float]:
    """Until when each young resource of a listing stays young; other resources are left out.

    Args:
        resources: the listing by id, fetched at `now`.
        before: the previous listing; None if this is the first one.
        until: what this function returned for the previous listing.
        now: in seconds of the clock that the result uses, too.
        server_time: the same time in seconds since the epoch, by the server's clock.
    """
    if before is None:
        ages = {each.id: server_time - each.updated_ns / _NANOSECONDS for each in resources.values()}
        return {each: now + LAG_SECONDS - max(age, 0.0) for each, age in ages.items() if age < LAG_SECONDS}
    still = {each: end for each, end in until.items() if end > now and each in resources}
    changed = (
        each
        for each, resource in resources.items()
        if each in before
        and (before[each].updated_ns, before[each].size) != (resource.updated_ns, resource.size)
    )
    return still | dict.fromkeys(changed, now + LAG_SECONDS)
