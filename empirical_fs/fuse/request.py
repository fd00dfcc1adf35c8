"""One request of the kernel, which is answered exactly once: at once, or later by whoever has the answer."""

import ctypes
import errno
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from empirical_fs.errors import Abandoned, DeadlinePassed, EmpiricalError, Interrupted
from empirical_fs.fuse.callers import is_ending
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.structures import INTERRUPTED, Context, Piece
from empirical_fs.work.timer import Alarm, Timer

OnGivenUp = Callable[[EmpiricalError], object]
"""Told that nobody waits for an answer any more, and why; it answers that, and ends what was begun for it."""

_GRACE_SECONDS = 0.75
"""How long an answer may still come for a caller that handles its signal."""

log = logging.getLogger(__name__)


class OpenRequests:
    """The requests that are open.

    No lock: each step is one operation on a dictionary, which Python serialises.

    Whoever takes a request off `_open` is the one to answer it.
    """

    def __init__(self, library: Library, timer: Timer) -> None:
        """Nothing was asked yet; deadlines are `timer`'s."""
        self.library = library
        self.timer = timer
        self._open: dict[Request, None] = {}
        self._interruptible: dict[int, Request] = {}
        self._interrupted = INTERRUPTED(self._interrupt)

    def accept(self, request: "Request") -> None:
        """Take note of a request that has just come."""
        self._open[request] = None

    def is_open(self, request: "Request") -> bool:
        """Whether it is still to be answered."""
        return request in self._open

    def answer(self, request: "Request", reply: Callable[..., int | None], *words: Any) -> int | None:
        """Answer by `reply`: 0, or an errno where the caller is gone; None if somebody was faster."""
        try:
            del self._open[request]
        except KeyError:
            return None
        if request.is_deferred:
            request.settle()
        try:
            # Libfuse gives a negative errno, and nothing where the kernel takes no answer.
            return -(reply(request.raw, *words) or 0)
        except MemoryError:
            self.library.reply_err(request.raw, errno.ENOMEM)
            return errno.ENOMEM

    def listen(self, request: "Request") -> bool:
        """Have the request given up when the kernel says that its caller was interrupted; False if it was.

        Where the caller was interrupted before, libfuse calls back at once, and uses the request afterwards:
        it must not be answered from there (fuse_req_interrupt_func in fuse_lowlevel.c).
        """
        number = id(request)
        self._interruptible[number] = request
        self.library.on_interrupt(request.raw, self._interrupted, number)
        return request.comes_first()

    def stop_listening(self, request: "Request") -> None:
        """The request is about to be answered."""
        self._interruptible.pop(id(request), None)

    def end(self, error: EmpiricalError) -> None:
        """Give up all that wait, with `error`."""
        for request in list(self._open):
            request.give_up(error)

    def _interrupt(self, _raw: int, number: int) -> None:
        """Libfuse calls this, and keeps that request until it returns, unless it calls from `listen`."""
        try:
            request = self._interruptible.get(number)
            if request is not None and not request.comes_first():
                request.interrupt()
        except BaseException:
            log.exception("an interruption failed in a way that it should not")


class Request:
    """A request of the kernel."""

    __slots__ = (
        "_alarm",
        "_first",
        "_on_given_up",
        "_requests",
        "caller",
        "deferred_at",
        "is_deferred",
        "raw",
    )

    def __init__(self, requests: OpenRequests, raw: int) -> None:
        """The request that libfuse knows as `raw`, until it is answered."""
        self._requests = requests
        self.raw = raw
        self.is_deferred = False
        """Whether somebody is to answer later."""
        self.deferred_at = 0.0
        """When that was said first, on the monotonic clock."""
        self._on_given_up: OnGivenUp | None = None
        self._alarm: Alarm | None = None
        self.caller = 0
        """The thread that asks, of a request that is deferred; 0 for one that cannot be seen from here."""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be answered."""
        return self._requests.is_open(self)

    @property
    def context(self) -> Context:
        """Who asks; only before the answer, in the operation itself."""
        return self._requests.library.context(self.raw)

    def defer(self, seconds: float, on_given_up: OnGivenUp) -> None:
        """Answer later, within `seconds`; otherwise, and when the caller is interrupted, it is given up.

        To be called before anybody else may answer, who would have libfuse free the request under our hands.
        """
        self.is_deferred, self.deferred_at = True, time.monotonic()
        self._on_given_up = on_given_up
        self._first = [None]
        self.caller = self.context.pid
        is_interrupted = not self._requests.listen(self)
        self._alarm = self._requests.timer.after(seconds, self._expire)
        if is_interrupted:
            self.interrupt()

    def hand_to(self, on_given_up: OnGivenUp) -> None:
        """Have somebody else answer from now on, who is told in place of the one before."""
        self._on_given_up = on_given_up

    def interrupt(self) -> None:
        """A signal has interrupted the caller: give this up, at once if the caller is about to end.

        Who handles the signal, or stops and goes on, or cannot be seen, may have the answer for a while.
        """
        if is_ending(self.caller):
            self._abandon()
        else:
            self._requests.timer.after(_GRACE_SECONDS, self._abandon)

    def _abandon(self) -> None:
        if is_ending(self.caller):
            self.give_up(Abandoned("the reader does not wait any more"))
        else:
            self.give_up(Interrupted("the reader was interrupted"))

    def comes_first(self) -> bool:
        """Whether this is the first of two calls: `listen` asks at its end, an interruption when it comes.

        Whoever comes second has the request given up.
        """
        try:
            # One operation on the list, which Python serialises.
            self._first.pop()
        except IndexError:
            return False
        return True

    def give_up(self, error: EmpiricalError) -> None:
        """Nobody waits for this any more, because of `error`."""
        if self._on_given_up is not None and self.is_open:
            self._on_given_up(error)

    def settle(self) -> None:
        """Drop what would give it up."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._requests.stop_listening(self)

    def _expire(self) -> None:
        self.give_up(DeadlinePassed("it could not be had in time"))

    def refuse(self, number: int) -> bool:
        """Answer with an errno, or 0 for success; False if it was answered already."""
        return self._answer(self._requests.library.reply_err, number) is not None

    def forget(self) -> None:
        """End a request that takes no answer."""
        self._answer(self._requests.library.reply_none)

    def give_entry(self, entry: Any) -> bool:
        """Answer with a `struct fuse_entry_param`; False if the caller is gone: then it is no lookup."""
        return self._answer(self._requests.library.reply_entry, ctypes.byref(entry)) == 0

    def give_attributes(self, attributes: Any, seconds: float) -> bool:
        """Answer with a `struct stat`, which the kernel may keep for so long."""
        return self._answer(self._requests.library.reply_attr, ctypes.byref(attributes), seconds) == 0

    def give_open(self, info: Any) -> bool:
        """Answer an open; False if the caller is gone: then there is no handle."""
        return self._answer(self._requests.library.reply_open, ctypes.byref(info)) == 0

    def give_bytes(self, data: bytes) -> bool:
        """Answer with bytes."""
        return self._answer(self._requests.library.reply_buf, data, len(data)) == 0

    def give(self, pieces: Sequence[memoryview]) -> bool:
        """Answer with bytes that lie elsewhere, one piece after the other, and stay until this returns."""
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
        """Answer how large the value of an extended attribute, or the list of them, is."""
        return self._answer(self._requests.library.reply_xattr, size) == 0

    def give_ioctl(self, data: bytes) -> bool:
        """Answer an ioctl, which succeeded."""
        return self._answer(self._requests.library.reply_ioctl, 0, data, len(data)) == 0

    def _answer(self, reply: Callable[..., int | None], *words: Any) -> int | None:
        answered = self._requests.answer(self, reply, *words)
        if answered is None and not self.is_deferred:
            raise AssertionError("a request was answered twice")
        return answered
