"""Ctrl-C while the program starts, works and ends: never a traceback; signals that others ignored."""

import signal


def end_at_interruptions() -> None:
    """While the program starts, an interruption ends it at once, as it does one that is not of Python."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def hear_signals() -> None:
    """Undo what whoever started the program ignores or blocks for itself, which is inherited (execve(2)).

    Where SIGCHLD is ignored, nobody can tell how a child ended.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def heed_interruptions() -> None:
    """From now on an interruption is a KeyboardInterrupt, for there may be something to clear up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interruptions() -> None:
    """The program ends anyway."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
