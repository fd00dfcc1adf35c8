"""Copies files to local ones: where each goes, which are read together, and how they are written."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.implementations.local import make_path_posix
from fsspec.utils import isfilelike

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.engine.project import Project
from empirical_fs.engine.ranges import copy
from empirical_fs.errors import ContentChanged
from empirical_fs.fsspec.local_files import replacing

Pair = tuple[str, Any]
"""The name of a file, and the local path or the open file that it is copied to."""

_SMALL_MAX, _TOGETHER_MAX = 2**20, 32 * 2**20
"""Bytes of a file that is copied together with others, and of them all, as they are in memory at once."""


def destinations(names: Sequence[str], target: Any, *, is_one: bool) -> list[Pair]:
    """The names, each with what it is copied to, by fsspec's rules.

    With `is_one`, the user has named one file: it goes to the `target` itself, or below it if that is a
    folder. Otherwise all go below it.
    """
    if isinstance(target, list):
        return list(zip(names, target, strict=True))
    if not isinstance(target, str | os.PathLike):
        return [(name, target) for name in names]
    text = os.fspath(target)
    path = Path(make_path_posix(text))
    if is_one and not text.endswith("/") and not path.is_dir():
        return [(names[0], path)]
    return [(name, path / name) for name in names]


def grouped(pairs: Sequence[Pair], by_name: Mapping[str, Entry]) -> tuple[list[list[Pair]], list[Pair]]:
    """Small files in groups, each read together, as a thread for each file takes longer; and the rest."""
    groups: list[list[Pair]] = []
    others: list[Pair] = []
    room = 0
    for name, local in pairs:
        entry = by_name.get(name)
        if entry is None or not entry.is_sized or entry.size > _SMALL_MAX or isfilelike(local):
            others.append((name, local))
            continue
        if not groups or entry.size > room:
            groups.append([])
            room = _TOGETHER_MAX
        groups[-1].append((name, local))
        room -= entry.size
    return groups, others


def write_contents(pairs: Sequence[Pair], contents: Sequence[bytes], callback: Any) -> None:
    """Write files that were read together; `callback` is told each, and its bytes.

    To write some while others are read takes longer, as the threads contend for the interpreter.

    Raises:
        OSError: a file cannot be written.
    """
    for pair, content in zip(pairs, contents, strict=True):
        with callback.branched(*pair) as child:
            child.set_size(len(content))
            with replacing(os.fspath(pair[1])) as file:
                _write(file, content)
            child.relative_update(len(content))
        callback.relative_update(1)


def copy_to(project: Project, name: str, file: BinaryIO, callback: Any) -> None:
    """Copy a file to an open one, from where that is now; `callback` is told the bytes.

    If the file is replaced meanwhile, it begins anew, where the open one can be set back.

    Raises:
        EmpiricalError: it cannot be read.
        OSError: the open file cannot be written.
    """
    begins_at = file.tell() if _can_go_back(file) else None
    has_begun = False

    def begin(size: int) -> None:
        nonlocal has_begun
        if has_begun:
            if begins_at is None:
                raise ContentChanged("it is another version")
            file.seek(begins_at)
            file.truncate()
            callback.absolute_update(0)
        has_begun = True
        callback.set_size(size)

    def take(data: bytes) -> None:
        _write(file, data)
        callback.relative_update(len(data))

    copy(project, name, begin, take)


def _can_go_back(file: Any) -> bool:
    try:
        return bool(file.seekable())
    except AttributeError:
        return False


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        # An unbuffered file may take less; other objects do not say how much they took.
        count = file.write(view)
        view = view[len(view) if count is None else count :]
