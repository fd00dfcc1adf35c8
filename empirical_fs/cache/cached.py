"""One version of one resource in the cache: what is there, reading it, handing over blocks."""

import errno
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from empirical_fs.cache.block_states import VERIFIED
from empirical_fs.cache.files import Files
from empirical_fs.cache.folder import Place
from empirical_fs.cache.gate import StuckDisk
from empirical_fs.cache.keys import Identity, Listed
from empirical_fs.cache.record import ABSENT, BLOCK, LARGEST, Note, block_size, count_blocks
from empirical_fs.cache.upkeep import Chore, Upkeep, Validators

log = logging.getLogger(__name__)

_TOUCH_SECONDS = 20.0
"""Seconds after which it is written down again that a version is in use."""
_AT_ONCE = 16
"""Blocks that are read and verified at once."""
_ENTRIES = 4096
"""Checksums that are read at once."""


class Cached:
    """One version of one resource. Any thread may call anything.

    Every reference that the store has given is ended by one `close`. The lock guards what is known of the
    version: the validators, the listing, the files. No system call is made while it is held.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        place: Place,
        identity: Identity,
        validators: Validators,
        files: Files | None,
    ) -> None:
        """Use `files`; None if there are none yet.

        Args:
            upkeep: the store.
            place: where the files are or will be.
            identity: what tells the version from others.
            validators: those that the store sent with the bytes.
            files: the open files.
        """
        self.place = place
        self.identity = identity
        self.references = 1
        """Guarded by the lock of the store."""
        self.replaces = False
        """Whether the files on disk are of other bytes, and must be removed before new ones are made."""
        self._upkeep = upkeep
        self._lock = threading.Lock()
        self._validators = dict(validators)
        self._listed: Listed | None = None
        self._files = files
        self._lent: list[Files] = []
        self._is_off = not 0 < identity.size <= LARGEST
        self._is_orphan = False
        self._has_told = False
        self.is_ordered = False
        """Whether this process has pinned it: it goes before what was only used."""
        self._complete_to = 0
        self._touched_at = float("-inf")

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self.identity.size

    @property
    def validators(self) -> dict[str, str | None]:
        """The validators of these bytes: those of the first answer, replaced by those of later ones."""
        with self._lock:
            return dict(self._validators)

    @property
    def listed_as(self) -> Listed | None:
        """How the listing describes the version, as far as this process knows."""
        return self._listed

    @property
    def files(self) -> Files | None:
        """The open files; None if there are none, or if they are left alone."""
        return None if self._is_off else self._files

    @property
    def may_write(self) -> bool:
        """Whether blocks are taken."""
        return not (self._is_off or self._is_orphan)

    @property
    def percent(self) -> int:
        """How much is there, rounded down; 100 only if everything is."""
        if not self.size:
            return 100
        blocks, there, files = count_blocks(self.size), 0, self.files
        if files is None:
            return 0
        with suppress(OSError):
            for first in range(0, blocks, _ENTRIES):
                count = min(_ENTRIES, blocks - first)
                there += count - files.entries(first, count).count(ABSENT)
        return there * 100 // blocks

    @property
    def is_complete(self) -> bool:
        """Whether every block is there, or claimed to be."""
        reached = self.stored(self._complete_to, self.size)
        self._complete_to = reached // BLOCK * BLOCK if reached < self.size else reached
        return reached >= self.size

    @property
    def is_verified(self) -> bool:
        """Whether this process has verified every block."""
        files = self.files
        return not self.size or (files is not None and files.blocks.are_verified)

    @property
    def is_pinned(self) -> bool:
        """Whether the version is never evicted."""
        try:
            self._upkeep.io.status(self.place.pin)
        except OSError:
            return False
        return True

    @property
    def last_used(self) -> float:
        """When it was last used, in seconds since the epoch; 0 if nothing is on disk. To 20 seconds."""
        try:
            return self._upkeep.io.status(self.place.record).st_mtime
        except OSError:
            return 0.0

    def stored(self, start: int, stop: int) -> int:
        """The offset up to which the bytes from `start` are claimed to be there; `start` if none are."""
        stop, files = min(stop, self.size), self.files
        if files is None or start >= stop:
            return start
        first, last = start // BLOCK, count_blocks(stop)
        try:
            while first < last:
                count = min(_ENTRIES, last - first)
                entries = files.entries(first, count)
                if ABSENT in entries:
                    first += entries.index(ABSENT)
                    break
                first += count
        except OSError as error:
            self.fail(error, "read")
            return start
        return min(max(first * BLOCK, start), stop)

    def missing(self, start: int, stop: int) -> int:
        """The offset up to which no byte from `start` is there, at most `stop`; `start` if the first is."""
        stop, files = min(stop, self.size), self.files
        if files is None or start >= stop:
            return stop
        first, last = start // BLOCK, count_blocks(stop)
        try:
            while first < last:
                count = min(_ENTRIES, last - first)
                there = [entry != ABSENT for entry in files.entries(first, count)]
                if True in there:
                    first += there.index(True)
                    break
                first += count
        except OSError as error:
            self.fail(error, "read")
            return stop
        return min(max(first * BLOCK, start), stop)

    def read_into(self, start: int, into: memoryview) -> int:
        """Read bytes from `start`, all of them verified; returns how many, 0 if the first is not there."""
        files = self.files
        if files is None:
            return 0
        into = (into if into.format == "B" else into.cast("B"))[: max(self.size - start, 0)]
        done = 0
        try:
            while done < len(into):
                count = self._read_some(files, start + done, into[done:])
                if not count:
                    break
                done += count
        except OSError as error:
            self.fail(error, "read")
        if done:
            self._upkeep.tallies.read(done)
            self._note_use()
        return done

    def expect(self, start: int, stop: int) -> None:
        """Have the disk begin to read a range that `read_into` is called for soon."""
        files = self.files
        if files is not None:
            try:
                files.read_ahead(start, min(stop, self.size))
            except OSError as error:
                self.fail(error, "read")

    def read_from_memory(self, start: int, into: memoryview) -> bool:
        """Fill `into` with verified bytes from `start`, without waiting for the disk; False if it cannot.

        `into` ends at or before the end of the object.
        """
        files = self.files
        if files is None or not files.read_from_memory(start, into):
            return False
        self._upkeep.tallies.hit(len(into))
        self._note_use()
        return True

    def keep(self, block: int, data: bytes | memoryview) -> bool:
        """Hand over a whole block, which must not be changed afterwards; it is written later.

        Returns False if it will not be: the disk is slower than the network, full or off.
        """
        if not self.may_write:
            return False
        if block < 0 or len(data) != block_size(self.size, block) or not data:
            raise ValueError(f"block {block} of {self.size} bytes does not have {len(data)}")
        files = self._files
        if files is not None and files.blocks.states[block] == VERIFIED:
            return True
        return self._upkeep.put_block(self, block, data)

    def note_listed(self, listed: Listed) -> None:
        """Record that the listing describes this version like that."""
        with self._lock:
            if self._listed == listed:
                return
            self._listed = listed
        self._upkeep.put_chore(self, Chore.NOTE)

    def pin(self) -> None:
        """Never evict the version, in any process, until `unpin`.

        Raises:
            OSError: that cannot be recorded.
        """
        io = self._upkeep.io
        self._upkeep.folder.make_for(self.place)
        with suppress(FileExistsError):
            io.close(io.create(self.place.pin))
        self.is_ordered = True

    def unpin(self) -> None:
        """Let the version be evicted again.

        Raises:
            OSError: that cannot be recorded.
        """
        with suppress(FileNotFoundError):
            self._upkeep.io.unlink(self.place.pin)
        self.is_ordered = False

    def verify(self, goes_on: Callable[[], bool] = lambda: True) -> bool:
        """Verify every block that this process has not verified; False if one is damaged or not there.

        Also False as soon as `goes_on`, which is called after each MiB, returns False.
        """
        files = self.files
        if files is None:
            return False
        room = memoryview(bytearray(min(_AT_ONCE * BLOCK, self.size)))
        try:
            while (block := files.blocks.first_unverified) < len(files.blocks.states):
                if not goes_on():
                    return False
                start = block * BLOCK
                found = files.read_unverified(start, room[: self.size - start], _AT_ONCE)
                if found.damaged is not None:
                    self._damaged(found.damaged)
                # A reader may have verified the block in between.
                if not found.count and files.blocks.states[block] != VERIFIED:
                    return False
        except OSError as error:
            self.fail(error, "read")
            return False
        return True

    def fileno(self) -> int | None:
        """The descriptor of the data file for the kernel to read from, open until `close`.

        None unless the file is complete and as long as the object, and this process has verified every block.
        """
        files = self.files
        try:
            if files is None or not files.blocks.are_verified:
                return None
            if not files.is_whole:
                return None
        except OSError as error:
            self.fail(error, "read")
            return None
        with self._lock:
            if self._files is not files:
                return None
            if files not in self._lent:
                self._lent.append(files)
        return files.data

    def discard(self) -> None:
        """Have the files removed, as the store has another version; who has them open can go on reading.

        A pin stays: it tells that the resource is pinned, until the version that it has now is.
        """
        self._upkeep.put_chore(self, Chore.DISCARD)

    def touch(self) -> None:
        """Note that the version is used, by reads that do not come through this object."""
        self._upkeep.put_chore(self, Chore.TOUCH)

    def retain(self) -> None:
        """Give another reference, which is ended by another `close`."""
        self._upkeep.retain(self)

    def close(self) -> None:
        """End one reference."""
        self._upkeep.release(self)

    # What follows is for the store and its writer.

    def describe(self, validators: Validators, listed: Listed | None = None) -> None:
        """Add what a later answer or the listing says of the version."""
        with self._lock:
            before = dict(self._validators)
            self._validators.update({kind: value for kind, value in validators.items() if value is not None})
            self._listed = listed or self._listed
            is_new = self._validators != before
        if is_new:
            self._upkeep.put_chore(self, Chore.NOTE)

    def wanted_note(self, note: Note, now_ns: int) -> Note:
        """The note that should be in the record, which has `note`; the same if nothing is to be changed."""
        with self._lock:
            wanted = note.with_validators(self._validators)
            if self._listed is not None:
                wanted = wanted.with_listed(self._listed, now_ns)
        return msgspec.structs.replace(wanted, generation=note.generation + 1)

    def suits(self, validators: Validators) -> bool:
        """Whether bytes with these validators, of a version with this identity, are the same bytes."""
        return self.identity.is_strong or Note().with_validators(self.validators).fits(validators)

    def fits(self, files: Files) -> bool:
        """Whether files have bytes of this version."""
        return self.suits(files.note.validators)

    def adopt(self, files: Files | None) -> None:
        """Use other files from now on."""
        with self._lock:
            self._files = files
            self._complete_to = 0

    def distrust(self) -> None:
        """Verify every block once more before it is served: some are damaged now that were not before."""
        files = self._files
        if files is not None:
            files.blocks.forget(0, len(files.blocks.states))

    def detach(self) -> None:
        """Write nothing more: another version has its place."""
        self._is_orphan = True

    def fail(self, error: OSError, verb: str) -> None:
        """Leave the files alone from now on, as the disk failed to `verb` them."""
        if isinstance(error, StuckDisk) or self._is_off:
            return
        if error.errno == errno.ESTALE:
            self.adopt(None)  # evicted by another machine, over NFS
            return
        self._is_off = True
        self._upkeep.tallies.turned_off()
        log.warning("the cache cannot %s %s (%s); it is left alone", verb, self.place.record, error.strerror)

    def refuse(self) -> None:
        """Leave the files alone from now on, as they cannot be used, for a reason that was told."""
        self._is_off = True

    def finish(self) -> None:
        """Close the files, after the last reference has ended."""
        with self._lock:
            self._files = None
            self._lent.clear()

    def _note_use(self) -> None:
        now = time.monotonic()
        if now - self._touched_at > _TOUCH_SECONDS:
            self._touched_at = now
            self._upkeep.put_chore(self, Chore.TOUCH)

    def _read_some(self, files: Files, start: int, into: memoryview) -> int:
        if files.blocks.states[start // BLOCK] == VERIFIED:
            count = files.read_verified(start, into)
            if count:
                return count
        found = files.read_unverified(start, into, _AT_ONCE)
        if found.damaged is not None:
            self._damaged(found.damaged)
        return found.count

    def _damaged(self, block: int) -> None:
        self._complete_to = 0
        self._upkeep.tallies.damaged()
        if not self._has_told:
            self._has_told = True
            log.warning(
                "block %d of %s in the cache is damaged; it is fetched again", block, self.place.record
            )
        self._upkeep.put_drop(self, block)
