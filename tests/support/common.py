"""What the clients of unit tests share; certificates are read once, which takes as long as many tests."""

import ssl
import threading
from functools import cache

from empirical_fs.net.certificates import create_context
from empirical_fs.net.client import Common


def common(patience: float, closing: threading.Event | None = None) -> Common:
    """What a client takes that trusts what the mount does."""
    return Common(_trusted(), closing or threading.Event(), patience)


@cache
def _trusted() -> ssl.SSLContext:
    return create_context()
