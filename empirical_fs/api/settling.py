"""Whether the store may still have the bytes from before a change that the listing shows: pure policy.

A listing may be ahead of the store: for a moment, the store gives the old object for the new version. Whoever
reads just then would keep the old bytes for as long as the kernel keeps pages. So the first answer for a
version that is young is not final: when the listing has been fetched anew, the next open asks the store once
more whether it still has the same object.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource

LAG_SECONDS = 60.0
"""For how long a store may be behind the listing."""

_PAUSE_SECONDS = 5.0
_NANOSECONDS = 10**9


@dataclass(slots=True)
class Settling:
    """Of one version: whether its first answer is final. Not safe between threads; its owner serialises.

    Moments are those of one clock, in seconds.
    """

    young_until: float = float("-inf")
    """Until when the store may lag behind."""
    _asked_at: float | None = None
    """When the store was asked last, if its answer is not final."""
    _not_before: float = float("-inf")
    """When it may be asked again."""

    def answered(self, now: float, *, is_another: bool) -> None:
        """The store has answered; `is_another`, by an object that is not that of the version before."""
        is_final = is_another or now >= self.young_until
        self._asked_at = None if is_final else now
        self._not_before = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether the last answer was final."""
        return self._asked_at is None

    def put_off(self, now: float) -> None:
        """The store is being asked, and may not answer: nobody else asks it for a moment."""
        self._not_before = now + _PAUSE_SECONDS

    def is_put_off(self, now: float) -> bool:
        """Whether nobody else is to ask just now."""
        return now < self._not_before

    def is_to_be_asked(self, listed_at: float, now: float) -> bool:
        """Whether the store is to be asked again, since a listing was fetched at `listed_at`."""
        return self._asked_at is not None and listed_at > self._asked_at and now >= self._not_before


def young(
    resources: Mapping[int, Resource],
    before: Mapping[int, Resource] | None,
    until: Mapping[int, float],
    now: float,
    server_time: float,
) -> dict[int, float]:
    """Until when each resource of a listing is young; those are left out that are not.

    Args:
        resources: the listing by ids, fetched at `now`.
        before: the listing before it; None if it is the first one.
        until: what this function said then.
        now: on the clock of the outcome.
        server_time: the same moment in seconds since the epoch, by the server's clock.
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
