"""Resolves symbolic links without access to a mount, whose process may hang."""

import os
from collections.abc import Collection
from pathlib import Path

from empirical_fs.errors import SetupError

_LINKS_MAX = 40
"""As many links as the kernel follows (path_resolution(7))."""


def resolved(path: Path, mountpoints: Collection[str]) -> Path:
    """As Path.resolve, but without access to the mounts at `mountpoints` or anything below them.

    To read a link is safe: the kernel asks only the file system of the directory that has the link.

    Raises:
        SetupError: there are too many links, or the current directory was deleted.
    """
    ahead, found, links = _names(str(path)), "/", 0
    if not path.is_absolute():
        try:
            found = os.getcwd()  # noqa: PTH109 - a string, as all paths here
        except OSError as error:
            raise SetupError(f"{path} cannot be found, for the current directory is gone") from error
    while ahead:
        name = ahead.pop()
        if name == "..":
            found = os.path.dirname(found)  # noqa: PTH120 - strings, as in the kernel's table
            continue
        here = os.path.join(found, name)  # noqa: PTH118
        try:
            target = "" if _is_within(found, mountpoints) else os.readlink(here)  # noqa: PTH115
        except OSError:
            target = ""  # it is not a link, or does not exist
        if not target:
            found = here
            continue
        links += 1
        if links > _LINKS_MAX:
            raise SetupError(f"too many symbolic links at {path}")
        ahead += _names(target)
        if target.startswith("/"):
            found = "/"
    return Path(found)


def _names(path: str) -> list[str]:
    """The names in a path, the last one first, without empty ones and `.`."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _is_within(place: str, mountpoints: Collection[str]) -> bool:
    return any(place == each or place.startswith(f"{each}/") for each in mountpoints)
