"""Finds the memory limit of the container or service in which this process runs (of its cgroup)."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_NO_LIMIT = 2**60
"""A limit of at least this many bytes means no limit: cgroup v1 writes a number near 2**63 for that."""

_BASE = 64 * 2**20
"""Bytes that a mount needs besides read-ahead: for Python, and the listing of a typical project."""
_SHARE = 2
_DEFAULT, _LEAST = 256 * 2**20, 4 * 2**20


def memory_limit(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int | None:
    """The lowest limit in bytes of this process's cgroup and its parents; None without a limit.

    Reads both cgroup versions (cgroups(7)). In a container the paths in /proc may be those of the host, while
    our own cgroup is mounted at the top.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = [limit for line in lines for place in _places(line, cgroups) for limit in _limits(place)]
    return min(limits, default=None)


def default_budget(limit: int | None) -> int:
    """The default read-ahead budget in bytes of a process that may use `limit` bytes in all.

    It is half of what the process itself leaves; the other half is for large projects and many open files.
    """
    if limit is None:
        return _DEFAULT
    return min(max((limit - _BASE) // _SHARE, _LEAST), _DEFAULT)


def _places(line: str, cgroups: Path) -> Iterator[tuple[Path, PurePosixPath, str]]:
    """Where the cgroup of a line of /proc/self/cgroup is: the mounted folder, the path in it, the file."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    inside = PurePosixPath(path.lstrip("/"))
    if not controllers:
        yield cgroups, inside, "memory.max"
        yield cgroups / "unified", inside, "memory.max"
    elif "memory" in controllers.split(","):
        yield cgroups / "memory", inside, "memory.limit_in_bytes"


def _limits(place: tuple[Path, PurePosixPath, str]) -> Iterator[int]:
    """The limits of a cgroup and its parents, in bytes."""
    folder, inside, name = place
    if ".." in inside.parts:
        inside = PurePosixPath()  # the path is outside of the part that this container sees
    for each in (inside, *inside.parents):
        try:
            text = (folder / each / name).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _NO_LIMIT:
            yield int(text)
