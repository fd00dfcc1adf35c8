"""Begins to fetch the bytes of one content: those that reads need, and those ahead of them."""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from empirical_fs.errors import (
    Closing,
    EmpiricalError,
    NoThread,
    SpoolFailed,
)
from empirical_fs.reading.budget import Account, Budget
from empirical_fs.reading.buffers import Blocks, FileBuffer
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor, Taken
from empirical_fs.reading.download import Download
from empirical_fs.reading.fetch.object_store import Body
from empirical_fs.reading.fetch.pool import Fetcher
from empirical_fs.reading.habits import Habits
from empirical_fs.reading.part import Part
from empirical_fs.reading.parts import Parts
from empirical_fs.reading.pending_read import PendingRead
from empirical_fs.reading.read_ahead import LARGEST_PART, Conditions, Range
from empirical_fs.statistics import Statistics

if TYPE_CHECKING:  # not imported where the cache on disk is off
    from empirical_fs.reading.disk import Disk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """The objects that all readers share."""

    fetcher: Fetcher
    budget: Budget
    blocks: Blocks
    statistics: Statistics
    disk: "Disk | None" = None
    habits: Habits = field(default_factory=Habits)


class Supply:
    """The bytes of one content: those that have arrived, and those that are being fetched.

    The lock guards the parts, the cursors of the handles and whether the supply is closed. It is never held
    while a thread waits for bytes.
    """

    def __init__(self, content: Content, means: Means) -> None:
        """Supply the bytes of `content`; nothing is fetched before the first read."""
        self._content = content
        self._means = means
        self._lock = threading.Lock()
        self._account = Account(means.budget, self._shrink)
        self._on_disk = None if means.disk is None else means.disk.open(content)
        self._parts = self._made_parts()
        self._download = Download(content)
        self._closed = False

    @property
    def download_failure(self) -> EmpiricalError | None:
        """Why the last download of the whole content failed; None if it has not."""
        return self._download.failure

    def begin(self, cursor: Cursor, read: Range) -> tuple[list[Part], list[Part]]:
        """Begin to fetch what a read needs, and read ahead of it.

        Returns the parts that the read needs, and the parts whose fetch it began.
        """
        ahead: dict[Part, int] = {}
        is_refused = False
        with self._lock:
            is_by_ranges = self._download.whole is None
            self._download.drop_failed()
            is_missing = self._check_room(read)
            if not self._closed and is_by_ranges and cursor.policy.plans:
                conditions = Conditions(
                    cursor.waited,
                    is_missing,
                    self._means.fetcher.connections,
                    self._account.share,
                    self._account.sharers,
                    self._means.habits.trusted_at,
                    self._means.habits.expected,
                )
                for planned in cursor.policy.plan(read, conditions):
                    held = self._parts.hold_ahead(cursor, planned)
                    if held is None:
                        cursor.policy.refuse(planned)
                        is_refused = True
                        break
                    # If another handle already has some of it, a longer request would have a hole.
                    is_all = sum(part.size for part in held) >= planned.size
                    ahead |= {part: planned.request_stop if is_all else part.stop for part in held}
            needed, new = self._cover(read)
            cursor.waited = any(not part.has(min(read.stop, part.stop)) for part in needed)
            if cursor.waited:
                self._means.fetcher.is_waited_for()
            cursor.allow_shortcut(needed[-1], read.stop)
        try:
            self._fetch(needed)
        except NoThread:
            with self._lock:
                self._parts.let_go(needed)
            raise
        self._fetch_ahead({part: stop for part, stop in ahead.items() if part not in needed})
        if is_refused:
            self._account.press()
        return needed, [*new, *ahead]

    def end(self, read: PendingRead) -> bool:
        """End a read; False if it had ended already."""
        with self._lock:
            if read.is_over:
                return False
            read.is_over = True
            self._let_go(read)
        if read.waited:
            self._means.statistics.waited(time.monotonic() - read.begun)
        return True

    def renew(self, read: PendingRead) -> bool:
        """Fetch again what a read needs, since a part has ended without its bytes; False if the read is over.

        Raises:
            EmpiricalError: nothing can be fetched.
        """
        with self._lock:
            if read.is_over:
                return False
            self._let_go(read)
            self._download.drop_failed()
            self._check_room(read.extent)
            read.needed, read.new = self._cover(read.extent)
        self._fetch(read.needed)
        return True

    def fetch_ahead(self, cursor: Cursor, stop: int) -> bool:
        """Begin to fetch the bytes before `stop` for `cursor`, which is expected to read them from offset 0.

        Fetches as many as memory allows; returns False if there is no memory for any, or if the server sends
        whole files only, and the disk has no room for this one.
        """
        stop, at = min(stop, self._content.size), 0
        ahead: list[Part] = []
        with self._lock:
            try:
                self._check_room(Range(0, stop))
            except SpoolFailed as error:
                log.debug("nothing is fetched ahead: %s", error)
                return False
            while at < stop and not self._closed:
                # In parts, so that the memory of those already read is released before all are read.
                after = min(at + LARGEST_PART, stop)
                parts = self._parts.hold_ahead(cursor, Range(at, after))
                if parts is None:
                    break
                at, ahead = after, [*ahead, *parts]
            if at:
                cursor.policy.expect(at)
        self._fetch_ahead({part: part.stop for part in ahead})
        return at > 0

    def announce(self, cursor: Cursor, reads: Range) -> None:
        """Note that all of `reads` will be read with `cursor`, in several reads."""
        with self._lock:
            cursor.policy.announce(reads)

    def bring(self, cursor: Cursor, extent: Range, request_stop: int) -> list[Part] | None:
        """Begin to fetch what is missing of `extent` for `cursor`; returns the parts that have it or will.

        None if there is no memory for it now. The request may go on to `request_stop`. The caller gives each
        part to `drop` when it is done with it.

        Raises:
            Closing: the file is closed.
            NoThread: no thread can fetch it.
            SpoolFailed: the server sends whole files only, and there is no room for this one.
        """
        with self._lock:
            if self._closed:
                raise Closing("the file is closed")
            self._download.drop_failed()
            if self._download.whole is not None:
                return [self._download.whole]
            self._check_room(extent)
            new = self._parts.hold_ahead(cursor, extent)
            if new is None:
                return None
            found = self._parts.sound(extent)
        is_all = sum(part.size for part in new) >= extent.size
        for part in new:
            stop = request_stop if is_all else part.stop
            try:
                self._means.fetcher.fetch_ahead(self._content, part, self._spool, stop)
            except NoThread:
                with self._lock:
                    for each in new:
                        self._parts.drop_ahead(cursor, each)
                raise
        return found

    def drop(self, cursor: Cursor, part: Part) -> None:
        """Drop a part that `bring` returned, unless somebody else needs it."""
        with self._lock:
            self._parts.drop_ahead(cursor, part)

    def is_coming(self, start: int, size: int) -> bool:
        """Whether all `size` bytes from `start` have arrived or are being fetched."""
        with self._lock:
            return self._parts.covers(Range(start, min(start + size, self._content.size)))

    def take_from_disk(self, start: int, stop: int) -> Taken | None:
        """The bytes from `start` to `stop`, or None unless the disk cache has all of them in memory.

        The caller must call `give_back` of the returned object.
        """
        on_disk, stop = self._on_disk, min(stop, self._content.size)
        if on_disk is None or start >= stop or self._closed:
            return None
        pieces = on_disk.take(start, stop)
        return None if pieces is None else (on_disk, pieces)

    def note_no_room(self, failed: Part) -> None:
        """Note that a part did not fit on the local disk."""
        with self._lock:
            self._download.drop_failed()
            self._content.spool_space.failed(failed.size)

    def leave(self, cursor: Cursor) -> None:
        """Drop what was fetched ahead for a handle that is now closed."""
        with self._lock:
            self._parts.drop_of(cursor)

    def close(self) -> None:
        """Drop all parts, and cancel their requests."""
        with self._lock:
            self._closed = True
            waiting = [*self._parts.clear(), *self._download.clear()]
        self._means.fetcher.forget(self._content)
        if self._means.disk is not None and self._on_disk is not None:
            self._means.disk.close(self._content)
        for call in waiting:
            call()

    def _made_parts(self) -> Parts[Cursor]:
        if self._on_disk is None:
            return Parts(self._account, self._means.blocks)
        return Parts(self._account, self._means.blocks, self._on_disk.widened, self._on_disk.rest)

    def _cover(self, read: Range) -> tuple[list[Part], list[Part]]:
        """All parts that a read needs, in order, and the new ones among them. The lock is held."""
        if self._closed:
            raise Closing("the file is closed")
        if self._download.whole is not None:
            return [self._download.whole], []
        return self._parts.use(read)

    def _check_room(self, read: Range) -> bool:
        """Whether bytes of the read must still be fetched; `Download.check_room` is called then.

        The lock is held.
        """
        is_missing = not self._parts.covers(read)
        if is_missing:
            self._download.check_room()
        return is_missing

    def _let_go(self, read: PendingRead) -> None:
        """Release the parts of a read, and drop those that nobody needs. The lock is held."""
        self._parts.let_go(read.needed)
        if read.cursor.policy.plans:
            self._parts.drop_unwanted(read.cursor, read.cursor.policy.wants)
        else:
            self._parts.drop_unused(read.needed)

    def _shrink(self, size: int) -> None:
        with self._lock:
            self._parts.shrink(size)

    def _fetch(self, parts: list[Part]) -> None:
        """Begin to fetch the parts that a read needs, as far as no thread has begun."""
        for part in parts:
            part.hurry()
            # The thread that found that the server supports no ranges fills the whole content.
            if not part.is_begun and part is not self._download.whole:
                self._means.fetcher.fetch(self._content, part, self._spool)

    def _fetch_ahead(self, parts: dict[Part, int]) -> None:
        """Fetch parts ahead; `parts` maps each part to the offset at which its request ends."""
        for part, request_stop in parts.items():
            try:
                self._means.fetcher.fetch_ahead(self._content, part, self._spool, request_stop)
            except NoThread as error:
                # A read that needs the part later begins to fetch it.
                log.debug("nothing is fetched ahead: %s", error)

    def _spool(self, body: Body, part: Part) -> None:
        """Keep the whole content in a file as it arrives, in place of `part`: the server supports no ranges.

        If another part has begun such a download already, only end `part` and close `body`.
        """
        try:
            with self._lock:
                self._download.take_room()
            whole = Part(0, self._content.size, FileBuffer())
        except BaseException:
            body.close()
            raise
        with self._lock:
            is_first = not self._closed and self._download.whole is None
            if is_first:
                self._download.begin(whole)
        part.replace()
        if is_first:
            self._means.fetcher.fetch_whole(self._content, whole, body)
        else:
            whole.drop()
            body.close()
