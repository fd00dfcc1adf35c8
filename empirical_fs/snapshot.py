"""The directory as it was at one moment: its files, their names and attributes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from empirical_fs.names import unique_names
from empirical_fs.resource import Resource

ROOT_INODE = 1
_FIRST_INODE = ROOT_INODE + 1
_SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the directory."""

    name: str
    resource: Resource

    @property
    def inode(self) -> int:
        """The inode number: made from the id, so that it is the same from mount to mount."""
        return _FIRST_INODE + self.resource.id

    @property
    def content(self) -> bytes | None:
        """The whole content where it is not in the store: the InternetShortcut of a link."""
        if self.resource.link is None:
            return None
        return f"[InternetShortcut]\r\nURL={self.resource.link}\r\n".encode()

    @property
    def is_sized(self) -> bool:
        """Whether the size is known."""
        return self.resource.is_sized

    @property
    def size(self) -> int:
        """Bytes; 0 while it is not known."""
        content = self.content
        return (self.resource.size or 0) if content is None else len(content)

    def is_superseded_by(self, now: "Entry | None") -> bool:
        """Whether `now` is another resource or version; a size that is only not known yet makes none."""
        if now is None or (self.inode, self.resource.updated_ns) != (now.inode, now.resource.updated_ns):
            return True
        return now.is_sized and (self.size, self.resource.link) != (now.size, now.resource.link)

    def as_said_by(self, now: "Entry") -> "Entry":
        """This version as `now` has it, with the size that was known already if `now` has none."""
        if now.is_sized or self.resource.size is None:
            return now
        return replace(now, resource=replace(now.resource, size=self.resource.size))

    def is_shown_as(self, now: "Entry") -> bool:
        """Whether `now` is the same version with the same attributes, whatever else is said of it."""
        return self.size == now.size and not self.is_superseded_by(now)


class Snapshot:
    """The directory as it was at one moment; immutable."""

    def __init__(self, resources: Mapping[int, Resource]) -> None:
        """Name the resources of one listing, given by their ids."""
        wanted = (
            (resource.id, resource.name if resource.link is None else f"{resource.name}.url")
            for resource in resources.values()
        )
        entries = (Entry(name, resources[resource_id]) for resource_id, name in unique_names(wanted).items())
        self.by_name: Mapping[str, Entry] = {
            entry.name: entry for entry in sorted(entries, key=lambda entry: entry.name)
        }
        """Every file by its name, in the order of the names."""
        self.resources = resources

    @cached_property
    def by_id(self) -> Mapping[int, Entry]:
        """Every file by the id of its resource."""
        return {entry.resource.id: entry for entry in self.by_name.values()}

    @cached_property
    def in_order(self) -> tuple[Entry, ...]:
        """Every file, in the order of the ids, which does not change while it is listed."""
        return tuple(sorted(self.by_name.values(), key=lambda entry: entry.resource.id))

    @cached_property
    def size(self) -> int:
        """The sum of the sizes, in bytes."""
        return sum(entry.size for entry in self.by_name.values())

    @cached_property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """The ids of the files that have content, by their names and by their inode numbers.

        Programs sort a directory by name, as `ls` and `rsync` do, or go through it as it is listed.
        """
        by_name = [entry.resource.id for entry in self.by_name.values() if entry.resource.size]
        return tuple(by_name), tuple(sorted(by_name))

    @cached_property
    def updated_ns(self) -> int:
        """The newest `updated_at`, in nanoseconds since the epoch; 0 for an empty project."""
        return max((entry.resource.updated_ns for entry in self.by_name.values()), default=0)

    def changed_since(self, older: "Snapshot") -> dict[str, Entry | None]:
        """The names that do not look as in `older`, with what they mean now; None if nothing.

        All that `stat`, a read of a link file or an extended attribute shows counts as the look of a name.
        """
        return {
            name: self.by_name.get(name)
            for name in older.by_name.keys() | self.by_name.keys()
            if _look(older.by_name.get(name)) != _look(self.by_name.get(name))
        }

    def touched_since(self, older: "Snapshot", names: Iterable[str]) -> set[int]:
        """The ids of the resources that have, or had in `older`, one of these names."""
        entries = (snapshot.by_name.get(name) for name in names for snapshot in (older, self))
        return {entry.resource.id for entry in entries if entry is not None}


def directory_time(previous: int | None, newest: int, now: int) -> int:
    """When the directory changed, for its mtime, after a listing that differs from the one before.

    It is that of the newest file if the directory has not shown that yet, else that of now. It exceeds the
    previous time by a second of the calendar at least, so that programs which see whole seconds only notice
    each change. All are in nanoseconds since the epoch.

    Args:
        previous: what was shown so far; None where nothing was.
        newest: the newest `updated_at` of the listing.
        now: what the clock of the machine says, which may have been set back.
    """
    if previous is None:
        return newest
    later = (moment for moment in (newest, now) if moment // _SECOND_NS > previous // _SECOND_NS)
    return next(later, previous + _SECOND_NS)


def _look(entry: Entry | None) -> tuple[object, ...] | None:
    if entry is None:
        return None
    resource = entry.resource
    return resource.id, entry.size, resource.updated_ns, resource.name, resource.link, resource.details
