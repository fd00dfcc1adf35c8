"""Which file name each resource gets: legal, unique, and the same whatever the order of the listing."""

import re
from collections.abc import Iterable
from itertools import count
from os.path import splitext

NAME_MAX = 255
"""Bytes of UTF-8 in a file name (NAME_MAX of limits.h on Linux and macOS)."""

_ENCODED_MAX = 4
"""Bytes of UTF-8 that a character takes at most."""
_ILLEGAL = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")


_MADE_LEGAL = 2**63
"""Added to the id of whoever wants a name only as it was made legal: more than any id."""


def _cut(text: str, limit: int) -> str:
    """The longest beginning of `text` within `limit` bytes of UTF-8, whole characters only."""
    return text.encode()[: max(limit, 0)].decode(errors="ignore")


def _with_suffix(name: str, suffix: str) -> str:
    """`name` with `suffix` before its extension, the stem cut so that all is within NAME_MAX bytes."""
    stem, extension = splitext(name)  # noqa: PTH122 - a name and no path: Path drops dots at its end
    room = NAME_MAX - len(suffix.encode())
    if len(extension.encode()) >= room:
        stem, extension = stem + extension, ""
    return _cut(stem, room - len(extension.encode())) + suffix + extension


def legal_name(name: str) -> str:
    """`name` as a legal file name; the same string if it is one already.

    `/`, control characters and unpaired surrogates become `_`, and so do an empty name, `.` and `..`;
    over NAME_MAX bytes it is cut before its extension.
    """
    legal = _ILLEGAL.sub("_", name)
    if legal in ("", ".", ".."):
        return "_"
    if len(legal) > NAME_MAX // _ENCODED_MAX and len(legal.encode()) > NAME_MAX:
        return _with_suffix(legal, "")
    return legal


def unique_names(wanted: Iterable[tuple[int, str]]) -> dict[int, str]:
    """A file name for every (id, name), no two the same.

    A legal name stays byte for byte with the lowest id that has it, before any name that only became
    equal to it by being made legal. The others become `stem (ID).ext`, and `stem (ID-2).ext` and so on
    where that is taken. The outcome depends on the set of pairs alone. Ids must be unique, from 0 to
    before 2**63.
    """
    # Numbers in place of pairs: the garbage collector goes through hundreds of thousands of these, and
    # everybody waits for it.
    claims: dict[str, int] = {}
    losers: list[tuple[int, str]] = []
    for identity, name in wanted:
        legal = legal_name(name)
        claim = identity if legal == name else identity + _MADE_LEGAL
        other = claims.setdefault(legal, claim)
        if other != claim:
            claims[legal] = min(claim, other)
            losers.append((max(claim, other) % _MADE_LEGAL, legal))
    names = {claim % _MADE_LEGAL: legal for legal, claim in claims.items()}
    taken = set(claims) if losers else set()
    for identity, legal in sorted(losers):
        suffixes = (f" ({identity})" if turn == 1 else f" ({identity}-{turn})" for turn in count(1))
        candidates = (_with_suffix(legal, suffix) for suffix in suffixes)
        names[identity] = next(name for name in candidates if name not in taken)
        taken.add(names[identity])
    return names
