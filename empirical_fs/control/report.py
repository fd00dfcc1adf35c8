"""Checks a mount's answer field by field, since any program may have sent it. Without I/O.

Not by msgspec, which does so for the API's answers: to import it takes a quarter of such a command.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from empirical_fs.errors import SetupError

_COUNT_MAX = 2**63 - 1
_SECONDS_MAX = 1e10
_PID_MAX = 2**31 - 1
_ERROR_MAX = 500
"""How many characters of an error text are shown at most."""


class NotOurs(SetupError):
    """The answer is not in our format: it comes from another version or another program."""


Check = Callable[[Any], bool]
"""Whether a value may be that of a field."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _is_seconds(value: Any) -> bool:
    return type(value) in {int, float} and -_SECONDS_MAX <= value <= _SECONDS_MAX


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _each(check: Check) -> Check:
    """For an object with any names."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _object(fields: Mapping[str, Check], newer: Mapping[str, Check] | None = None) -> Check:
    """For an object with these fields; older versions do not send those that are `newer`."""

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and all(name in value and is_fine(value[name]) for name, is_fine in fields.items())
            and all(is_fine(value[name]) for name, is_fine in (newer or {}).items() if name in value)
        )

    return check


_is_count = _integer(0, _COUNT_MAX)
_is_pid = _integer(1, _PID_MAX)

_is_cache = _object(
    {
        "folder": _is_text,
        "used": _or_none(_is_count),
        "limit": _is_count,
        "bytes_read": _is_count,
        "blocks_damaged": _is_count,
        "blocks_written": _is_count,
        "blocks_dropped": _is_count,
        "files_left_alone": _is_count,
        "paused": _or_none(_is_text),
    },
    newer={
        "reserved": _is_count,
        "pinned_not_current": _is_count,
        "hits": _is_count,
        "misses": _is_count,
        "evictions": _is_count,
        "bytes_evicted": _is_count,
    },
)
_is_passthrough = _object(
    {
        "off_because": _or_none(lambda value: _is_text(value) and len(value) <= _ERROR_MAX),
        "open": _is_count,
        "opened": _is_count,
    }
)
_is_report = _object(
    {
        "mountpoint": _is_text,
        "version": _is_text,
        "pid": _is_pid,
        "api_url": _is_text,
        "mounted_for": _is_seconds,
        "resources": _is_count,
        "total_size": _is_count,
        "listing_age": _is_seconds,
        "listing_failure": _or_none(_is_text),
        "out_of_reach": _each(_is_seconds),
        "throughput": _is_count,
        "bytes_fetched": _is_count,
        "requests_in_flight": _object({"store": _is_count, "api": _is_count}),
        "memory_held": _is_count,
        "memory_budget": _is_count,
        "reads": _is_count,
        "reads_from_memory": _is_count,
        "urls_signed": _is_count,
        "errors": _each(_is_count),
        "settings": _each(_object({"value": _is_text, "source": _is_text})),
    },
    newer={
        "unreadable_entries": _is_count,
        "unreadable_entries_kept": _is_count,
        "entries_not_listed": _integer(-_COUNT_MAX, _COUNT_MAX),
        "failed_in_a_row": _is_count,
        "failing_for": _is_seconds,
        "passthrough": _or_none(_is_passthrough),
        "cache": _or_none(_is_cache),
        "offline": _is_switch,
        "listing_from_disk": _is_switch,
        "bytes_read": _is_count,
        "read_waits": _object({"count": _is_count, "seconds": _is_seconds}),
        "requests": _each(_each(_is_count)),
    },
)


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
    if not _is_report(answer):
        raise NotOurs("the answer is no report")
    return answer


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN and infinity are no JSON")
