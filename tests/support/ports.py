"""Ports that no other test is given.

A port that the system chooses may have been that of another test's server a moment ago, and a client that is
still looking for that server would then ask ours.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

_FIRST, _LAST = map(int, os.environ.get("EMPIRICAL_TEST_PORTS", "10000-31999").split("-"))
"""Below 32,768, from which Linux chooses (ip_local_port_range in ip(7)). Two runs side by side share them."""


def _ports_of_this_worker() -> Iterator[int]:
    """Other workers of pytest-xdist have others; two runs at once begin at different ones."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = (_LAST + 1 - _FIRST) // workers
    first, start = _FIRST + worker * share, os.getpid() % share
    return cycle((*range(first + start, first + share), *range(first, first + start)))


_PORTS = _ports_of_this_worker()


def listening(host: str = "127.0.0.1") -> socket.socket:
    """A server's socket at a port that no other test is given."""
    for port in _PORTS:
        with suppress(OSError):  # another program has it
            return socket.create_server((host, port))
    raise AssertionError("the ports never end")


def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens at, and no other test is given."""
    with listening() as server:
        port: int = server.getsockname()[1]
    return port
