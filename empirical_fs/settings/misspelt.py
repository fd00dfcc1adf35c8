"""Suggests the option that a user may have meant by a misspelt one. Without I/O."""

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most similar to `name`; None if none is similar."""
    import difflib  # noqa: PLC0415 - loaded only after a misspelling

    return next(iter(difflib.get_close_matches(name.lower(), sorted(names), 1)), None)
