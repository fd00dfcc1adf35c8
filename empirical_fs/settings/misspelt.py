"""The option that somebody may have meant who has misspelt it; pure."""

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Of `names` the one that looks most like `name`; None where none does."""
    import difflib  # noqa: PLC0415 - only who misspells waits for it

    return next(iter(difflib.get_close_matches(name.lower(), sorted(names), 1)), None)
