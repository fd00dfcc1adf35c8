"""The project that is soaked: what every file may hold now, and the faults that its servers have."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from tests.support.harness import Sandbox, noise

KIB, MIB = 2**10, 2**20

_SMALL, _MEDIUM, _MOVING = 200, 20, 5
_LONG_AGO = time.time() - 10_000.0
"""What is dated so is read from a disk cache at once; of what is new, the store may not have all yet."""


class Contents:
    """What each file may hold: one version where nobody replaces it, else every one that there was.

    The lock guards the versions of those that are replaced.
    """

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        """Upload files of all sizes, made from `seed`."""
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._versions: dict[str, list[bytes]] = {}
        for number in range(_SMALL):
            self._add(f"small-{number:03}.txt", 1 + number * 317 % (64 * KIB), seed + number)
        for number in range(_MEDIUM):
            self._add(f"medium-{number:02}.bin", MIB + number * 123_457, seed + 1000 + number)
        for number in range(_MOVING):
            self._add(f"moving-{number}.bin", 500_000, seed + 2000 + number)
        self._add("large.bin", 96 * MIB, seed + 3000)
        self._replaced = 0

    @property
    def names(self) -> list[str]:
        return list(self._versions)

    @property
    def moving(self) -> list[str]:
        """Those that are replaced."""
        return [name for name in self._versions if name.startswith("moving")]

    def versions(self, name: str) -> list[bytes]:
        """What the file may hold."""
        with self._lock:
            return list(self._versions[name])

    def replace(self, name: str) -> None:
        """Upload another version, of another size as often as not, dated now or long ago."""
        with self._lock:
            self._replaced += 1
            content = noise(500_000 + self._replaced % 2 * 1000, 10_000 + self._replaced)
            self._versions[name].append(content)
            # Under the lock: the last version is the one that lies there.
            self._sandbox.put(name, content, None if self._replaced % 4 < 2 else _LONG_AGO + self._replaced)

    def _add(self, name: str, size: int, seed: int) -> None:
        content = noise(size, seed)
        self._versions[name] = [content]
        self._sandbox.put(name, content, _LONG_AGO)


def faults(share: float) -> list[dict[str, Any]]:
    """Faults of every kind that a network and its servers have, which hit `share` of all requests."""
    return [*_some("object", share, _OBJECT), *_some("list", share, _API), *_some("get", share, _API)]


def _some(on: str, share: float, actions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    each = share / len(actions)
    # What passes one rule meets the next.
    return [
        {"on": on, "action": action, "probability": min(each / (1 - number * each), 1.0)}
        for number, action in enumerate(actions)
    ]


_BOTH: tuple[dict[str, Any], ...] = (
    {"type": "reset"},
    {"type": "silence"},
    {"type": "slow-head", "seconds": 1},
    {"type": "raw", "text": "SSH-2.0-OpenSSH_9.2\r\n"},
    {"type": "status", "status": 429, "retry_after": "1"},
    {"type": "status", "status": 500},
    {"type": "status", "status": 502},
    {"type": "status", "status": 503, "retry_after": "1"},
    {"type": "cut", "after": 100},
)
_OBJECT = (
    *_BOTH,
    {"type": "status", "status": 403},
    {"type": "cut", "after": 200_000},
    {"type": "stall", "after": 1000, "seconds": 60},
    {"type": "stall", "after": 300_000, "seconds": 60},
    {"type": "stall", "after": 10_000, "seconds": 0.5},
    {"type": "whole"},
    {"type": "html"},
    {"type": "headers", "remove": ["etag"]},
    {"type": "headers", "remove": ["content-length"]},
    {"type": "resize", "by": 7, "length": "none"},
    {"type": "resize", "by": -7, "length": "none"},
    {"type": "resize", "by": 2000, "length": "kept"},
)
_API = (*_BOTH, {"type": "html"}, {"type": "body", "body": '{"data": {"resources": ['})
