"""Opens files: as the version that their inode is, once it is known what that is."""

import errno
import threading
import time
from functools import partial
from itertools import count

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.first_looks import FirstLooks
from empirical_fs.fuse.followers import FETCHED_MAX, Followers
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.open_file import OpenFile
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import Request
from empirical_fs.fuse.settling import Settling
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle

_SETTLE_TRIES = 2


class Opener:
    """Opens and closes files.

    What is open is in a dictionary, each step on which is one operation of it. The lock guards what open
    files read, and whether they are closed.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that an open needs
        self,
        files: Files,
        answering: Answering,
        library: Library,
        settling: Settling,
        first_looks: FirstLooks,
        redating: Redating,
        followers: Followers,
        *,
        is_direct: bool,
    ) -> None:
        """Open `files`; `is_direct`, past the page cache."""
        self._catalog, self._inodes, self._walks = files.catalog, files.inodes, files.walks
        self._answering = answering
        self._library = library
        self._settling = settling
        self._is_direct = is_direct
        self._redating = redating
        self._followers = followers
        self._first_looks = first_looks
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._open_files: dict[int, OpenFile] = {}

    def opened(self, handle: int) -> OpenFile:
        """The open file of that handle."""
        return self._open_files[handle]

    def open(self, request: Request, node: Node, caller: int, settle_tries: int = _SETTLE_TRIES) -> None:
        """Open a node for the thread `caller`, now or when it is known what it is.

        Raises:
            Refusal: it is something else by now: the kernel looks its name up again.
        """
        resource, about = node.entry.resource, _about(node)
        if settle_tries and self._catalog.is_in_doubt(resource.id):
            # By the old listing it would be opened in vain, or just before it becomes something else.
            work = partial(self.open, request, node, caller, settle_tries - 1)
            self._settling.wait(request, about, resource.id, work)
            return
        now = self._catalog.current(node.entry)
        if now is None:
            raise Refusal(errno.ESTALE)
        self._walks.end_lost(resource)
        if node.is_superseded_by(now):
            if self._inodes.send_back(node, caller):
                raise Refusal(errno.ESTALE)
            self._open_by_number(request, node, caller, now)
        elif self._catalog.is_to_be_measured(now.resource):
            # The kernel does not read past the size that it knows, which is 0 so far.
            self._answering.defer(request, about)
            self._answering.go_on_later(request, about, partial(self._measure, request, node, caller, now))
        elif content := self._content_to_be_asked_for(node, now):
            self._answering.defer(request, about)
            work = partial(self.open, request, node, caller, settle_tries=0)
            self._walks.ask_again(content, partial(self._answering.go_on, request, about, work))
        elif not request.is_deferred and (self._is_followed(now) or self._first_looks.is_due(node, now)):
            self._answering.defer(request, about)
            work = partial(self.open, request, node, caller, settle_tries)
            self._first_looks.look(node, now, partial(self._answering.go_on, request, about, work))
        elif node.failed and not node.handles:
            # Who has it open may wait for one of these pages, and this would wait for that.
            self._answering.defer(request, about)
            work = partial(self._open_whole, request, node, caller)
            self._answering.go_on_later(request, about, work)
        else:
            self._give_handle(request, node, now)

    def close(self, handle: int) -> None:
        """Close what was opened."""
        opened = self._open_files.pop(handle)
        self._first_looks.touched()
        self._inodes.release(opened.node)
        with self._lock:
            opened.is_closed = True
        for source in (opened.source, *opened.left):
            if not isinstance(source, bytes):
                source.close()

    def reopen(self, opened: OpenFile) -> Handle:
        """What an open file reads from now on, whose inode has become another version.

        Raises:
            Refusal: it is something else again.
        """
        node = opened.node
        source = self._walks.open(node.entry.resource, _content_of(node))
        with self._lock:
            is_taken = not opened.is_closed and self._inodes.adopt(node, source.content)
            if is_taken:
                # Others may wait for bytes by the one before, and are to hear that its version is over.
                opened.left, opened.source = (*opened.left, opened.source), source
        if not is_taken:
            source.close()
            raise Refusal(errno.ESTALE)
        return source

    def _is_followed(self, entry: Entry) -> bool:
        return self._followers.is_followed(entry.resource.id, time.monotonic())

    def _content_to_be_asked_for(self, node: Node, entry: Entry) -> Content | None:
        content = self._walks.latest(entry.resource, _content_of(node)) if entry.resource.size else None
        return content if content is not None and content.is_to_be_asked(self._catalog.asked_at) else None

    def _give_handle(self, request: Request, node: Node, entry: Entry) -> None:
        self._first_looks.touched()
        content = entry.content
        source: Handle | bytes = (
            self._walks.open(entry.resource, _content_of(node)) if content is None else content
        )
        if not self._inodes.open(node, None if isinstance(source, bytes) else source.content):
            if not isinstance(source, bytes):
                source.close()
            raise Refusal(errno.ESTALE)
        if self._is_followed(entry) and isinstance(source, Handle):
            source.fetch_ahead(min(FETCHED_MAX, source.content.size))
        info = self._library.file_info()
        info.fh, info.direct_io = next(self._numbers), self._is_direct
        # The kernel's pages of a node are of its version, whenever they came, if versions can be told apart.
        info.keep_cache = isinstance(source, bytes) or not source.content.is_without_validators
        waited = time.monotonic() - request.deferred_at if request.is_deferred else 0.0
        self._open_files[info.fh] = OpenFile(source, node, waited=waited)
        if not request.give_open(info):
            self.close(info.fh)

    def _measure(self, request: Request, node: Node, caller: int, entry: Entry) -> None:
        """Find the size of a file; the kernel learns it when it looks the name up again."""
        self._catalog.measure(entry.resource)
        self.open(request, node, caller, settle_tries=0)

    def _open_whole(self, request: Request, node: Node, caller: int) -> None:
        """Open a node once the kernel has no page of it that failed, for it would ask for each alone."""
        self._inodes.drop_failed(node)
        self.open(request, node, caller, settle_tries=0)

    def _open_by_number(self, request: Request, node: Node, caller: int, now: Entry) -> None:
        """Open a version that is over as what its resource is `now`, if that does not mix the two."""
        if self._redating.is_possible(node, now):
            work = partial(self._open_redated, request, node, caller, now)
            self._redating.find_out(request, _about(node), node, now, work)
        else:
            self._answering.defer(request, _about(node))
            work = partial(self._renew, request, node, caller, now)
            self._answering.go_on_later(request, _about(node), work)

    def _open_redated(self, request: Request, node: Node, caller: int, now: Entry) -> None:
        if node.is_superseded_by(now):
            self._answering.go_on_later(
                request, _about(node), partial(self._renew, request, node, caller, now)
            )
        else:
            self.open(request, node, caller, settle_tries=0)

    def _renew(self, request: Request, node: Node, caller: int, now: Entry) -> None:
        """Open a node that was found by its number as what its resource is now."""
        self._inodes.renew(node, now)
        if node.is_superseded_by(self._catalog.current(node.entry)):
            raise Refusal(errno.ESTALE)
        self.open(request, node, caller, settle_tries=0)


def _content_of(node: Node) -> Content | None:
    return node.content if isinstance(node.content, Content) else None


def _about(node: Node) -> About:
    return About("open", f"/{node.entry.name}")
