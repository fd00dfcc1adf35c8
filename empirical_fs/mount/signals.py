"""Unmounts on the signals that usually end a process."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

from empirical_fs.errors import NoThread, SetupError
from empirical_fs.mount.lifecycle import Lifecycle

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_UNMOUNT_TRIES, _UNMOUNT_PAUSE = 10, 0.2
_UNMOUNT_FAILURES = (SetupError, OSError)

log = logging.getLogger(__name__)


class Signals:
    """Unmounts the present mount on a signal.

    It needs no lock: the main thread sets which mount that is, and one other thread reads it.
    """

    def __init__(self) -> None:
        """Catch no signals yet."""
        self._lifecycle: Lifecycle | None = None

    def end(self, lifecycle: Lifecycle) -> None:
        """Unmount this mount, and no longer the one before, on a signal from now on.

        Raises:
            NoThread: the system has no thread that could wait for signals.
        """
        is_first = self._lifecycle is None
        self._lifecycle = lifecycle
        if is_first:
            _stop_on_signals(self._unmount)

    def _unmount(self) -> bool:
        return self._lifecycle is not None and self._lifecycle.unmount()


def _stop_on_signals(unmount: Callable[[], bool]) -> None:
    """Start a thread that hears of signals and unmounts on each.

    A signal handler would not do: the main thread waits for libfuse's threads, and these would wait for
    reads, which wait for the network. To block the signals and wait for them would not do either: a thread
    that was started before does not block them, and the kernel gives them to it.
    """
    # Nohup ignores SIGHUP.
    stopping = {number for number in _STOPPING if number != signal.SIGHUP or not _is_ignored(number)}
    heard, told = socket.socketpair()
    told.setblocking(False)  # noqa: FBT003 - it takes no keywords

    def wait() -> None:
        while True:
            (received,) = heard.recv(1)
            if received not in stopping:
                continue
            log.info("unmounting on %s", signal.Signals(received).name)
            try:
                is_ending = _insistently(unmount)
            except _UNMOUNT_FAILURES as error:
                log.error("%s", error)
            else:
                if not is_ending:
                    # The user wants the process to end, so do not wait for open files: they get ENOTCONN, as
                    # with any FUSE program.
                    logging.shutdown()
                    os._exit(0)

    try:
        threading.Thread(target=wait, name="signals", daemon=True).start()
    except RuntimeError as error:
        raise NoThread from error
    # Python writes the number of a signal there at once, whichever thread gets it. First that, and then the
    # handlers: so no signal in between is lost.
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    for number in stopping:
        signal.signal(number, _no_more)


def _no_more(_number: int, _frame: FrameType | None) -> None:
    """The thread that hears of the signal does all that is to be done."""


def _insistently(unmount: Callable[[], bool]) -> bool:
    """Call `unmount`, a few times if it fails: it may lack file descriptors that reads are about to close.

    Raises:
        SetupError, OSError: every try failed.
    """
    for _ in range(_UNMOUNT_TRIES - 1):
        try:
            return unmount()
        except _UNMOUNT_FAILURES as error:
            log.info("unmounting failed, and is tried again in %s s: %s", _UNMOUNT_PAUSE, error)
        time.sleep(_UNMOUNT_PAUSE)
    return unmount()


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
