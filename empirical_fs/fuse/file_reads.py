"""Answers reads of open files: at once if the bytes have arrived, else later; of a new version if needed."""

import time
from dataclasses import dataclass, replace
from functools import partial

from empirical_fs.errors import ContentChanged, EmpiricalError, OtherLength, ResourceGone
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.catalog_waits import CatalogWaits
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.interrupted_reads import InterruptedReads
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.open_file import OnFailed, OpenFile, WaitingRead
from empirical_fs.fuse.opening import Opener
from empirical_fs.fuse.repeated_reads import Failure, FailuresOfOthers
from empirical_fs.fuse.request import Request
from empirical_fs.reading.content import Content
from empirical_fs.work.timer import Timer

_CHANGED = (ContentChanged, ResourceGone, OtherLength)
_NEW_VERSIONS = 2
"""How many new versions a read may go on with: the listing may lag behind the store by one."""


@dataclass(frozen=True, slots=True)
class _Extent:
    """The bytes that a read requests, their content, its deadline, and how many new versions it may try."""

    content: Content
    offset: int
    size: int
    deadline: float
    new_versions: int

    @property
    def stop(self) -> int:
        return self.offset + self.size


class FileReads:
    """Answers reads. Its components are thread-safe."""

    def __init__(
        self, files: Files, opener: Opener, answering: Answering, waits: CatalogWaits, timer: Timer
    ) -> None:
        """Answer reads of the `files` that `opener` has opened."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._opener = opener
        self._answering = answering
        self._waits = waits
        self._failures = FailuresOfOthers()
        self._interrupted = InterruptedReads(timer)
        """Reads that were interrupted by a signal, and go on."""

    def read(self, request: Request, opened: OpenFile, offset: int, size: int) -> None:
        """Answer with bytes of an open file, now or later.

        Raises:
            Refusal, EmpiricalError: the version of the open file is over.
        """
        source = opened.source
        if isinstance(source, bytes):
            request.give_bytes(source[offset : offset + size])
            return
        if source.content is not opened.node.content:
            source = self._opener.reopen(opened)
        ready = source.take_ready(offset, size)
        if ready is not None:
            part, pieces = ready
            try:
                if opened.may_give(source.content):
                    request.give(pieces)
                    return
            finally:
                part.give_back()
            raise ContentChanged("the file changed since it was opened")
        kept = (
            None if source.content.is_over else self._interrupted.take(opened, source.content, offset, size)
        )
        if kept is not None and opened.may_give(source.content):
            request.give_bytes(kept)
            return
        now = time.monotonic()
        stop = offset + size
        if not opened.failures.has(offset, stop, now):
            others = self._failures.of(source.content, offset, stop, opened.opened_at, now)
            if others is not None:
                self._fail(opened.node, request, others.error)
                return
        before = opened.failures.take(offset, stop, now)
        deadline = now + self._answering.timeout if before is None else before.deadline
        extent = _Extent(source.content, offset, size, deadline, _NEW_VERSIONS)
        if before is None:
            on_failed: OnFailed = partial(self._fail_first, opened, extent)
        elif before.is_worth_trying(now, self._answering.timeout):
            on_failed = partial(self._fail_or_go_on, opened, extent)
        else:
            self._fail(opened.node, request, before.error)
            return
        leavers, waiting = opened.leavers, WaitingRead(request, opened, on_failed, self._interrupted)
        request.defer(deadline - now, waiting.fail)
        waiting.begin(source, offset, size, leavers)

    def leave(self, opened: OpenFile) -> None:
        """End what goes on for a file that is closed."""
        self._interrupted.leave(opened)

    def _fail_first(
        self, opened: OpenFile, extent: _Extent, node: Node, request: Request, error: EmpiricalError
    ) -> None:
        """As `_fail_or_go_on`; also remember the failure, since the kernel repeats the read at once."""
        failure = Failure(extent.offset, extent.stop, time.monotonic(), extent.deadline, error)
        opened.failures.note(failure)
        self._failures.note(extent.content, failure)
        self._fail_or_go_on(opened, extent, node, request, error)

    def _fail_or_go_on(
        self, opened: OpenFile, extent: _Extent, node: Node, request: Request, error: EmpiricalError
    ) -> None:
        """Handle a failed read. If its version is over, but no byte of it was given, read the new version."""
        is_had = node.is_given and node.content is extent.content
        if not isinstance(error, _CHANGED) or is_had or not extent.new_versions:
            self._fail(node, request, error)
            return
        resource = node.entry.resource
        self._catalog.distrust(resource)
        about = _about(node)
        work = partial(self._go_on, opened, extent, request, error)
        later = partial(self._answering.go_on_later, request, about, work)
        self._waits.for_listing(request, about, resource.id, later)

    def _go_on(self, opened: OpenFile, extent: _Extent, request: Request, error: EmpiricalError) -> None:
        """Read the same range of the current version."""
        node = opened.node
        now = self._catalog.current(node.entry)
        if now is not None and node.is_superseded_by(now):
            self._inodes.renew(node, now)
        if now is None or node.is_superseded_by(now):
            self._fail(node, request, error)
            return
        source = self._opener.reopen(opened)
        extent = replace(extent, content=source.content, new_versions=extent.new_versions - 1)
        waiting = WaitingRead(
            request, opened, partial(self._fail_or_go_on, opened, extent), self._interrupted
        )
        request.hand_to(waiting.fail)
        waiting.begin(source, extent.offset, extent.size, opened.leavers)

    def _fail(self, node: Node, request: Request, error: EmpiricalError) -> None:
        """Answer a read with an error."""
        if isinstance(error, _CHANGED):
            # Before the answer, since the program may open the file again at once.
            self._catalog.distrust(node.entry.resource)
        self._answering.refuse(request, _about(node), error)


def _about(node: Node) -> About:
    return About("read", f"/{node.entry.name}")
