"""A plain model of what a mount shows of a project, from what its API is told; it shares no code with it."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.harness import FILE_MODE, ROOT_MODE

ROOT_INODE = 1
_NAME_MAX = 255
_BLOCK = 512
_XATTRS = {
    "user.mime_type": "mime_type",
    "user.xdg.comment": "description",
    "user.empirical.project_id": "project_id",
    "user.empirical.created_by": "created_by",
    "user.empirical.created_at": "created_at",
    "user.empirical.updated_at": "updated_at",
    "user.empirical.access_level": "access_level",
}

Json = str | int | None


@dataclass(frozen=True)
class Told:
    """One resource as the API is told of it; it answers that."""

    id: int
    name: str
    date_ns: int
    """What the dates among the fields say."""
    fields: tuple[tuple[str, Json], ...]
    """All beside the id, the name, the size and the page."""
    content: bytes
    page: str | None = None
    """Where a link leads, which has no content of its own."""
    is_sized: bool = True
    """Whether the API tells how large the content is."""

    @property
    def shown_content(self) -> bytes:
        """What the file holds."""
        return self.content if self.page is None else f"[InternetShortcut]\r\nURL={self.page}\r\n".encode()

    @property
    def shown_date_ns(self) -> int:
        """The date of the file: none that no copy on ext4 can have (only late ones are in this model)."""
        return min(self.date_ns, (2**34 - 2**31 - 1) * 10**9)

    @property
    def version(self) -> tuple[object, ...]:
        """What makes another version of it when it changes."""
        return self.id, self.date_ns, self.shown_content


@dataclass(frozen=True)
class Attributes:
    """What `stat` tells of a file, but for its inode number."""

    mode: int
    uid: int
    gid: int
    links: int
    size: int
    blocks: int
    times_ns: tuple[int, int, int]
    """Of the last read, change of the content, and change of anything."""


@dataclass(frozen=True)
class Owner:
    """Whose the files are by the options of the mount."""

    uid: int
    gid: int
    umask: int

    def file(self, told: Told) -> Attributes:
        """The attributes of the file that shows a resource."""
        size = len(told.shown_content)
        blocks = (size + _BLOCK - 1) // _BLOCK
        times = (told.shown_date_ns,) * 3
        return Attributes(FILE_MODE & ~self.umask, self.uid, self.gid, 1, size, blocks, times)

    def root(self, moment_ns: int) -> Attributes:
        """Those of the directory, which changed at that time."""
        times = (moment_ns,) * 3
        return Attributes(ROOT_MODE & ~self.umask, self.uid, self.gid, 2, 0, 0, times)


def shown(told: Iterable[Told]) -> dict[str, Told]:
    """The files by their names."""
    named: dict[str, Told] = {}
    others: list[Told] = []
    # First come, first served: names that were legal all along, then lower ids.
    for each in sorted(told, key=lambda each: (_legal(_wanted(each)) != _wanted(each), each.id)):
        if _legal(_wanted(each)) in named:
            others.append(each)
        else:
            named[_legal(_wanted(each))] = each
    for each in sorted(others, key=lambda each: each.id):
        turn, suffix = 1, f" ({each.id})"
        while (name := _suffixed(_legal(_wanted(each)), suffix)) in named:
            turn += 1
            suffix = f" ({each.id}-{turn})"
        named[name] = each
    return named


def extended(told: Told) -> dict[str, bytes]:
    """The extended attributes of the file that shows a resource."""
    fields = dict(told.fields)
    texts = {
        "user.empirical.id": told.id,
        "user.empirical.name": told.name,
        "user.empirical.status": "uploaded",
    }
    said = {name: fields.get(field) for name, field in _XATTRS.items()}
    texts |= {name: value for name, value in said.items() if value is not None}
    return {name: str(text).encode("utf-8", "replace") for name, text in texts.items()}


def look(files: Mapping[str, Told]) -> dict[str, object]:
    """All that can be seen of a directory: when that changes, its date does."""
    return {name: (told.version, extended(told)) for name, told in files.items()}


def space(files: Iterable[Told]) -> tuple[int, int, int, int, int]:
    """The bytes in all, in whole blocks, and those free; files, and those possible; the longest name."""
    sizes = [len(each.shown_content) for each in files]
    return (sum(sizes) + _BLOCK - 1) // _BLOCK * _BLOCK, 0, len(sizes) + 1, 0, _NAME_MAX


def _wanted(told: Told) -> str:
    return told.name if told.page is None else told.name + ".url"


def _legal(name: str) -> str:
    characters = ["_" if each == "/" or unicodedata.category(each) in ("Cc", "Cs") else each for each in name]
    legal = "".join(characters)
    if legal in ("", ".", ".."):
        return "_"
    return legal if len(legal.encode()) <= _NAME_MAX else _suffixed(legal, "")


def _suffixed(name: str, suffix: str) -> str:
    """The name with `suffix` before its extension, as much of it as there is room for."""
    stem, dot, extension = name.rpartition(".")
    if not stem.strip("."):
        stem, dot, extension = name, "", ""
    room = _NAME_MAX - len(suffix.encode())
    if len((dot + extension).encode()) >= room:
        stem, dot, extension = name, "", ""
    room -= len((dot + extension).encode())
    while len(stem.encode()) > room:
        stem = stem[:-1]
    return stem + suffix + dot + extension
