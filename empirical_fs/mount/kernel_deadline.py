"""How long the kernel lets a FUSE request wait before it ends the whole mount (Linux 6.15 and newer).

Source: Documentation/admin-guide/sysctl/fs.rst, "fuse". fs.fuse.default_request_timeout holds for file
systems that request no timeout, like ours; fs.fuse.max_request_timeout is the maximum for all. Both are in
seconds, and 0 means no limit. The kernel checks every 15 seconds, and aborts the connection if a request is
older than the limit.
"""

from dataclasses import dataclass
from pathlib import Path

SYSCTLS = Path("/proc/sys/fs/fuse")
DEFAULT, MAXIMUM = "default_request_timeout", "max_request_timeout"

_SHARE, _RESERVE_SECONDS, _SHARE_MIN = 0.9, 5.0, 0.5
"""We use a part of the kernel's limit, as requests also wait in the kernel's queue, and as a command may take
longer than a read (fuse/operations.py)."""


@dataclass(frozen=True, slots=True)
class KernelDeadline:
    """The kernel's limit for a mount that is made now."""

    sysctl: str
    """The name of the sysctl that sets the limit."""
    seconds: float

    @property
    def usable(self) -> float:
        """The seconds within which we must answer."""
        return max(self.seconds * _SHARE - _RESERVE_SECONDS, self.seconds * _SHARE_MIN)


def kernel_deadline(sysctls: Path = SYSCTLS) -> KernelDeadline | None:
    """The limit; None if there is none."""
    limits = [KernelDeadline(f"fs.fuse.{name}", _seconds(sysctls / name)) for name in (DEFAULT, MAXIMUM)]
    return min((each for each in limits if each.seconds), key=lambda each: each.seconds, default=None)


def below(timeout: float, limit: KernelDeadline | None) -> float:
    """`timeout`, lowered if necessary to stay below the kernel's limit; in seconds."""
    return timeout if limit is None else min(timeout, limit.usable)


def _seconds(path: Path) -> float:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0  # an older kernel, or the module fuse is not loaded yet
