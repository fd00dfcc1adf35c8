"""Writes a local file in one step: until all is there, the old one stays as it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex
from shutil import copymode


@contextmanager
def replacing(target: Path) -> Iterator[FileIO]:
    """A file to write to, which takes the place of `target` at the end of the context, unless that raises.

    The folder is made if there is none. A link stays one, and a file keeps its mode. What is no file, as a
    device, is written to itself; so is a file in a folder that takes no other.

    Raises:
        OSError: it cannot be written.
    """
    if is_there := os.path.lexists(target):
        target = target.resolve()
        is_there = target.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_there and not (target.is_file() and os.access(target.parent, os.W_OK)):
        with target.open("wb", buffering=0) as file:
            yield file
        return
    partial = target.with_name(f".{token_hex(8)}.part")
    try:
        with partial.open("xb", buffering=0) as file:
            if is_there:
                copymode(target, partial)
            yield file
        partial.replace(target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
