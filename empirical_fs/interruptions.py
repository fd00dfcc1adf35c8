"""Handles Ctrl-C at the start, during work and at the end, without tracebacks; resets inherited signals."""

import signal


def end_at_interruptions() -> None:
    """Let Ctrl-C end the program at once, without a traceback; for the time while it starts."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def hear_signals() -> None:
    """Reset SIGCHLD and the signal mask, which are inherited from the parent process (execve(2)).

    If SIGCHLD is ignored, the exit status of a child process is lost.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def heed_interruptions() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on, since there may be something to clean up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interruptions() -> None:
    """Ignore Ctrl-C from now on, since the program is ending anyway."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
