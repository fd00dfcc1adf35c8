"""What a page of the listing is, once it has been checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Malformed, Resource

PER_PAGE = 100
"""Resources a page; the most that the API allows (seeds/list-resources.txt)."""
IN_FLIGHT = 8
"""Requests to the API under way at once, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the listing."""

    resources: tuple[Resource, ...]
    ids: tuple[int | None, ...]
    """The id of every entry as listed, malformed and not uploaded ones too; None where it has none."""
    malformed: tuple[Malformed, ...]
    urls: Mapping[int, str]
    """The signed URLs by the ids of their resources, unchecked; those of malformed entries too."""
    total: int | None
    """How many entries there are by the API's own count; None where it does not say."""
    total_pages: int | None
    """How many pages, in the same way."""
    server_time: float | None
    """The server's clock as it answered, in seconds since the epoch, if it said."""
    per_page: int = PER_PAGE
    """How many entries a full page has, by the API's own word or as it was asked for."""
    is_numbered: bool = True
    """Whether the API says that it is the page that was asked for."""

    @property
    def last_number(self) -> int | None:
        """The number of the last page by the API's own counts; None where it has none."""
        if self.total_pages is None and self.total is not None:
            return math.ceil(self.total / self.per_page)
        return self.total_pages
