"""Keeps what the process knows (the key, signed URLs, contents) out of files."""

import resource

_TOO_LITTLE = 1
"""Bytes. 0 would forbid a core file alone; with 1 the kernel does not start a program that takes core dumps
either (fs/coredump.c)."""


def forbid_dumps() -> None:
    """Have no core dump of this process written or piped to a program."""
    resource.setrlimit(resource.RLIMIT_CORE, (_TOO_LITTLE, _TOO_LITTLE))
