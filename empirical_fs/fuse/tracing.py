"""Logs each of the kernel's requests with `-vv`: what it was about, how it ended, and how long it took."""

import errno
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from empirical_fs.fuse.request import OpenRequests, Request

log = logging.getLogger(__name__)


class TracedRequest(Request):
    """A request that is logged when it is answered."""

    __slots__ = ("_begun", "_outcome", "_what")

    def __init__(self, requests: OpenRequests, raw: int, what: str) -> None:
        """The request that libfuse knows as `raw`; `what` says what it is about."""
        super().__init__(requests, raw)
        self._what = what
        self._begun = time.monotonic()
        self._outcome: object = "done"

    def refuse(self, number: int) -> bool:
        """As `Request.refuse`."""
        self._outcome = errno.errorcode.get(number, str(number))
        return super().refuse(number)

    def give_open(self, info: Any) -> bool:
        """As `Request.give_open`."""
        self._outcome = 0
        return super().give_open(info)

    def give_bytes(self, data: bytes) -> bool:
        """As `Request.give_bytes`."""
        self._outcome = len(data)
        return super().give_bytes(data)

    def give(self, pieces: Sequence[memoryview]) -> bool:
        """As `Request.give`."""
        self._outcome = sum(map(len, pieces))
        return super().give(pieces)

    def _answer(self, reply: Callable[..., int | None], *words: Any) -> int | None:
        outcome = self._outcome
        answered = super()._answer(reply, *words)
        if answered is not None:
            log.debug("%s: %s in %.1f ms", self._what, outcome, (time.monotonic() - self._begun) * 1000)
        return answered
