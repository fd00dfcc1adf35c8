"""How long the kernel lets a request of FUSE wait before it ends the whole mount (Linux, from 6.15).

Documentation/admin-guide/sysctl/fs.rst, "fuse": fs.fuse.default_request_timeout is for file systems that
ask for none, as ours; fs.fuse.max_request_timeout is the most there may be, whatever is asked. Both are in
seconds, and 0 is no limit. What is older at a check, of which there is one every 15 seconds, aborts the
connection.
"""

from dataclasses import dataclass
from pathlib import Path

SYSCTLS = Path("/proc/sys/fs/fuse")
DEFAULT, MAXIMUM = "default_request_timeout", "max_request_timeout"

_SHARE, _RESERVE_SECONDS, _SHARE_MIN = 0.9, 5.0, 0.5
"""Of the kernel's limit, what we take: a request waits in its queue too, and a command has more time than a
read (fuse/operations.py)."""


@dataclass(frozen=True, slots=True)
class KernelDeadline:
    """The limit of a mount that is made now."""

    sysctl: str
    """The one that it is by."""
    seconds: float

    @property
    def usable(self) -> float:
        """The seconds within which we are to answer."""
        return max(self.seconds * _SHARE - _RESERVE_SECONDS, self.seconds * _SHARE_MIN)


def kernel_deadline(sysctls: Path = SYSCTLS) -> KernelDeadline | None:
    """The limit, if there is one."""
    limits = [KernelDeadline(f"fs.fuse.{name}", _seconds(sysctls / name)) for name in (DEFAULT, MAXIMUM)]
    return min((each for each in limits if each.seconds), key=lambda each: each.seconds, default=None)


def below(timeout: float, limit: KernelDeadline | None) -> float:
    """A deadline in seconds that is under the limit."""
    return timeout if limit is None else min(timeout, limit.usable)


def _seconds(path: Path) -> float:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0  # an older kernel, or no FUSE yet
