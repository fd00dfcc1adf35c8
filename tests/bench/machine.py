"""On what the figures were measured."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

from empirical_fs import __version__
from tests.bench.mounts import RCLONE
from tests.support import nginx
from tests.support.harness import run

_TOP = Path(__file__).parents[2]


def facts() -> dict[str, str | int]:
    """The machine and the programs, for the reader of a result."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "empirical-fs": __version__,
        "commit": run("git", "-C", _TOP, "describe", "--always", "--dirty", check=False).stdout.strip(),
        "cpu": _cpu(),
        "cpus": os.cpu_count() or 0,
        "memory": _line("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "rclone": run(RCLONE, "version").stdout.splitlines()[0],
        "nginx": run(nginx.program(), "-v").stderr.strip(),
    }


def _cpu() -> str:
    return _line("/proc/cpuinfo", "model name") or platform.machine()


def _line(path: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.*)$", Path(path).read_text(), re.MULTILINE)
    return match[1] if match else ""
