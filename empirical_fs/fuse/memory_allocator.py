"""Sets how much freed memory glibc keeps."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_FREED = 16 * 2**20
_ARENAS = 2


def keep_freed_memory() -> None:
    """Make glibc keep the buffers that libfuse and Python allocate and free for every request.

    By default it returns them to the system each time, and the page faults then cost more than the copying.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_FREED)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREED)
        # Each arena keeps that much, and few are needed: Python's GIL lets few threads allocate at once.
        mallopt(_M_ARENA_MAX, _ARENAS)
