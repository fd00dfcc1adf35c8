"""Records the requests: counts, and a log by which tests count round trips."""

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.types import Message, Send

from empirical_fs.sandbox.faults import Call
from empirical_fs.sandbox.plan import Action

_LOG_LENGTH = 20_000
_REFUSALS = frozenset({400, 401, 403})
_CONTENT = frozenset({200, 206})

logger = logging.getLogger(__name__)


class Entry(msgspec.Struct):
    """One request; `at` is in seconds since the start, `status` is None until it is answered."""

    kind: str
    id: Any
    page: int | None
    range: str | None
    if_match: str | None
    authorization: bool
    accept_encoding: str | None
    at: float
    status: int | None = None
    faulted: bool = msgspec.field(default=False, name="fault")


class Journal:
    """Counts and logs the requests since the start, or since the last `clear`."""

    def __init__(self) -> None:
        """Start empty."""
        self._started = time.monotonic()
        self._in_flight: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Drop the log and all counts; peaks restart at the number of requests in flight now."""
        self._log: deque[Entry] = deque(maxlen=_LOG_LENGTH)
        self._counts: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._peaks = Counter(self._in_flight)

    @contextmanager
    def entered(self, call: Call, request: Request) -> Iterator[Entry]:
        """Log a request; it counts as in flight until the `with` block ends."""
        headers = request.headers
        entry = Entry(
            kind=call.kind,
            id=call.resource_id,
            page=call.page,
            range=headers.get("range"),
            if_match=headers.get("if-match"),
            authorization="authorization" in headers,
            accept_encoding=headers.get("accept-encoding"),
            at=time.monotonic() - self._started,
        )
        self._log.append(entry)
        self._counts[entry.kind] += 1
        self._in_flight[call.side] += 1
        self._peaks[call.side] = max(self._peaks[call.side], self._in_flight[call.side])
        try:
            yield entry
        finally:
            self._in_flight[call.side] -= 1
            logger.info("%s", msgspec.json.encode(entry).decode())

    def in_flight(self, call: Call) -> int:
        """How many requests to the same side are under way, including this one."""
        return self._in_flight[call.side]

    def fault(self, entry: Entry, action: Action) -> None:
        """Count a fault that was applied to this request."""
        entry.faulted = True
        self._counts["faults"] += 1
        self._faults[str(action.__struct_config__.tag)] += 1

    def recording(self, send: Send, entry: Entry, call: Call) -> Send:
        """Wrap `send` so that it records the status and counts the bytes of the body."""

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                if entry.status in _REFUSALS and not entry.faulted:
                    self._counts["refused"] += 1
            await send(message)
            if call.kind == "object" and entry.status in _CONTENT:
                self._counts["object_bytes"] += len(message.get("body", b""))

        return send_recorded

    def report(self) -> dict[str, Any]:
        """The counts, the peaks and the last 20,000 requests."""
        counted = ("list", "get", "patch", "object", "head", "refused", "faults", "object_bytes")
        return {
            **{name: self._counts[name] for name in counted},
            "faults_by_action": dict(self._faults),
            "in_flight": {side: self._in_flight[side] for side in ("api", "store")},
            "in_flight_peak": {side: self._peaks[side] for side in ("api", "store")},
            "log": list(self._log),
        }
