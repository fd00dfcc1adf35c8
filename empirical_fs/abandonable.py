"""Work that may hang in the kernel, done by a forked process that can be abandoned, and a wait for it."""

import gc
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress

_END_SECONDS, _PAUSE = 0.2, 0.0005
"""Seconds within which a killed process ends, unless it hangs in the kernel, and before the second look."""


def start(work: Callable[[], object]) -> int:
    """Call `work` in a forked process, which then ends; returns its number.

    No other thread goes on in that process, and it handles no signals: only `abandon` ends it earlier.

    Raises:
        OSError: the system has no process for it.
    """
    # Python drops what a handler raises while a fork is under way.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    process = -1
    try:
        process = os.fork()
        if process == 0:
            _do(work)
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException:  # the handler of a signal that came meanwhile
            if process > 0:
                abandon(process)
            raise
    return process


def abandon(process: int) -> None:
    """Kill a process that `start` has started, if it has not ended, and wait a moment for its end."""
    pause, deadline = _PAUSE, time.monotonic() + _END_SECONDS
    # The kernel waits for it in our place if whoever started us ignores SIGCHLD.
    with suppress(ChildProcessError):
        if os.waitpid(process, os.WNOHANG)[0] == 0:
            os.kill(process, signal.SIGKILL)
            while os.waitpid(process, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
                time.sleep(pause)
                pause *= 2


def is_readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, or the end; False if neither comes in so many seconds."""
    # Unlike select(2), this takes any descriptor: whoever started us may have left a thousand open.
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(max(seconds, 0.0) * 1000))


def _do(work: Callable[[], object]) -> None:
    try:
        gc.disable()  # what it would collect is the other process's to end
        work()
    finally:
        os._exit(0)
