"""Numbers in URLs."""

_MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """The number that plain decimal digits spell, None for anything else or anything absurdly long."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
