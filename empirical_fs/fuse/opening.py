"""Opens and closes files. An open waits until it is clear which version the inode is."""

import errno
import threading
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.clock import aging_clock
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.catalog_waits import CatalogWaits
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.followed_files import FETCHED_MAX, FollowedFiles
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.open_file import OpenFile
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import Request
from empirical_fs.fuse.revalidation import Revalidation, note_answer
from empirical_fs.fuse.store_backoff import StoreBackoff
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle

_LISTING_WAITS = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """The thread that opens a file, and how it opens it."""

    thread: int
    """Its number, as the kernel gives it; 0 for a thread of another PID namespace."""
    is_direct: bool = False
    """With O_DIRECT: reads bypass the page cache, and need not be aligned, as on other file systems."""


class Opener:
    """Opens and closes files.

    The dictionary of open files needs no lock, since each step is one operation on it. The lock guards the
    sources of open files, and whether they are closed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that an open needs
        self,
        files: Files,
        answering: Answering,
        library: Library,
        waits: CatalogWaits,
        revalidation: Revalidation,
        backoff: StoreBackoff,
        redating: Redating,
        followed: FollowedFiles,
        *,
        is_direct: bool,
    ) -> None:
        """Open `files`; with `is_direct`, all programs read past the page cache."""
        self._catalog, self._inodes, self._walks = files.catalog, files.inodes, files.walks
        self._passthrough, self._whole_files = files.passthrough, files.whole_files
        self._answering = answering
        self._library = library
        self._waits = waits
        self._is_direct = is_direct
        self._redating = redating
        self._followed = followed
        self._revalidation = revalidation
        self._backoff = backoff
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._open_files: dict[int, OpenFile] = {}

    def opened(self, handle: int) -> OpenFile:
        """The open file with that handle."""
        return self._open_files[handle]

    def open(self, request: Request, node: Node, caller: Caller, waits_left: int = _LISTING_WAITS) -> None:
        """Open a node for `caller`, now or once it is clear which version it is.

        Raises:
            Refusal: it is over (ESTALE): the kernel looks its name up again.
        """
        resource, about = node.entry.resource, _about(node)
        if waits_left and self._catalog.is_in_doubt(resource.id):
            # With the old listing, the open would fail, or open a version that is about to be replaced.
            work = partial(self.open, request, node, caller, waits_left - 1)
            self._waits.for_listing(request, about, resource.id, work)
            return
        now = self._catalog.current(node.entry)
        if now is None:
            raise Refusal(errno.ESTALE)
        self._walks.end_lost(resource)
        if node.is_superseded_by(now):
            if self._inodes.send_back(node, caller.thread):
                raise Refusal(errno.ESTALE)
            self._open_by_number(request, node, caller, now)
        elif self._catalog.is_to_be_measured(now.resource):
            # The kernel does not read beyond the size that it knows, which is 0 so far.
            self._answering.defer(request, about)
            self._answering.go_on_later(request, about, partial(self._measure, request, node, caller, now))
        elif content := self._content_to_be_asked_for(node, now):
            self._answering.defer(request, about)
            work = partial(self._open_asked, request, node, caller, content, aging_clock())
            self._walks.ask_again(content, partial(self._answering.go_on, request, about, work))
        elif not (request.is_deferred or self._backoff.is_active) and self._is_to_be_revalidated(node, now):
            self._answering.defer(request, about)
            work = partial(self.open, request, node, caller, waits_left)
            self._revalidation.ask(node, now, partial(self._answering.go_on, request, about, work))
        elif node.failed and not node.handles:
            # Only without open handles: a program may wait for one of these pages, which could deadlock.
            self._answering.defer(request, about)
            work = partial(self._open_whole, request, node, caller)
            self._answering.go_on_later(request, about, work)
        else:
            self._open_source(request, node, caller, now)

    def close(self, handle: int) -> None:
        """Close the open file with that handle."""
        opened = self._open_files.pop(handle)
        self._revalidation.touched()
        self._passthrough.close(opened.node)
        with self._lock:
            opened.is_closed = True
        for source in (opened.source, *opened.left):
            self._close_source(source)

    def reopen(self, opened: OpenFile) -> Handle:
        """Open a new source for an open file whose inode has become another version.

        Raises:
            Refusal: the inode is yet another version, or the file is closed.
        """
        node = opened.node
        source = self._walks.open(node.entry.resource, _content_of(node))
        with self._lock:
            is_taken = not opened.is_closed and self._inodes.adopt(node, source.content)
            if is_taken:
                # Reads may still wait for bytes of the old source, and will fail since its version is over.
                opened.left, opened.source = (*opened.left, opened.source), source
        if not is_taken:
            source.close()
            raise Refusal(errno.ESTALE)
        return source

    def _open_asked(
        self, request: Request, node: Node, caller: Caller, content: Content, asked_at: float
    ) -> None:
        """Open a node after the store was asked about its content, at `asked_at` on the aging clock."""
        note_answer(self._backoff, content, asked_at)
        self.open(request, node, caller, waits_left=0)

    def _is_to_be_revalidated(self, node: Node, entry: Entry) -> bool:
        # The store has nothing of a link, nor anything to compare with of an upload without a size.
        if entry.resource.size is None:
            return False
        return self._is_followed(entry) or self._revalidation.is_due(node, entry)

    def _is_followed(self, entry: Entry) -> bool:
        return self._followed.is_followed(entry.resource.id, time.monotonic())

    def _content_to_be_asked_for(self, node: Node, entry: Entry) -> Content | None:
        """The content that the open would use, if the store must be asked about it first; otherwise None."""
        if self._backoff.is_active or not entry.resource.size:
            return None
        content = self._walks.latest(entry.resource, _content_of(node))
        return content if content is not None and content.is_to_be_asked(self._catalog.asked_at) else None

    def _open_source(self, request: Request, node: Node, caller: Caller, entry: Entry) -> None:
        """Open the node's content, and answer with a handle: now, or after a look at the disk cache.

        Raises:
            Refusal: the node has another content (ESTALE).
        """
        self._revalidation.touched()
        if entry.content is not None:
            self._give_handle(request, node, caller, entry, entry.content, None)
            return
        source = self._walks.open(entry.resource, _content_of(node))
        # An O_DIRECT read of a file that the kernel reads by itself would have to be aligned.
        is_possible = not caller.is_direct and self._passthrough.is_to_be_decided(node)
        if self._whole_files is None or not (is_possible and self._whole_files.may_have(source.content)):
            self._give_handle(request, node, caller, entry, source, None)
            return
        about = _about(node)

        def found(descriptor: int | None) -> None:
            try:
                self._give_handle(request, node, caller, entry, source, descriptor)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the caller is answered
                self._answering.refuse(request, about, error)

        try:
            self._answering.defer(request, about)
            self._whole_files.find(source.content, found)
        except BaseException:
            self._close_source(source)
            raise

    def _give_handle(  # noqa: PLR0913, PLR0917 - all that an open has found out
        self,
        request: Request,
        node: Node,
        caller: Caller,
        entry: Entry,
        source: Handle | bytes,
        descriptor: int | None,
    ) -> None:
        """Answer with a handle that reads `source`; ESTALE if the node has another content.

        If it is the first of the node, the kernel reads the file with that `descriptor` by itself.
        """
        content = None if isinstance(source, bytes) else source.content
        info = self._library.file_info()
        info.fh = next(self._numbers)
        # Before it counts as open: from then on, `close` undoes everything.
        self._open_files[info.fh] = OpenFile(source, node)
        try:
            is_open = self._passthrough.open(node, content, descriptor)
        except BaseException:
            self._drop(info.fh)
            raise
        if not is_open:
            self._drop(info.fh)
            raise Refusal(errno.ESTALE)
        try:
            self._describe(info, node, caller, content)
            if not node.backing and self._is_followed(entry) and not isinstance(source, bytes):
                source.fetch_ahead(min(FETCHED_MAX, source.content.size))
            is_taken = request.give_open(info)
        except BaseException:
            self.close(info.fh)
            raise
        if not is_taken:
            self.close(info.fh)

    def _describe(self, info: Any, node: Node, caller: Caller, content: Content | None) -> None:
        """Set in the answer to an open how the kernel reads the file."""
        if node.backing:
            # Without keep_cache, which the kernel refuses together with passthrough.
            info.direct_io = caller.is_direct
            self._library.pass_through(info, node.backing)
        else:
            info.direct_io = self._is_direct
            # Old cached pages of a node are of its version too, if validators distinguish versions.
            info.keep_cache = content is None or not content.is_without_validators

    def _close_source(self, source: Handle | bytes) -> None:
        if isinstance(source, bytes):
            return
        source.close()
        if self._whole_files is not None:
            self._whole_files.closed(source.content)

    def _drop(self, handle: int) -> None:
        """Close the source of a handle that does not count as open."""
        self._close_source(self._open_files.pop(handle).source)

    def _measure(self, request: Request, node: Node, caller: Caller, entry: Entry) -> None:
        """Ask the store for the size of a file; the kernel learns it when it looks the name up again."""
        self._catalog.measure(entry.resource)
        self.open(request, node, caller, waits_left=0)

    def _open_whole(self, request: Request, node: Node, caller: Caller) -> None:
        """Open a node after the kernel has dropped its failed pages, which it would request one by one."""
        self._inodes.drop_failed(node)
        self.open(request, node, caller, waits_left=0)

    def _open_by_number(self, request: Request, node: Node, caller: Caller, now: Entry) -> None:
        """Open a node whose version is over as the current version `now`, if that cannot mix the two."""
        if self._redating.is_possible(node, now):
            work = partial(self._open_redated, request, node, caller, now)
            self._redating.find_out(request, _about(node), node, now, work)
        else:
            self._answering.defer(request, _about(node))
            work = partial(self._renew, request, node, caller, now)
            self._answering.go_on_later(request, _about(node), work)

    def _open_redated(self, request: Request, node: Node, caller: Caller, now: Entry) -> None:
        if node.is_superseded_by(now):
            self._answering.go_on_later(
                request, _about(node), partial(self._renew, request, node, caller, now)
            )
        else:
            self.open(request, node, caller, waits_left=0)

    def _renew(self, request: Request, node: Node, caller: Caller, now: Entry) -> None:
        """Change a node that was found by its number to its resource's current version, and open it."""
        self._inodes.renew(node, now)
        if node.is_superseded_by(self._catalog.current(node.entry)):
            raise Refusal(errno.ESTALE)
        self.open(request, node, caller, waits_left=0)


def _content_of(node: Node) -> Content | None:
    return node.content if isinstance(node.content, Content) else None


def _about(node: Node) -> About:
    return About("open", f"/{node.entry.name}")
