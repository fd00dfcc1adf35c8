"""Chooses a file name for each resource: legal, unique, and independent of the listing's order."""

import re
from collections.abc import Iterable
from itertools import count
from os.path import splitext

NAME_MAX = 255
"""Bytes of UTF-8 in a file name (NAME_MAX of limits.h on Linux and macOS)."""

_ENCODED_MAX = 4
"""The maximum number of bytes of a character in UTF-8."""
_ILLEGAL = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")


_MADE_LEGAL = 2**63
"""Added to the id of a resource whose name was changed to be legal; larger than any id."""


def _cut(text: str, limit: int) -> str:
    """The longest prefix of `text` within `limit` bytes of UTF-8, in whole characters."""
    return text.encode()[: max(limit, 0)].decode(errors="ignore")


def _with_suffix(name: str, suffix: str) -> str:
    """Insert `suffix` before the extension of `name`, and cut the stem to fit in NAME_MAX bytes."""
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

    If several resources want a name, the lowest id gets it; resources whose own name it is come before those
    whose name was changed to it to be legal. The others become `stem (ID).ext`, or `stem (ID-2).ext` and so
    on if that is taken. The result depends only on the set of pairs, not on their order. Ids must be unique
    and from 0 to 2**63 - 1.
    """
    # Claims are numbers, not tuples: the garbage collector would go through hundreds of thousands of tuples
    # while all threads wait.
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
