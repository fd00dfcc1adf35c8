"""A file that is open, and the reads of it that wait for their bytes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from empirical_fs.errors import Abandoned, ContentChanged, EmpiricalError, Interrupted
from empirical_fs.fuse.callers import has_ended
from empirical_fs.fuse.failures import Failures
from empirical_fs.fuse.lingering import Lingering
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.request import Request
from empirical_fs.reading.content import Content
from empirical_fs.reading.handle import Handle

OnFailed = Callable[[Node, Request, EmpiricalError], object]
"""Answers a read whose bytes will not come."""


_LEAVERS_MAX = 16


@dataclass(eq=False, slots=True)
class OpenFile:
    """One open of a file, whichever descriptors it has."""

    source: Handle | bytes
    node: Node
    waiting: "dict[WaitingRead, None]" = field(default_factory=dict)
    """The reads that wait for their bytes. Each step is one operation on the dictionary."""
    failures: Failures = field(default_factory=Failures)
    """The reads that failed lately."""
    left: tuple[Handle | bytes, ...] = ()
    """What it read before its inode became another version."""
    opened_at: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    """Seconds that the open took and that its first read has less: both wait for the same store."""
    is_closed: bool = False
    leavers: tuple[int, ...] = ()
    """The threads that closed a descriptor last; another object each time."""

    def may_give(self, content: object) -> bool:
        """Whether bytes of `content` may be given: its inode is of that. From then on it stays so."""
        # In this order, so that the inode does not become another version meanwhile (`Nodes.renew`).
        self.node.is_given = True
        return self.node.content is content

    def leave(self, thread: int) -> None:
        """A thread closes a descriptor: reads that it began are given up.

        Who is killed while the kernel reads ahead for it is not reported; but it closes the file, and no
        thread closes a file while it waits for its bytes. If others wait for the same pages, the kernel asks
        anew.
        """
        if thread > 0:  # else it cannot be seen from here, as others that have the same number
            self.leavers = (thread, *self.leavers[: _LEAVERS_MAX - 1])
        for waiting in list(self.waiting):
            waiting.give_up_for(thread)


class WaitingRead:
    """A read that waits: it is answered by whoever has its bytes, or hears why they will not come."""

    __slots__ = ("_cancel", "_lingering", "_on_failed", "_request", "content", "file", "offset", "size")

    def __init__(self, request: Request, opened: OpenFile, on_failed: OnFailed, lingering: Lingering) -> None:
        """The read `request` of `opened`; nothing is asked for yet.

        It goes on in `lingering` if its reader is interrupted.
        """
        self._request = request
        self.file = opened
        self._on_failed = on_failed
        self._lingering = lingering
        self.content: Content | None = None
        self.offset = self.size = 0
        self._cancel: Callable[[], object] | None = None

    def begin(self, source: Handle, offset: int, size: int, leavers: tuple[int, ...]) -> None:
        """Ask for the bytes, once the request is deferred.

        `leavers` are those who had closed a descriptor when the read came.
        """
        opened, self.content = self.file, source.content
        self.offset, self.size = offset, size
        opened.waiting[self] = None
        if opened.leavers is not leavers:
            # Who closed one meanwhile did not find this.
            self.give_up_for(opened.leavers[0])
        elif self._request.caller in leavers and has_ended(self._request.caller):
            # The kernel may send what it reads ahead after the end of its reader.
            self.fail(Abandoned("the reader does not wait any more"))
        if self._request.is_open:
            self._cancel = source.read(offset, size, self)
        if not self._request.is_open:
            opened.waiting.pop(self, None)
            self.cancel()

    def give_up_for(self, leaver: int) -> None:
        """A thread closes a descriptor: whoever does so, or is dead, waits for nothing."""
        caller = self._request.caller
        if (caller > 0 and caller == leaver) or has_ended(caller):
            self.fail(Abandoned("the reader does not wait any more"))

    def give(self, pieces: list[memoryview]) -> None:
        """The bytes are here, until this returns."""
        if not self._request.is_open:
            self._lingering.arrived(self, pieces)
        elif pieces and not self.file.may_give(self.content):
            self.fail(ContentChanged("the file changed since it was opened"))
        else:
            self.file.waiting.pop(self, None)
            self._request.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        """The bytes will not come, or nobody waits for them."""
        self.file.waiting.pop(self, None)
        self.file.node.note_failed(self.offset, self.offset + self.size)
        if not self._request.is_open:
            self._lingering.failed(self)
            self.cancel()
            return
        if isinstance(error, Interrupted):
            # Before the answer: whoever hears of it asks again at once.
            self._lingering.add(self)
            self._on_failed(self.file.node, self._request, error)
            return
        self._on_failed(self.file.node, self._request, error)
        self.cancel()

    def cancel(self) -> None:
        """End what was begun for it."""
        if self._cancel is not None:
            self._cancel()
