"""The directory at one moment: its files, their names and attributes."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain

import msgspec
from msgspec.structs import replace

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.names import unique_names
from empirical_fs.catalog.walk_order import WalkOrder
from empirical_fs.timestamps import storable

ROOT_INODE = 1
_FIRST_INODE = ROOT_INODE + 1
_SECOND_NS = 10**9


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file of the directory."""

    name: str
    resource: Resource

    @property
    def inode(self) -> int:
        """The inode number, derived from the id, so that it is the same in every mount."""
        return _FIRST_INODE + self.resource.id

    @property
    def content(self) -> bytes | None:
        """The content of a link, an InternetShortcut file; None for an upload, whose content is stored."""
        if self.resource.link is None:
            return None
        return f"[InternetShortcut]\r\nURL={self.resource.link}\r\n".encode()

    @property
    def is_sized(self) -> bool:
        """Whether the size is known."""
        return self.resource.is_sized

    @property
    def size(self) -> int:
        """The size in bytes; 0 while it is not known."""
        if self.resource.link is None:
            return self.resource.size or 0
        return len(self.content or b"")

    def is_superseded_by(self, now: "Entry | None") -> bool:
        """Whether `now` is another resource or version; a size that is not known yet does not count."""
        if now is None or (self.inode, self.resource.updated_ns) != (now.inode, now.resource.updated_ns):
            return True
        return now.is_sized and (self.size, self.resource.link) != (now.size, now.resource.link)

    def as_said_by(self, now: "Entry") -> "Entry":
        """`now`, the same version, with the size of this entry if `now` has none."""
        if now.is_sized or self.resource.size is None:
            return now
        return replace(now, resource=replace(now.resource, size=self.resource.size))

    def is_shown_as(self, now: "Entry") -> bool:
        """Whether `now` is the same version with the same size, whatever its other details."""
        return self.size == now.size and not self.is_superseded_by(now)


class Snapshot:
    """The directory at one moment; immutable.

    Loops over all files run when it is made, so that later accesses do not wait for them.
    """

    def __init__(self, resources: Mapping[int, Resource], older: "Snapshot | None" = None) -> None:
        """Make the entries of one listing, given by resource id.

        Unchanged entries are taken from `older`, in its order, which saves most of the time.
        """
        before: Mapping[int, Entry] = {} if older is None else older.by_id
        before_by_name: Iterable[Entry] = () if older is None else older.by_name.values()
        entries = []
        for resource_id, name in unique_names(_wanted(before, resources)).items():
            resource, known = resources[resource_id], before.get(resource_id)
            is_known = known is not None and known.resource is resource and known.name == name
            entries.append(known if known is not None and is_known else Entry(name, resource))
        entries.sort(key=_resource_id)
        self.in_order = tuple(entries)
        """Every file in the order of the ids, in which the directory is listed."""
        self.by_id: Mapping[int, Entry] = {entry.resource.id: entry for entry in entries}
        """Every file by the id of its resource."""
        # Almost sorted already, so that the sort, during which no other thread runs, is short.
        named = [each for each in before_by_name if self.by_id.get(each.resource.id) is each]
        named += [each for each in entries if before.get(each.resource.id) is not each]
        named.sort(key=_name)
        self.by_name: Mapping[str, Entry] = {entry.name: entry for entry in named}
        """Every file by name, in the order of the names."""
        self.resources = resources
        self.size = sum(entry.size for entry in entries)
        """The sum of the sizes, in bytes."""
        self.updated_ns = storable(max((entry.resource.updated_ns for entry in entries), default=0))
        """The newest mtime of all files, in nanoseconds since the epoch; 0 for an empty project."""
        self.orders = (self._by_names(), self._by_ids())
        """The ids of the non-empty files, ordered by name and by inode number.

        Programs walk a directory sorted by name, as `ls` and `rsync` do, or in the order of the listing.
        """

    def _by_names(self) -> WalkOrder:
        read = [entry for entry in self.by_name.values() if entry.resource.size]
        return WalkOrder(map(_resource_id, read), tuple(map(_name, read)), partial(_name_in, self.by_id))

    def _by_ids(self) -> WalkOrder:
        ids = array("q", (entry.resource.id for entry in self.in_order if entry.resource.size))
        return WalkOrder(ids, ids, _same)

    def is_of(self, resources: Mapping[int, Resource]) -> bool:
        """Whether this snapshot was made of exactly these resources."""
        ours = self.resources
        return len(ours) == len(resources) and all(ours.get(each) is it for each, it in resources.items())

    def changed_since(self, older: "Snapshot") -> dict[str, Entry | None]:
        """The names whose look differs from `older`, with their current entries; None if deleted.

        The look of a name is all that `stat`, a read of a link file, or an extended attribute shows.
        """
        gone = {name: None for name in older.by_name if name not in self.by_name}
        return gone | {
            name: entry
            for name, entry in self.by_name.items()
            if not _looks_as(older.by_name.get(name), entry)
        }

    def touched_since(self, older: "Snapshot", names: Iterable[str]) -> set[int]:
        """The ids of the resources that have, or had in `older`, one of these names."""
        entries = (snapshot.by_name.get(name) for name in names for snapshot in (older, self))
        return {entry.resource.id for entry in entries if entry is not None}


def directory_time(previous: int | None, newest: int, now: int) -> int:
    """The directory's new mtime after a listing that differs from the one before.

    It is the newest file's mtime if that is later than the previous mtime, else the current time. It is in a
    later whole second than the previous one, so that programs which compare whole seconds notice each change.
    All times are in nanoseconds since the epoch.

    Args:
        previous: the mtime so far; None if there was none.
        newest: the newest `updated_at` of the listing.
        now: the time of this machine's clock, which may have been set back.
    """
    if previous is None:
        return newest
    later = (moment for moment in (newest, now) if moment // _SECOND_NS > previous // _SECOND_NS)
    return next(later, previous + _SECOND_NS)


def _name(entry: Entry) -> str:
    return entry.name


def _resource_id(entry: Entry) -> int:
    return entry.resource.id


def _name_in(by_id: Mapping[int, Entry], resource_id: int) -> str | None:
    entry = by_id.get(resource_id)
    return None if entry is None else entry.name


def _same(resource_id: int) -> int:
    return resource_id


def _wanted(before: Mapping[int, Entry], resources: Mapping[int, Resource]) -> Iterator[tuple[int, str]]:
    """The ids and wanted names of all resources, first those that are in `before`, in its order."""
    for each in chain(
        (each for each in before if each in resources), (each for each in resources if each not in before)
    ):
        resource = resources[each]
        yield each, resource.name if resource.link is None else f"{resource.name}.url"


def _looks_as(before: Entry | None, now: Entry) -> bool:
    if before is None or before is now:
        return before is now
    was, it = before.resource, now.resource
    # The details take longer than all else, and are made from what the API said.
    return _look(before) == _look(now) and (was.said == it.said or was.details == it.details)


def _look(entry: Entry) -> tuple[object, ...]:
    resource = entry.resource
    return resource.id, entry.size, resource.updated_ns, resource.name, resource.link
