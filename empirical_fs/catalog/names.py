"""Which file name each resource gets: legal, unique, and the same whatever the order of the listing."""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from os.path import splitext

NAME_MAX = 255
"""Bytes of UTF-8 in a file name (NAME_MAX of limits.h on Linux and macOS)."""

_ILLEGAL = re.compile(r"[/\x00-\x1f\x7f-\x9f\ud800-\udfff]")


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
    if len(legal.encode()) > NAME_MAX:
        return _with_suffix(legal, "")
    return legal


def unique_names(wanted: Iterable[tuple[int, str]]) -> dict[int, str]:
    """A file name for every (id, name), no two the same.

    A legal name stays byte for byte with the lowest id that has it, before any name that only became
    equal to it by being made legal. The others become `stem (ID).ext`, and `stem (ID-2).ext` and so on
    where that is taken. The outcome depends on the set of pairs alone. Ids must be unique.
    """
    claims: defaultdict[str, list[tuple[bool, int]]] = defaultdict(list)
    for identity, name in wanted:
        legal = legal_name(name)
        claims[legal].append((legal != name, identity))
    names: dict[int, str] = {}
    losers: list[tuple[int, str]] = []
    for legal, claimants in claims.items():
        claimants.sort()
        names[claimants[0][1]] = legal
        losers.extend((identity, legal) for _, identity in claimants[1:])
    taken = set(names.values())
    for identity, legal in sorted(losers):
        suffixes = (f" ({identity})" if turn == 1 else f" ({identity}-{turn})" for turn in count(1))
        candidates = (_with_suffix(legal, suffix) for suffix in suffixes)
        names[identity] = next(name for name in candidates if name not in taken)
        taken.add(names[identity])
    return names
