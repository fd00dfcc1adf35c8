"""The body of an answer, read as it arrives."""

from collections.abc import Callable
from typing import NoReturn

import httpx

from empirical_fs.net.streams import Stream
from empirical_fs.work.waits import Steps


class Incoming:
    """The body of an answer; raises this program's errors instead of httpx's."""

    def __init__(self, stream: Stream, raise_translated: Callable[[httpx.TransportError], NoReturn]) -> None:
        """Read `stream`; `raise_translated` raises its errors as others."""
        self._stream = stream
        self._raise_translated = raise_translated

    def arrived(self) -> Steps[None]:
        """Wait until at least a byte, or the end of the body, has arrived.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        try:
            wait = self._stream.wait()
            if wait is not None and not (yield wait):
                raise httpx.ReadTimeout("the body stalled")
        except httpx.TransportError as error:
            self._raise_translated(error)

    def read_into(self, view: memoryview) -> int:
        """Read into `view` what has arrived, at least a byte; returns the number of bytes, 0 at the end.

        Raises:
            ApiUnavailable, StoreUnavailable: it stalls or broke off.
        """
        try:
            return self._stream.read_into(view)
        except httpx.TransportError as error:
            self._raise_translated(error)
