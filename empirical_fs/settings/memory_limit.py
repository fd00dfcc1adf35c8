"""How much memory the container or the service that this process is in may have: the limit of its cgroup."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NO_LIMIT = 2**60
"""Bytes from which a limit is none: cgroup 1 writes a number near 2**63 for that."""

_BASE = 64 * 2**20
"""Bytes that a mount takes without what is fetched ahead: Python, and the listing of a common project."""
_SHARE = 2
_DEFAULT, _LEAST = 256 * 2**20, 4 * 2**20


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """Bytes that the cgroup of this process, and those around it, may have; None without a limit.

    Both versions of cgroups are looked at (cgroups(7)). In a container the names in /proc may be those of the
    host, and what is ours is at the top.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = [limit for line in lines for place in _places(line, cgroups) for limit in _limits(place)]
    return min(limits, default=None)


def default_budget(limit: int | None) -> int:
    """Bytes for what is fetched ahead, of a process that may have `limit` bytes in all.

    Half of what is left beside the process itself: the other half is for what a large project and many open
    files take.
    """
    if limit is None:
        return _DEFAULT
    return min(max((limit - _BASE) // _SHARE, _LEAST), _DEFAULT)


def _places(line: str, cgroups: Path) -> Iterator[tuple[Path, PurePosixPath, str]]:
    """Where to look for what a line of /proc/self/cgroup says: a folder, the path in it, and the file."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    inside = PurePosixPath(path.lstrip("/"))
    if not controllers:
        yield cgroups, inside, "memory.max"
        yield cgroups / "unified", inside, "memory.max"
    elif "memory" in controllers.split(","):
        yield cgroups / "memory", inside, "memory.limit_in_bytes"


def _limits(place: tuple[Path, PurePosixPath, str]) -> Iterator[int]:
    """The limits of a cgroup and of all around it."""
    folder, inside, name = place
    if ".." in inside.parts:
        inside = PurePosixPath()  # it is outside of what this container sees
    for each in (inside, *inside.parents):
        try:
            text = (folder / each / name).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            yield int(text)
