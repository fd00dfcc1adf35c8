"""An open file, and its reads that wait for their bytes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from empirical_fs.errors import Abandoned, ContentChanged, EmpiricalError, Interrupted
from empirical_fs.fuse.callers import has_ended
from empirical_fs.fuse.interrupted_reads import InterruptedReads
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.repeated_reads import Failures
from empirical_fs.fuse.request import Request
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle

OnFailed = Callable[[Node, Request, EmpiricalError], object]
"""Answers a read that has failed."""


_LEAVERS_MAX = 16


@dataclass(eq=False, slots=True)
class OpenFile:
    """One open of a file; several descriptors may share it."""

    source: Handle | bytes
    node: Node
    waiting: "dict[WaitingRead, None]" = field(default_factory=dict)
    """The reads that wait for their bytes. Needs no lock: each step is one operation on the dictionary."""
    failures: Failures = field(default_factory=Failures)
    """The reads that failed lately."""
    left: tuple[Handle | bytes, ...] = ()
    """The sources that it read before its inode became another version."""
    opened_at: float = field(default_factory=time.monotonic)
    is_closed: bool = False
    leavers: tuple[int, ...] = ()
    """The threads that last closed a descriptor; a new tuple each time."""

    def may_give(self, content: object) -> bool:
        """Whether bytes of `content` may be given: it is the inode's content, and stays so from now on."""
        # In this order, so that the inode cannot become another version in between (see `Nodes.renew`).
        self.node.is_given = True
        return self.node.content is content

    def leave(self, thread: int) -> None:
        """Note that a thread closes a descriptor, and give up the reads that it began.

        The kernel does not report that a program was killed during the kernel's read-ahead; but the program's
        end closes the file, and no thread closes a file while it waits for its bytes. If other threads wait
        for the same pages, the kernel sends the read again.
        """
        if thread > 0:  # 0 stands for every thread of another PID namespace
            self.leavers = (thread, *self.leavers[: _LEAVERS_MAX - 1])
        for waiting in list(self.waiting):
            waiting.give_up_for(thread)


class WaitingRead:
    """A read that waits: `give` or `fail` answers it, called by any thread."""

    __slots__ = ("_cancel", "_interrupted", "_on_failed", "_request", "content", "file", "offset", "size")

    def __init__(
        self, request: Request, opened: OpenFile, on_failed: OnFailed, interrupted: InterruptedReads
    ) -> None:
        """Prepare the read `request` of `opened`; nothing is requested yet.

        If the program is interrupted, the read goes on in `interrupted`.
        """
        self._request = request
        self.file = opened
        self._on_failed = on_failed
        self._interrupted = interrupted
        self.content: Content | None = None
        self.offset = self.size = 0
        self._cancel: Callable[[], object] | None = None

    def begin(self, source: Handle, offset: int, size: int, leavers: tuple[int, ...]) -> None:
        """Request the bytes; call it once the request is deferred.

        `leavers` are the threads that had closed a descriptor when the read arrived.
        """
        opened, self.content = self.file, source.content
        self.offset, self.size = offset, size
        opened.waiting[self] = None
        if opened.leavers is not leavers:
            # A thread that closed a descriptor since then has not found this read.
            self.give_up_for(opened.leavers[0])
        elif self._request.caller in leavers and has_ended(self._request.caller):
            # The kernel may send read-ahead of a program that has already ended.
            self.fail(Abandoned("the program no longer waits"))
        if self._request.is_open:
            self._cancel = source.read(offset, size, self)
        if not self._request.is_open:
            opened.waiting.pop(self, None)
            self.cancel()

    def give_up_for(self, leaver: int) -> None:
        """Give up if the thread that closes a descriptor began this read, or if that thread has ended."""
        caller = self._request.caller
        if (caller > 0 and caller == leaver) or has_ended(caller):
            self.fail(Abandoned("the program no longer waits"))

    def give(self, pieces: list[memoryview]) -> None:
        """Answer with the bytes, which are valid until this returns."""
        if not self._request.is_open:
            self._interrupted.arrived(self, pieces)
        elif pieces and not self.file.may_give(self.content):
            self.fail(ContentChanged("the file changed since it was opened"))
        else:
            self.file.waiting.pop(self, None)
            self._request.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        """End the read: its bytes will not arrive, or nobody waits for them."""
        self.file.waiting.pop(self, None)
        self.file.node.note_failed(self.offset, self.offset + self.size)
        if not self._request.is_open:
            self._interrupted.failed(self)
            self.cancel()
            return
        if isinstance(error, Interrupted):
            # Before the answer, since the program repeats the read at once.
            self._interrupted.add(self)
            self._on_failed(self.file.node, self._request, error)
            return
        self._on_failed(self.file.node, self._request, error)
        self.cancel()

    def cancel(self) -> None:
        """Cancel the read of the source."""
        if self._cancel is not None:
            self._cancel()
