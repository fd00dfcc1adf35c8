"""Gets the first listing, from the API or from disk, and has later ones kept on disk."""

import time
from collections.abc import Callable

from empirical_fs.api.client import Api
from empirical_fs.cache.listing_file import Keeper, ListingFile
from empirical_fs.cache.listing_format import KeptListing
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.errors import ApiUnavailable, DeadlinePassed, EmpiricalError, SetupError
from empirical_fs.settings.settings import ProjectSettings

_FIRST_LISTING_SECONDS, _WITH_A_KEPT_ONE_SECONDS = 10.0, 5.0
"""How long the start waits for a page: less if there is another listing to start from."""

Load = Callable[[float], None]
"""Fetches the first listing, waiting so many seconds for each page; raises as `Catalog.load`."""
Tell = Callable[[str], object]
"""Shows the user a line, and logs it."""


class Listings:
    """Where the listing comes from, and where it is kept.

    One thread begins and closes it; any thread may call `listed`.
    """

    def __init__(self, settings: ProjectSettings) -> None:
        """Read and write nothing yet."""
        self._settings = settings
        self._file: ListingFile | None = None
        self._keeper: Keeper | None = None
        if settings.cache is not None:
            self._file = ListingFile(settings.cache.folder, str(settings.api_url), settings.key)

    def begin(self, catalog: Catalog, api: Api, load: Load, tell: Tell) -> None:
        """Give the catalogue its first listing; `tell` is called if it is one that was kept on disk.

        Raises:
            ApiError: the API gave none, and none is kept.
            SetupError: the user wants to start offline, and none is kept; or as `Catalog.load`.
        """
        if self._file is None:
            load(min(_FIRST_LISTING_SECONDS, self._settings.timeout))
            return
        self._keeper = Keeper(self._file, catalog.to_keep)
        if self._settings.offline:
            listing = self._file.read()
            if listing is None and self._file.is_there:
                raise SetupError(
                    f"the listing of this project in {self._file.folder} is damaged or cannot be read",
                    advice="mount once with the cache and without --offline, which keeps a new one",
                )
            if listing is None:
                raise SetupError(
                    f"there is no listing of this project in {self._file.folder} to start from offline",
                    advice="mount once with the cache and without --offline, where the API can be reached",
                )
            _restore(catalog, api, listing)
            tell(f"offline: this is {_named(listing)}; what is not on disk can be read once the API answers")
            return
        patience = _WITH_A_KEPT_ONE_SECONDS if self._file.is_there else _FIRST_LISTING_SECONDS
        try:
            load(min(patience, self._settings.timeout))
        except (ApiUnavailable, DeadlinePassed) as error:
            listing = self._file.read()
            if listing is None:
                raise
            _restore(catalog, api, listing, error)
            tell(f"offline, as the API cannot be reached ({error.what}): this is {_named(listing)}")

    def listed(self, is_news: bool) -> None:  # noqa: FBT001 - as `catalog.OnListed` has it
        """Have the listing kept on disk."""
        if self._keeper is not None:
            self._keeper.listed(is_news=is_news)

    def close(self) -> None:
        """Keep what was not kept yet."""
        if self._keeper is not None:
            self._keeper.close()


def _restore(catalog: Catalog, api: Api, listing: KeptListing, error: EmpiricalError | None = None) -> None:
    api.presume_lost()
    catalog.restore(listing, "" if error is None else str(error))


def _named(listing: KeptListing) -> str:
    return f"the listing of {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(listing.listed_at))}"
