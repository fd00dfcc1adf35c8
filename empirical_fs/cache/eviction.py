"""Chooses what is removed from the cache first. No I/O."""

import heapq
from dataclasses import dataclass

KEPT = 16 * 2**10
"""How many of the least recently used versions are remembered from a scan: 3 MB; then a new scan is due."""
FRESH_NS = 60 * 10**9
"""What any process used within this time is not evicted: readers that do not fit beside each other would
evict each other's blocks in turns."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may be evicted."""

    resource: str
    """The digest of its resource."""
    version: str
    """The digest of its identity."""


class LeastRecent:
    """The versions of a scan that were used longest ago. Not thread-safe."""

    def __init__(self, most: int = KEPT) -> None:
        """Remember up to `most`."""
        self._most = most
        self._recent_first: list[tuple[int, str, str]] = []
        self._order: list[tuple[int, str, str]] | None = None

    def add(self, resource: str, version: str, used_ns: int) -> None:
        """Note a version of the scan, last used at `used_ns`; call it before `next`."""
        found = (-used_ns, resource, version)
        if len(self._recent_first) < self._most:
            heapq.heappush(self._recent_first, found)
        else:
            heapq.heappushpop(self._recent_first, found)

    def next(self) -> Candidate | None:
        """Take the one that was used longest ago; None after the last."""
        if self._order is None:
            self._order = sorted(self._recent_first)  # the most recent first, so that pop() gives the oldest
            self._recent_first = []
        if not self._order:
            return None
        _, resource, version = self._order.pop()
        return Candidate(resource, version)


def may_go(*, used_ns: int, now_ns: int, is_open: bool, is_pinned: bool, for_pinned: bool) -> bool:
    """Whether a version may be evicted at `now_ns` that was last used at `used_ns` (one clock).

    `for_pinned`: it makes room for a pinned version, which the user wants more than what was just used.
    """
    return not (is_open or is_pinned or (used_ns > now_ns - FRESH_NS and not for_pinned))
