"""Checks a mount's answer field by field, since any program may have sent it. Without I/O."""

import json
from typing import Annotated, Any, NoReturn

import msgspec

from empirical_fs.errors import SetupError

_COUNT_MAX = 2**63 - 1
_SECONDS_MAX = 1e10
_PID_MAX = 2**31 - 1
_ERROR_MAX = 500
"""How many characters of an error text are shown at most."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=_COUNT_MAX)]
_Difference = Annotated[int, msgspec.Meta(ge=-_COUNT_MAX, le=_COUNT_MAX)]
_Seconds = Annotated[float, msgspec.Meta(ge=-_SECONDS_MAX, le=_SECONDS_MAX)]


class NotOurs(SetupError):
    """The answer is not in our format: it comes from another version or another program."""


class _InFlight(msgspec.Struct):
    store: _Count
    api: _Count


class _Waits(msgspec.Struct):
    count: _Count
    seconds: Annotated[float, msgspec.Meta(ge=0)]


class _Setting(msgspec.Struct):
    value: str
    source: str


class _Passthrough(msgspec.Struct):
    off_because: Annotated[str, msgspec.Meta(max_length=_ERROR_MAX)] | None
    open: _Count
    opened: _Count


class _Cache(msgspec.Struct):
    """The fields of the cache on disk."""

    folder: str
    used: _Count | None
    limit: _Count
    bytes_read: _Count
    blocks_damaged: _Count
    blocks_written: _Count
    blocks_dropped: _Count
    files_left_alone: _Count
    paused: str | None
    reserved: _Count = 0
    pinned_not_current: _Count = 0
    hits: _Count = 0
    misses: _Count = 0
    evictions: _Count = 0
    bytes_evicted: _Count = 0


class _Report(msgspec.Struct):
    """The fields that are shown; older versions do not send those with a default."""

    mountpoint: str
    version: str
    pid: Annotated[int, msgspec.Meta(ge=1, le=_PID_MAX)]
    api_url: str
    mounted_for: _Seconds
    resources: _Count
    total_size: _Count
    listing_age: _Seconds
    listing_failure: str | None
    out_of_reach: dict[str, _Seconds]
    throughput: _Count
    bytes_fetched: _Count
    requests_in_flight: _InFlight
    memory_held: _Count
    memory_budget: _Count
    reads: _Count
    reads_from_memory: _Count
    urls_signed: _Count
    errors: dict[str, _Count]
    settings: dict[str, _Setting]
    unreadable_entries: _Count = 0
    unreadable_entries_kept: _Count = 0
    entries_not_listed: _Difference = 0
    failed_in_a_row: _Count = 0
    failing_for: _Seconds = 0.0
    passthrough: _Passthrough | None = None
    cache: _Cache | None = None
    offline: bool = False
    listing_from_disk: bool = False
    bytes_read: _Count = 0
    read_waits: _Waits | None = None
    requests: dict[str, dict[str, _Count]] = {}


def parse_answer(text: bytes) -> dict[str, Any]:
    """Parse the answer to any command.

    Raises:
        NotOurs: it is not in our format.
        SetupError: it says that the command failed, and why.
    """
    try:
        answer = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NotOurs("the answer is no JSON") from error
    if not isinstance(answer, dict):
        raise NotOurs("the answer is no JSON object")
    if "error" in answer:
        # Mounts of older versions send no separate advice.
        what, advice = answer["error"], answer.get("advice")
        if not isinstance(what, str) or not isinstance(advice, str | None):
            raise NotOurs("the reason is no text")
        raise SetupError(what[:_ERROR_MAX], advice=None if advice is None else advice[:_ERROR_MAX])
    return answer


def check_report(answer: dict[str, Any]) -> dict[str, Any]:
    """Check that an answer has all fields of a mount's state, with plausible numbers.

    Raises:
        NotOurs: a field is missing or implausible.
    """
    try:
        msgspec.convert(answer, _Report)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        raise NotOurs("the answer is no report") from error
    return answer


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and infinity are no JSON")
