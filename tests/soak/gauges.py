"""What the file system holds, seen from outside."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.harness import Mounted, Sandbox, wait_until

_THREADS_MORE, _DESCRIPTORS_MORE, _MEMORY_MORE_MIB = 12, 64, 48
"""What pools may still have grown by: threads of libfuse's, idle connections, freed blocks."""


@dataclass(frozen=True)
class Gauges:
    """At a moment when nobody reads."""

    threads: int
    descriptors: int
    memory_mib: float
    in_flight: int
    """Requests that the servers are at."""

    def __str__(self) -> str:
        """As a line for people."""
        return ", ".join(f"{name} {value:.0f}" for name, value in asdict(self).items())

    def grown_since(self, start: "Gauges") -> list[str]:
        """What has not returned to its start."""
        grown = {
            "threads": self.threads > start.threads + _THREADS_MORE,
            "descriptors": self.descriptors > start.descriptors + _DESCRIPTORS_MORE,
            "memory": self.memory_mib > start.memory_mib + _MEMORY_MORE_MIB,
            "requests in flight": self.in_flight > 0,
        }
        return [name for name, has_grown in grown.items() if has_grown]


def gauges(mounted: Mounted, sandbox: Sandbox) -> Gauges:
    """Wait until the servers have nothing to do any more, and look."""

    def in_flight() -> int:
        return sum(sandbox.requests()["in_flight"].values())

    wait_until(lambda: in_flight() == 0, "the end of all requests", 60)
    process = Path("/proc") / str(mounted.pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Gauges(
        threads=len(list((process / "task").iterdir())),
        descriptors=len(list((process / "fd").iterdir())),
        memory_mib=int(status["VmRSS"].split()[0]) / 2**10,
        in_flight=in_flight(),
    )
