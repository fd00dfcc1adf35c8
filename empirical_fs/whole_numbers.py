"""Reads whole numbers, in any form that the API may send."""

import re

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_EXACT_MAX = 2.0**53
"""Above this a float may stand for more than one whole number."""


def whole_number(value: object) -> int | None:
    """The whole number in `value`: an integer, a whole float, or decimal digits in a text; else None."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_MAX:
        return int(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    return None
