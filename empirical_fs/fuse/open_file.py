"""A file that is open, and the reads of it that wait for their bytes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from empirical_fs.errors import Abandoned, ContentChanged, EmpiricalError
from empirical_fs.fuse.callers import has_ended
from empirical_fs.fuse.failures import Failures
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.request import Request
from empirical_fs.reading.content import Content
from empirical_fs.reading.open_files import Handle

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
        self.leavers = (thread, *self.leavers[: _LEAVERS_MAX - 1])
        for waiting in list(self.waiting):
            waiting.give_up_for(thread)


class WaitingRead:
    """A read that waits: it is answered by whoever has its bytes, or hears why they will not come."""

    __slots__ = ("_cancel", "_content", "_on_failed", "_opened", "_request")

    def __init__(self, request: Request, opened: OpenFile, on_failed: OnFailed) -> None:
        """The read `request` of `opened`; nothing is asked for yet."""
        self._request = request
        self._opened = opened
        self._on_failed = on_failed
        self._content: Content | None = None
        self._cancel: Callable[[], object] | None = None

    def begin(self, source: Handle, offset: int, size: int, leavers: tuple[int, ...]) -> None:
        """Ask for the bytes, once the request is deferred.

        `leavers` are those who had closed a descriptor when the read came.
        """
        opened, self._content = self._opened, source.content
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
            if self._cancel is not None:
                self._cancel()

    def give_up_for(self, leaver: int) -> None:
        """A thread closes a descriptor: whoever does so, or is dead, waits for nothing."""
        if self._request.caller == leaver or has_ended(self._request.caller):
            self.fail(Abandoned("the reader does not wait any more"))

    def give(self, pieces: list[memoryview]) -> None:
        """The bytes are here, until this returns."""
        if pieces and not self._opened.may_give(self._content):
            self.fail(ContentChanged("the file changed since it was opened"))
            return
        self._opened.waiting.pop(self, None)
        self._request.give(pieces)

    def fail(self, error: EmpiricalError) -> None:
        """The bytes will not come, or nobody waits for them."""
        self._opened.waiting.pop(self, None)
        if self._request.is_open:
            self._on_failed(self._opened.node, self._request, error)
        if self._cancel is not None:
            self._cancel()
