"""One page of the listing, after it has been checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Malformed, Resource

PER_PAGE = 100
"""Resources per page: the API's maximum (seeds/list-resources.txt)."""
IN_FLIGHT = 8
"""How many requests to the API may be under way at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the listing."""

    resources: tuple[Resource, ...]
    ids: tuple[int | None, ...]
    """The ids of all entries in order, also malformed and not uploaded ones; None for an unreadable id."""
    malformed: tuple[Malformed, ...]
    urls: Mapping[int, str]
    """The signed URLs by resource id, unchecked; also those of malformed entries."""
    total: int | None
    """How many entries the listing has by the API's own count; None if it does not say."""
    total_pages: int | None
    """How many pages the listing has by the API's own count; None if it does not say."""
    server_time: float | None
    """The server's time of the answer in seconds since the epoch; None if it does not say."""
    per_page: int = PER_PAGE
    """How many entries a full page has: as the API says, else as it was asked for."""
    is_numbered: bool = True
    """Whether the API says that this is the page that was asked for."""

    @property
    def last_number(self) -> int | None:
        """The number of the last page by the API's own counts; None if it gives none."""
        if self.total_pages is None and self.total is not None:
            return math.ceil(self.total / self.per_page)
        return self.total_pages
