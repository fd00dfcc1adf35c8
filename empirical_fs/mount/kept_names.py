"""The names of what is in a cache without a mount, by the listing that was kept beside it."""

from pathlib import Path

import httpx

from empirical_fs.cache.keys import Listed
from empirical_fs.cache.listing_file import ListingFile
from empirical_fs.cache.survey import Name, Names
from empirical_fs.catalog.snapshot import Snapshot
from empirical_fs.engine.disk_cache import keys_of


def kept_names(folder: Path, api_url: httpx.URL, key: str) -> Names:
    """The files of the last listing that a mount with this key has kept in `folder`; none without one."""
    kept = ListingFile(folder, str(api_url), key).read()
    if kept is None:
        return {}
    key_of = keys_of(api_url, key)
    names = {}
    for entry in Snapshot(kept.known.shown).in_order:
        resource = entry.resource
        if resource.size is not None:
            listed = Listed(resource.size, resource.updated_ns)
            names[key_of(resource).digest] = Name(entry.name, listed)
    return names
