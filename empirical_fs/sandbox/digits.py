"""Parses numbers in URLs."""

_MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """Parse a number of at most 18 ASCII digits; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
