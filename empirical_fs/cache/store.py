"""The cache of one process: finds versions on disk, and opens them."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.cached import Cached
from empirical_fs.cache.closer import Closer
from empirical_fs.cache.disk_io import Io
from empirical_fs.cache.files import Files
from empirical_fs.cache.folder import RECORD, Folder, Place
from empirical_fs.cache.gate import After, Gate, GatedIo, StuckDisk
from empirical_fs.cache.inspection import Entry, Verified, entries, evict, pinned, verify
from empirical_fs.cache.keys import Identity, Listed, ResourceKey
from empirical_fs.cache.record import Note, Origin, Unusable
from empirical_fs.cache.reservations import Reservations
from empirical_fs.cache.scan import resource_folders
from empirical_fs.cache.tallies import Counts, Tallies
from empirical_fs.cache.upkeep import Chore
from empirical_fs.cache.verified_files import VerifiedFiles
from empirical_fs.cache.version_files import open_files, read_header, remove_files
from empirical_fs.cache.writer import Runtime, Writer
from empirical_fs.clock import aging_clock
from empirical_fs.work.jobs import Job

log = logging.getLogger(__name__)

_QUEUE = 32 * 2**20
"""Bytes that may wait to be written."""
_LINGER = 1.0
_VERSIONS = 64
"""How many versions of one resource are looked at."""


def in_a_thread(name: str, work: Callable[[], object]) -> Job:
    """A job with a thread of its own, which is left alone however long the disk takes."""
    return Job(name, work, patience=float("inf"))


@dataclass(frozen=True, slots=True)
class System:
    """What a store uses of the system; tests use something else."""

    io: Io = field(default_factory=Io)
    runtime: Runtime = field(default_factory=lambda: Runtime(in_a_thread, aging_clock, _LINGER))
    """How the writer works; its clock counts suspend."""


@dataclass(frozen=True, slots=True)
class State:
    """How the cache is, for people who ask."""

    used: int | None
    """Bytes on disk, by all processes; None before the first scan."""
    reserved: int
    """Bytes that processes may write without asking again, and have not written yet."""
    limit: int
    paused: str | None
    """Why nothing is written at the moment; None if that is not so."""
    counts: Counts


class Store:
    """The cache of one process.

    The lock guards the table of open versions and their references; nothing else is done under it, but to
    remember that one was verified.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        queue: int = _QUEUE,
        system: System | None = None,
    ) -> None:
        """Check the folder, or create it; nothing in it is read yet.

        Args:
            folder: where the cache is kept.
            limits: what it may take.
            queue: the most bytes that may wait to be written.
            system: what to use of the system; None for the real one.

        Raises:
            SetupError: the folder cannot be used, or others could write to it.
        """
        system = system or System()
        self.gate = Gate()
        closer = Closer(system.io.close, system.runtime.make_job, system.runtime.linger)
        self.io: Io = GatedIo(system.io, self.gate, closer)
        self.folder = Folder(folder, self.io)
        self.tallies = Tallies()
        self._limits = limits
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Cached] = {}
        self._clock = system.runtime.clock
        self._verified = VerifiedFiles(system.runtime.clock)
        self._has_told_damage = False
        self._reservations = Reservations(
            self.folder, self.io, limits, self._is_open, system.runtime.clock, self.tallies
        )
        self._writer = Writer(self, self._reservations, queue, system.runtime)

    @property
    def state(self) -> State:
        """How the cache is now."""
        used, reserved = self._reservations.used, self._reservations.reserved
        return State(
            used=None if used is None else max(used.bytes - reserved.bytes, 0),
            reserved=reserved.bytes,
            limit=self._limits.size,
            paused=str(StuckDisk().strerror) if self.gate.is_closed else self._writer.paused,
            counts=self.tallies.counts,
        )

    def start(self, after: After | None = None) -> None:
        """Begin to write; call it after the process has forked. Before, blocks are not taken.

        By `after`, a disk that does not answer is noticed in time; without it, only by who comes next.
        """
        if after is not None:
            self.gate.start(after, str(self.folder.path))
        self._writer.start()

    def drain(self, seconds: float) -> bool:
        """Wait until everything handed over is written or dropped; False if `seconds` were not enough."""
        return self._writer.drain(seconds)

    def close(self, seconds: float = 2.0) -> None:
        """Write what waits, for up to `seconds`, and forget the rest."""
        is_idle = self._writer.drain(0 if self.gate.is_closed else seconds)
        self._writer.stop()
        if is_idle and self._writer.drain(0):
            self._writer.give_back(seconds)

    def listed(self, key: ResourceKey, listed: Listed) -> Cached | None:
        """The version of a resource that was last seen listed as `listed`; None if it is not on disk.

        The caller closes it.
        """
        found = list[tuple[int, Place]]()
        try:
            for place, (origin, note) in self._headers(key):
                if note.listed == listed and origin.size == listed.size:
                    found.append((note.noted_ns, place))
        except OSError:
            return None
        if not found:
            return None
        place = max(found, key=lambda each: each[0])[1]
        files = self._files(place)
        if not isinstance(files, Files):
            return None
        identity = files.origin.identity
        cached = self._share(Cached(self, place, identity, files.note.validators, files))
        cached.describe({}, listed)
        return cached

    def has_strong(self, key: ResourceKey, size: int) -> bool:
        """Whether a version of a resource with that size is on disk that a strong ETag identifies."""
        try:
            origins = [origin for _, (origin, _) in self._headers(key)]
        except OSError:
            return False
        return any(each.size == size and each.identity.is_strong for each in origins)

    def _headers(self, key: ResourceKey) -> Iterator[tuple[Place, tuple[Origin, Note]]]:
        """What the records of a resource's versions say.

        Raises:
            OSError: the disk does not say.
        """
        names = self.io.names(self.folder.resource(key.digest))
        for name in [each for each in names if each.endswith(RECORD)][:_VERSIONS]:
            place = self.folder.place(key.digest, name.removesuffix(RECORD))
            header = read_header(self.io, place)
            if isinstance(header, tuple):
                yield place, header

    def version(self, key: ResourceKey, identity: Identity, validators: Mapping[str, str | None]) -> Cached:
        """A version, whether it is on disk or not: its files are made when the first block is written.

        The caller closes it.

        Args:
            key: the resource.
            identity: what tells the version from others.
            validators: `etag`, `version_id` and `last_modified` of the answer that brought its first bytes.
        """
        place = self.folder.place(key.digest, identity.digest)
        with self._lock:
            cached = self._open.get((place.resource, place.version))
            if cached is not None and cached.suits(validators):
                cached.references += 1
            else:
                cached = None
        if cached is None:
            files = self._files(place)
            is_other = isinstance(files, Files) and not (identity.is_strong or files.note.fits(validators))
            if isinstance(files, Files) and not is_other:
                merged = files.note.with_validators(validators).validators
                cached = Cached(self, place, identity, merged, files)
                if merged != files.note.validators:
                    self.put_chore(cached, Chore.NOTE)
            else:
                cached = Cached(self, place, identity, validators, None)
                cached.replaces = is_other
            cached = self._share(cached)
        cached.describe(validators)
        return cached

    def entries(
        self,
        resources: Iterable[str] | None = None,
        on_unreadable: Callable[[Place], object] = lambda _: None,
    ) -> Iterator[Entry]:
        """All versions on disk, or those of some resources (digests), but none of another release's format.

        `on_unreadable` is called for each version whose record is damaged or cannot be read.

        Raises:
            OSError: the folder cannot be read.
        """
        return entries(self.folder, self.io, resources, on_unreadable)

    def verify(self, entry: Entry, progress: Callable[[int], object] = lambda _: None) -> Verified:
        """Check every block of a version; `progress` is called with the bytes of each step.

        Raises:
            OSError: the record cannot be read.
        """
        found = verify(self.folder, self.io, entry, progress)
        cached = self._open.get((entry.resource, entry.version))
        if found.damaged and cached is not None:
            cached.distrust()
        return found

    def evict(self, entry: Entry) -> int:
        """Remove a version, pinned or not; returns the bytes that are freed.

        Raises:
            OSError: that cannot be done.
        """
        freed = evict(self.folder, self.io, entry)
        self._forget(entry)
        return freed.bytes

    def remove_damaged(self, place: Place) -> None:
        """Remove the files of a version, if its record is damaged.

        Raises:
            OSError: that cannot be done.
        """
        if open_files(self.io, place) is Unusable.DAMAGED:
            remove_files(self.io, place)
            self._reservations.is_outdated = True

    def remove_outdated(self, entry: Entry) -> None:
        """Remove a version that the object store no longer has; a pin stays, as `Cached.discard` says.

        Raises:
            OSError: that cannot be done.
        """
        remove_files(self.io, self.folder.place(entry.resource, entry.version))
        self._forget(entry)

    def pinned(self, resource: str) -> set[str]:
        """The digests of the versions of a resource (its digest) that are pinned.

        Raises:
            OSError: the disk does not say.
        """
        return pinned(self.folder, self.io, resource)

    def all_pinned(self) -> set[str]:
        """The digests of the resources of which a version is pinned.

        Raises:
            OSError: the disk does not say.
        """
        found = (resource for resource, _ in resource_folders(self.folder, self.io))
        return {resource for resource in found if self.pinned(resource)}

    def unpin(self, resource: str, version: str) -> None:
        """Let a version be evicted again, by the digests of both.

        Raises:
            OSError: that cannot be recorded.
        """
        with suppress(FileNotFoundError):
            self.io.unlink(self.folder.place(resource, version).pin)

    @property
    def room_in_queue(self) -> int:
        """How many bytes may be handed over now without being dropped."""
        return self._writer.room

    def is_full_for(self, *, is_pinned: bool) -> bool:
        """Whether there is no room at the moment for a version that is pinned or not, but soon may be."""
        return self._writer.is_full_for(is_pinned=is_pinned)

    def is_to_write(self, cached: Cached) -> bool:
        """Whether something that was handed over for a version is not on the disk yet."""
        return self._writer.is_to_write(cached)

    # What follows is for the versions that are open.

    def put_block(self, cached: Cached, block: int, data: bytes | memoryview) -> bool:
        """Have a block written; False if it will not be."""
        return self._writer.put_block(cached, block, data)

    def put_drop(self, cached: Cached, block: int) -> None:
        """Have a block recorded as absent."""
        self._writer.put_drop(cached, block)

    def put_chore(self, cached: Cached, chore: Chore) -> None:
        """Have something small done."""
        self._writer.put_chore(cached, chore)

    def retain(self, cached: Cached) -> None:
        """Give another reference."""
        with self._lock:
            cached.references += 1

    def release(self, cached: Cached) -> None:
        """Take back a reference; the files are closed with the last one."""
        with self._lock:
            cached.references -= 1
            is_last = cached.references == 0
            if is_last and self._open.get(_key(cached)) is cached:
                del self._open[_key(cached)]
                files = cached.files
                if files is not None and files.stamp is not None and files.blocks.are_verified:
                    self._verified.note(_key(cached), files.stamp, files.since)
        if is_last:
            cached.finish()

    def _recall(self, files: Files) -> None:
        """Note whether the files, which have just been opened, were verified by this process lately."""
        files.since = self._clock()
        stamp = files.stamp
        since = self._verified.since((files.place.resource, files.place.version), stamp)
        if since is not None and stamp is not None:
            files.since = since
            files.blocks.take_for_verified(stamp.shown)

    def _forget(self, entry: Entry) -> None:
        """Note that the files of a version were removed."""
        self._reservations.is_outdated = True
        cached = self._open.get((entry.resource, entry.version))
        if cached is not None:
            cached.adopt(None)

    def _is_open(self, resource: str, version: str) -> bool:
        return (resource, version) in self._open

    def _share(self, cached: Cached) -> Cached:
        """Put a version into the table, or give the one that is there, if it has the same bytes."""
        with self._lock:
            there = self._open.get(_key(cached))
            if there is not None and there.suits(cached.validators):
                there.references += 1
                return there
            self._open[_key(cached)] = cached
        if there is not None:
            there.detach()
        return cached

    def _files(self, place: Place) -> Files | Unusable | None:
        """The files of a version; None if there are none that can be read now."""
        try:
            found = open_files(self.io, place)
        except OSError as error:
            log.debug("%s cannot be opened: %s", place.record, error)
            return None
        if found is Unusable.DAMAGED:
            self.tallies.damaged()
            if not self._has_told_damage:
                self._has_told_damage = True
                log.warning("%s in the cache is damaged; its file is fetched again", place.record)
        if isinstance(found, Files):
            self._recall(found)
        return found


def _key(cached: Cached) -> tuple[str, str]:
    return cached.place.resource, cached.place.version
