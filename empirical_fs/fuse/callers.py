"""Finds out from /proc whether the thread that sent a request has ended or is ending."""

import os
from pathlib import Path

_PROC = Path("/proc")
_EXITING = 0x4
"""PF_EXITING among the flags of a task (linux/sched.h)."""
_FLAGS_FIELD = 6
"""The index of these flags in /proc/PID/stat, counted from the state, which is 0 (proc(5))."""
_KILLED = 1 << 8
"""The bit of SIGKILL in a signal set; Linux adds it to every signal that ends a process (complete_signal)."""
_PENDING = ("SigPnd:", "ShdPnd:")


def has_ended(thread: int) -> bool:
    """Whether a thread has ended or is exiting; False for one that cannot be seen."""
    if thread <= 0:
        return False
    fields = _told(thread, "stat").rpartition(") ")[2].split()
    if not fields:
        return not _exists(thread)
    return fields[0] in "ZX" or bool(int(fields[_FLAGS_FIELD]) & _EXITING)


def is_ending(thread: int) -> bool:
    """Whether an interrupted thread will end instead of going on; False for one that cannot be seen.

    Threads of another PID namespace have the number 0 here (fuse_dev_do_read in Linux).
    """
    if thread <= 0:
        return False
    pending = (line.split()[1] for line in _told(thread, "status").splitlines() if line.startswith(_PENDING))
    return any(int(signals, 16) & _KILLED for signals in pending) or has_ended(thread)


def _told(thread: int, what: str) -> str:
    """The text of /proc/`thread`/`what`; empty if the thread cannot be seen there.

    /proc may belong to another PID namespace, where the number is another thread's (pid_namespaces(7)).
    """
    try:
        is_ours = str((_PROC / "self").readlink()) == str(os.getpid())
        return (_PROC / str(thread) / what).read_text(encoding="utf-8") if is_ours else ""
    except OSError:
        return ""


def _exists(thread: int) -> bool:
    try:
        os.kill(thread, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
