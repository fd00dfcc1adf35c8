"""Keeps secrets of the process (the key, signed URLs, contents) out of core dumps, files and /proc."""

import ctypes
import os
import resource
import sys
from typing import TextIO

KEY_VARIABLE = "EMPIRICALRUN_KEY"
"""The environment variable that has the key."""

_TOO_LITTLE = 1
"""The limit of a core dump in bytes. 0 would only forbid a core file; with 1 the kernel does not start a
program that receives core dumps either (fs/coredump.c)."""
_STANDARD = 3
"""The number of standard descriptors (stdin, stdout, stderr), which programs use without opening them."""


def guard() -> None:
    """Make it safe for the process to hold the API key; every command does this first.

    No core dump is written or piped to a program. Descriptors 0 to 2 are open, so that no file of ours gets a
    number that messages are written to. Printing never fails because of a character that cannot be encoded.
    """
    forbid_dumps()
    _open_standard_descriptors()
    sys.stdout, sys.stderr = _unbreakable(sys.stdout, 1), _unbreakable(sys.stderr, 2)


def forbid_dumps() -> None:
    """Prevent core dumps of this process, both into files and to programs.

    The process stays dumpable (prctl(2)): otherwise its user could not inspect it in /proc, and programs that
    monitor a mount's descriptors and memory maps would need root.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    # If dumps are forbidden already (LimitCORE=0), only a privileged process may raise the limit.
    limit = 0 if most == 0 else _TOO_LITTLE
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))


def take_key_variable() -> str | None:
    """Take the API key out of the environment; every command does this first, even if it needs no key.

    Every copy in the memory that `ps e` and /proc/PID/environ show is overwritten.
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
    """The addresses of the C library's NAME=VALUE strings."""
    first = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    addresses: list[int] = []
    while first and (address := first[len(addresses)]):
        addresses.append(address)
    return addresses


def _open_standard_descriptors() -> None:
    """Open those of descriptors 0 to 2 that the parent process had closed."""
    while (descriptor := _open_nothing()) < _STANDARD:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keywords
    os.close(descriptor)


def _open_nothing() -> int:
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:
        # A container may have no /dev at all; writing to a directory fails without harm.
        return os.open("/", os.O_RDONLY)


def _unbreakable(stream: TextIO | None, descriptor: int) -> TextIO:
    """Make a stream write characters that its encoding lacks as escapes."""
    if stream is None:  # it was closed when Python started
        return open(descriptor, "w", errors="backslashreplace", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
