"""What the system says of the thread that a request is from: whether anybody will take the answer."""

import os
from pathlib import Path

_PROC = Path("/proc")
_EXITING = 0x4
"""PF_EXITING among the flags of a task (linux/sched.h)."""
_FLAGS_FIELD = 6
"""Where /proc/PID/stat has these, counted from the state, which is 0 (proc(5))."""
_KILLED = 1 << 8
"""SIGKILL in a set of signals; Linux adds it with every signal that ends a process (complete_signal)."""
_PENDING = ("SigPnd:", "ShdPnd:")


def has_ended(thread: int) -> bool:
    """Whether a thread is gone or about to be; one that cannot be seen from here is not said to be."""
    if thread <= 0:
        return False
    try:
        fields = (_PROC / str(thread) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return not _exists(thread)
    return fields[0] in "ZX" or bool(int(fields[_FLAGS_FIELD]) & _EXITING)


def is_ending(thread: int) -> bool:
    """Whether a thread that was interrupted will not go on; so it is said of one that cannot be seen."""
    if thread <= 0:
        return True
    try:
        lines = (_PROC / str(thread) / "status").read_text().splitlines()
    except OSError:
        return True
    pending = (line.split()[1] for line in lines if line.startswith(_PENDING))
    return any(int(signals, 16) & _KILLED for signals in pending) or has_ended(thread)


def _exists(thread: int) -> bool:
    try:
        os.kill(thread, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
