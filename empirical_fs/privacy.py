"""Keeps what the process knows (the key, signed URLs, contents) out of files and out of others' sight."""

import ctypes
import os
import resource
import sys
from typing import TextIO

KEY_VARIABLE = "EMPIRICALRUN_KEY"
"""The environment variable that has the key."""

_TOO_LITTLE = 1
"""Bytes. 0 would forbid a core file alone; with 1 the kernel does not start a program that takes core dumps
either (fs/coredump.c)."""
_STANDARD = 3
"""Descriptors that every program writes to and reads from without having opened them."""


def guard() -> None:
    """Make the process one that can hold a key: the first thing that every command does.

    No core dump of it is written or piped to a program; descriptors 0 to 2 are open, so that no file of ours
    gets the number that messages are written to; and what is written never fails for want of a character.
    """
    forbid_dumps()
    _open_standard_descriptors()
    sys.stdout, sys.stderr = _unbreakable(sys.stdout, 1), _unbreakable(sys.stderr, 2)


def forbid_dumps() -> None:
    """Have no core dump of this process written or piped to a program.

    The process stays dumpable (prctl(2)) otherwise: its user could not look at it in /proc, and what watches
    a mount by its descriptors and maps would need root.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # Where dumps are forbidden already (LimitCORE=0), few may raise the limit.
    limit = 0 if most == 0 else _TOO_LITTLE
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def take_key_variable() -> str | None:
    """The key from the environment, which every command takes there first, whether it needs it or not.

    Every copy is overwritten in the memory that `ps e` and /proc/PID/environ show.
    """
    value = os.environ.get(KEY_VARIABLE)
    beginning = KEY_VARIABLE.encode() + b"="
    for address in _environment_addresses():
        text = ctypes.string_at(address)
        if text.startswith(beginning):
            ctypes.memset(address + len(beginning), 0, len(text) - len(beginning))
    os.environ.pop(KEY_VARIABLE, None)
    return value


def _environment_addresses() -> list[int]:
    """Where the C library's copies of NAME=VALUE are."""
    first = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    addresses: list[int] = []
    while first and (address := first[len(addresses)]):
        addresses.append(address)
    return addresses


def _open_standard_descriptors() -> None:
    """Open those that whoever started us has closed."""
    while (descriptor := _open_nothing()) < _STANDARD:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keywords
    os.close(descriptor)


def _open_nothing() -> int:
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        # A container may have no /dev at all; what is written to a directory fails, and hurts nobody.
        return os.open("/", os.O_RDONLY)


def _unbreakable(stream: TextIO | None, descriptor: int) -> TextIO:
    """A stream that writes what its encoding does not have as an escape."""
    if stream is None:  # it was closed when Python started
        return open(descriptor, "w", errors="backslashreplace", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
