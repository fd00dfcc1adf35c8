"""What the commands do with all of the cache: show, check and remove versions; with or without a mount."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from empirical_fs.cache.folder import Place
from empirical_fs.cache.gate import StuckDisk
from empirical_fs.cache.inspection import Entry
from empirical_fs.cache.keys import Listed
from empirical_fs.cache.store import Store


class Watch(Protocol):
    """Sees how far the work is; each call may raise, to end it."""

    def expect(self, files: int, size: int) -> None:
        """There are so many files to do, with so many bytes."""

    def moved(self, files: int, size: int) -> None:
        """So many more are done."""


@dataclass(frozen=True, slots=True)
class Name:
    """A resource as the listing has it now."""

    name: str
    listed: Listed

    def is_of(self, entry: Entry) -> bool:
        """Whether a version on disk is the one in the listing, as far as can be told from here."""
        return entry.size == self.listed.size and entry.listed in (None, self.listed)


Names = Mapping[str, Name]
"""The files of the listing, by the digests of their keys; without a listing, none."""


def rows(store: Store, names: Names, watch: Watch) -> Iterator[dict[str, Any]]:
    """A row for every version on disk, and for each pinned file of which nothing is there, for `--cached`.

    Raises:
        OSError: the folder cannot be read.
    """
    there = set()
    for entry in store.entries():
        named = names.get(entry.resource)
        if named is not None and named.is_of(entry):
            there.add(entry.resource)
        watch.moved(1, entry.cached_bytes)
        yield {
            "name": None if named is None else named.name,
            "digest": entry.resource,
            "current": named is not None and named.is_of(entry),
            "size": entry.size,
            "cached_bytes": entry.cached_bytes,
            "percent": entry.percent,
            "pinned": entry.is_pinned,
            "last_used": round(entry.last_used),
        }
    for digest in names.keys() - there:
        watch.moved(0, 0)
        if store.pinned(digest):
            yield {
                "name": names[digest].name,
                "digest": digest,
                "current": True,
                "size": names[digest].listed.size,
                "cached_bytes": 0,
                "percent": 0,
                "pinned": True,
                "last_used": 0,
            }


@dataclass(slots=True)
class Checked:
    """What `verify` has found, in blocks of 64 KiB."""

    files: int = 0
    good: int = 0
    damaged: int = 0
    unreadable: int = 0
    """Versions, not blocks: their records are damaged, or cannot be read."""


def verify(store: Store, names: Names, watch: Watch) -> Iterator[dict[str, Any] | Checked]:
    """Check every block on disk: a row for each damaged version, and last of all the counts.

    Raises:
        OSError: the folder cannot be read.
    """
    total = Checked()

    def note_unreadable(place: Place) -> None:
        total.unreadable += 1
        with suppress(OSError):  # the next check tells it again
            store.remove_damaged(place)

    everything = list(store.entries(on_unreadable=note_unreadable))
    watch.expect(len(everything), sum(entry.cached_bytes for entry in everything))
    for entry in everything:
        try:
            found = store.verify(entry, lambda size: watch.moved(0, size))
        except StuckDisk:
            raise
        except OSError:
            continue  # it was evicted meanwhile
        watch.moved(1, 0)
        total.files += 1
        total.good += found.good
        total.damaged += found.damaged
        if found.damaged:
            named = names.get(entry.resource)
            yield {
                "name": None if named is None else named.name,
                "digest": entry.resource,
                "blocks_damaged": found.damaged,
            }
    yield total


def evict(store: Store, resources: set[str], watch: Watch) -> int:
    """Remove all versions of these resources (digests), pinned or not; returns the bytes that are freed.

    Raises:
        OSError: the folder cannot be read, or a file in it not be removed.
    """
    freed = 0
    watch.expect(len(resources), 0)
    for entry in store.entries(resources):
        freed += store.evict(entry)
        watch.moved(0, entry.cached_bytes)
    # A version may be pinned of which nothing is on disk yet.
    for resource in resources:
        with suppress(FileNotFoundError):
            for version in store.pinned(resource):
                store.unpin(resource, version)
        watch.moved(1, 0)
    return freed
