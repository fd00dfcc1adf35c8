"""One request of the kernel, which is answered exactly once: immediately, or later by any thread."""

import ctypes
import errno
import logging
from collections.abc import Callable, Sequence
from typing import Any

from empirical_fs.errors import Abandoned, DeadlinePassed, EmpiricalError, Interrupted
from empirical_fs.fuse.callers import is_ending
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.structures import INTERRUPTED, Context, Piece
from empirical_fs.work.timer import Alarm, Timer

OnGivenUp = Callable[[EmpiricalError], object]
"""Called when a request is given up, with the reason; it must answer with an error, and cancel the work."""

_GRACE_SECONDS = 0.75
"""Seconds in which the answer may still come after the caller got a signal that it handles."""

log = logging.getLogger(__name__)


class OpenRequests:
    """The requests that are not answered yet.

    No lock is needed: each step is one operation on a dictionary, which Python serialises. The thread that
    removes a request from `_open` answers it.
    """

    def __init__(self, library: Library, timer: Timer) -> None:
        """Begin without requests; `timer` ends them at their deadlines."""
        self.library = library
        self.timer = timer
        self._open: dict[Request, None] = {}
        self._interruptible: dict[int, Request] = {}
        self._interrupted = INTERRUPTED(self._interrupt)

    def accept(self, request: "Request") -> None:
        """Add a request that has just arrived."""
        self._open[request] = None

    def is_open(self, request: "Request") -> bool:
        """Whether a request is not answered yet."""
        return request in self._open

    def answer(self, request: "Request", reply: Callable[..., int | None], *words: Any) -> int | None:
        """Answer by calling `reply`; 0, or an errno if the caller no longer waits.

        None, without an answer, if another thread has answered.
        """
        try:
            del self._open[request]
        except KeyError:
            return None
        if request.is_deferred:
            request.settle()
        try:
            # Libfuse returns a negative errno, or nothing for requests without an answer.
            return -(reply(request.raw, *words) or 0)
        except MemoryError:
            self.library.reply_err(request.raw, errno.ENOMEM)
            return errno.ENOMEM

    def listen(self, request: "Request") -> bool:
        """Let libfuse call back when the caller of a request is interrupted; False if it already was.

        In that case libfuse calls back immediately, and uses the request afterwards, so the callback must not
        answer it (fuse_req_interrupt_func in fuse_lowlevel.c).
        """
        number = id(request)
        self._interruptible[number] = request
        self.library.on_interrupt(request.raw, self._interrupted, number)
        return request.comes_first()

    def stop_listening(self, request: "Request") -> None:
        """Ignore later interruptions of a request, which is about to be answered."""
        self._interruptible.pop(id(request), None)

    def end(self, error: EmpiricalError) -> None:
        """Give up all open requests, with `error`."""
        for request in list(self._open):
            request.give_up(error)

    def _interrupt(self, _raw: int, number: int) -> None:
        """Handle an interruption. Libfuse calls this, and keeps the request until it returns.

        That is not so when libfuse calls from within `listen`.
        """
        try:
            request = self._interruptible.get(number)
            if request is not None and not request.comes_first():
                request.interrupt()
        except BaseException:
            log.exception("handling an interruption failed unexpectedly")


class Request:
    """A request of the kernel."""

    __slots__ = ("_alarm", "_first", "_on_given_up", "_requests", "caller", "is_deferred", "raw")

    def __init__(self, requests: OpenRequests, raw: int) -> None:
        """Wrap the request at libfuse's pointer `raw`, which is valid until the answer."""
        self._requests = requests
        self.raw = raw
        self.is_deferred = False
        """Whether it is answered later, after the operation has returned."""
        self._on_given_up: OnGivenUp | None = None
        self._alarm: Alarm | None = None
        self.caller = 0
        """The id of the thread that sent a deferred request; 0 for a thread of another PID namespace."""

    @property
    def is_open(self) -> bool:
        """Whether it is not answered yet."""
        return self._requests.is_open(self)

    @property
    def context(self) -> Context:
        """The user, group and thread that sent it. Only valid in the operation itself, before the answer."""
        return self._requests.library.context(self.raw)

    def defer(self, seconds: float, on_given_up: OnGivenUp) -> None:
        """Answer later. The request is given up after `seconds`, or when the caller is interrupted.

        Call this before another thread may answer, since the answer makes libfuse free the request.
        """
        self.is_deferred = True
        self._on_given_up = on_given_up
        self._first = [None]
        self.caller = self.context.pid
        is_interrupted = not self._requests.listen(self)
        self._alarm = self._requests.timer.after(seconds, self._expire)
        if is_interrupted:
            self.interrupt()

    def hand_to(self, on_given_up: OnGivenUp) -> None:
        """Call `on_given_up` from now on, in place of the previous function: another object will answer."""
        self._on_given_up = on_given_up

    def interrupt(self) -> None:
        """Give the request up, since a signal has interrupted the caller; at once if the caller is ending.

        A caller that handles the signal, or was stopped, or cannot be seen, may still get the answer for a
        moment.
        """
        if is_ending(self.caller):
            self._abandon()
        else:
            self._requests.timer.after(_GRACE_SECONDS, self._abandon)

    def _abandon(self) -> None:
        """Give the request up, with an error that says whether the caller is ending."""
        if is_ending(self.caller):
            self.give_up(Abandoned("the program no longer waits"))
        else:
            self.give_up(Interrupted("the program was interrupted by a signal"))

    def comes_first(self) -> bool:
        """Whether this is the first of two calls, one from the end of `listen`, one from an interruption.

        Whichever comes second must have the request given up.
        """
        try:
            # One operation on the list, which Python serialises.
            self._first.pop()
        except IndexError:
            return False
        return True

    def give_up(self, error: EmpiricalError) -> None:
        """Give up the request because of `error`, if it is deferred and not answered yet."""
        if self._on_given_up is not None and self.is_open:
            self._on_given_up(error)

    def settle(self) -> None:
        """Cancel the deadline, and ignore interruptions: the request is being answered."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._requests.stop_listening(self)

    def _expire(self) -> None:
        self.give_up(DeadlinePassed("it could not be had in time"))

    def refuse(self, number: int) -> bool:
        """Answer with an errno, or with 0 for success; False if it was answered already."""
        return self._answer(self._requests.library.reply_err, number) is not None

    def forget(self) -> None:
        """End a request that needs no answer."""
        self._answer(self._requests.library.reply_none)

    def give_entry(self, entry: Any) -> bool:
        """Answer with a `struct fuse_entry_param`; False if the caller has left: it is no lookup then."""
        return self._answer(self._requests.library.reply_entry, ctypes.byref(entry)) == 0

    def give_attributes(self, attributes: Any, seconds: float) -> bool:
        """Answer with a `struct stat`, which the kernel may cache for `seconds`."""
        return self._answer(self._requests.library.reply_attr, ctypes.byref(attributes), seconds) == 0

    def give_open(self, info: Any) -> bool:
        """Answer an open; False if the caller has left, so the kernel keeps no handle."""
        return self._answer(self._requests.library.reply_open, ctypes.byref(info)) == 0

    def give_bytes(self, data: bytes) -> bool:
        """Answer with bytes."""
        return self._answer(self._requests.library.reply_buf, data, len(data)) == 0

    def give(self, pieces: Sequence[memoryview]) -> bool:
        """Answer with the bytes of all `pieces` in order, which must stay valid until this returns."""
        library = self._requests.library
        if len(pieces) == 1:
            first = ctypes.byref(ctypes.c_char.from_buffer(pieces[0]))
            return self._answer(library.reply_buf, first, len(pieces[0])) == 0
        if not pieces:
            return self.give_bytes(b"")
        starts = (ctypes.addressof(ctypes.c_char.from_buffer(piece)) for piece in pieces)
        table = [Piece(start, len(piece)) for start, piece in zip(starts, pieces, strict=True)]
        return self._answer(library.reply_iov, (Piece * len(table))(*table), len(table)) == 0

    def give_statfs(self, space: Any) -> bool:
        """Answer with a `struct statvfs`."""
        return self._answer(self._requests.library.reply_statfs, ctypes.byref(space)) == 0

    def give_size(self, size: int) -> bool:
        """Answer with the size in bytes of an extended attribute's value, or of the list of names."""
        return self._answer(self._requests.library.reply_xattr, size) == 0

    def give_ioctl(self, data: bytes) -> bool:
        """Answer an ioctl with success, and `data`."""
        return self._answer(self._requests.library.reply_ioctl, 0, data, len(data)) == 0

    def _answer(self, reply: Callable[..., int | None], *words: Any) -> int | None:
        answered = self._requests.answer(self, reply, *words)
        if answered is None and not self.is_deferred:
            raise AssertionError("a request was answered twice")
        return answered
