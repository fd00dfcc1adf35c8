"""A network of the benchmark's own, whose link carries as much as is said, as the kernel limits it."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.harness import run

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of unshare(2)."""
_BURST, _QUEUE = "1mb", "100ms"
"""What may go at once (packets of the loopback have up to 64 KiB), and how long a packet may wait."""


class Link:
    """The loopback of a network that only this process and its children are in, or of the machine."""

    def __init__(self) -> None:
        """Go into a network of our own, which only root may. Nothing else may run in this process yet."""
        self.is_own = os.geteuid() == 0 and ctypes.CDLL(None).unshare(_NEW_NETWORK) == 0
        if self.is_own:
            run("ip", "link", "set", "lo", "up")

    @contextmanager
    def carrying(self, megabits: int) -> Iterator[None]:
        """Limit what goes through, in Mbit/s; only where the network is our own."""
        assert self.is_own
        limits = ("rate", f"{megabits}mbit", "burst", _BURST, "latency", _QUEUE)
        run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", *limits)
        try:
            yield
        finally:
            run("tc", "qdisc", "del", "dev", "lo", "root")
