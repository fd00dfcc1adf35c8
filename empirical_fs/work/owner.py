"""Tells whether a process that something belongs to has ended, as far as it can be seen.

It may be one of another machine or container, so it is known by more than its number.
"""

import os
import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

_PROC = Path("/proc")
_HERE_BYTES = 16
_FIELDS = struct.Struct(f"<{_HERE_BYTES}sQQ")
_CHECKSUM_BYTES = 8
SIZE = _FIELDS.size + _CHECKSUM_BYTES
"""Bytes of an encoded owner."""
_START_TIME = 19
"""The number of the field after the name in /proc/PID/stat: when it was started (proc(5))."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process."""

    here: bytes
    """Of the boot of its machine, and of its PID namespace; zeros if that is not known."""
    pid: int
    started: int
    """When it was started, in clock ticks since the boot: a number is used again."""

    @classmethod
    def this(cls) -> "Owner":
        """This process."""
        pid = os.getpid()
        return cls(_here(), pid, _started(pid) or 0)

    @property
    def has_ended(self) -> bool:
        """Whether it is certain that it has ended."""
        here = _here()
        return any(here) and here == self.here and _started(self.pid) != self.started

    def encoded(self) -> bytes:
        """The bytes for a file or a message."""
        fields = _FIELDS.pack(self.here, self.pid, self.started)
        return fields + _checksum(fields)


def decoded(data: bytes) -> Owner | None:
    """The owner in these bytes; None if they are torn, or of a release that did not note it."""
    if len(data) < SIZE or data[_FIELDS.size : SIZE] != _checksum(data[: _FIELDS.size]):
        return None
    return Owner(*_FIELDS.unpack_from(data))


def _checksum(fields: bytes) -> bytes:
    return blake2b(fields, digest_size=_CHECKSUM_BYTES).digest()


def _here() -> bytes:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_bytes()
        space = os.readlink(_PROC / "self/ns/pid")  # noqa: PTH115 - a link to no path
    except OSError:
        return bytes(_HERE_BYTES)
    return blake2b(boot + space.encode(), digest_size=_HERE_BYTES).digest()


def _started(pid: int) -> int | None:
    """When a process was started; None if there is none, or it has ended and nobody has noticed."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[_START_TIME])
