"""Ends a mount on the signals that end a process."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from empirical_fs.errors import NoThread, SetupError
from empirical_fs.mount.lifecycle import Lifecycle

_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_UNMOUNT_TRIES, _UNMOUNT_PAUSE = 10, 0.2
_UNMOUNT_FAILURES = (SetupError, OSError)

log = logging.getLogger(__name__)


class Signals:
    """Ends the mount that there is, on a signal.

    No lock: the main thread sets which it is, and another reads it.
    """

    def __init__(self) -> None:
        """Catch none yet."""
        self._lifecycle: Lifecycle | None = None

    def end(self, lifecycle: Lifecycle) -> None:
        """Unmount this one on a signal from now on.

        Raises:
            NoThread: there is nobody to wait for one.
        """
        is_first = self._lifecycle is None
        self._lifecycle = lifecycle
        if is_first:
            _stop_on_signals(self._unmount)

    def _unmount(self) -> bool:
        return self._lifecycle is not None and self._lifecycle.unmount()


def _stop_on_signals(unmount: Callable[[], bool]) -> None:
    """Unmount on a signal, from a thread of its own.

    The main thread is inside libfuse, where Python runs no handler, and libfuse's own would wait for
    reads that wait for the network.
    """
    # Under nohup, what is blocked would come in spite of being ignored.
    stopping = {number for number in _STOPPING if number != signal.SIGHUP or not _is_ignored(number)}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)

    def wait() -> None:
        while True:
            received = signal.sigwait(stopping)
            log.info("unmounting on %s", signal.Signals(received).name)
            try:
                is_ending = _insistently(unmount)
            except _UNMOUNT_FAILURES as error:
                log.error("%s", error)
            else:
                if not is_ending:
                    # Who ends the process wants it gone; open files get ENOTCONN, as from any FUSE program.
                    logging.shutdown()
                    os._exit(0)

    try:
        threading.Thread(target=wait, name="signals", daemon=True).start()
    except RuntimeError as error:
        raise NoThread from error


def _insistently(unmount: Callable[[], bool]) -> bool:
    """What `unmount` returns, which may fail for want of descriptors that the readers are about to free.

    Raises:
        SetupError, OSError: it failed each time.
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
