"""Writes a local file in one step: until all is there, the old one stays as it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex
from shutil import copymode


@contextmanager
def replacing(target: str | Path) -> Iterator[FileIO]:
    """A file to write to, which takes the place of `target` at the end of the context, unless that raises.

    The folder is made if there is none. A link stays one, and a file keeps its mode. What is no file, as a
    device, is written to itself; so is a file in a folder that takes no other.

    Raises:
        OSError: it cannot be written.
    """
    if is_there := os.path.lexists(target):
        target = os.path.realpath(target)
        is_there = os.path.exists(target)
    folder = os.path.dirname(target) or os.curdir
    if is_there and not (os.path.isfile(target) and os.access(folder, os.W_OK)):
        with FileIO(target, "wb") as file:
            yield file
        return
    partial = os.path.join(folder, f".{token_hex(8)}.part")
    try:
        with _new_file(partial, folder) as file:
            if is_there:
                copymode(target, partial)
            yield file
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def _new_file(path: str, folder: str) -> FileIO:
    try:
        return FileIO(path, "xb")
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        return FileIO(path, "xb")
