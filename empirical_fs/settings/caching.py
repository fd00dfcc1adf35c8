"""The settings of the cache on disk, checked before anything starts."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from empirical_fs.errors import SetupError, UsageError
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.options import OPTIONS
from empirical_fs.settings.values import MinFree


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where the cache is, and what it may take."""

    folder: Path
    """An absolute path; the folder may be missing."""
    size: int
    """How many bytes it takes on disk at most."""
    min_free: MinFree
    """How much it leaves free on its disk."""


def cache_settings(found: Configuration, mountpoint: Path | None) -> CacheSettings | None:
    """The settings of the cache; None if it is off.

    `mountpoint` is an absolute path, None without a mount.

    Raises:
        UsageError: `offline` is on without the cache, or the folder would be in the mount.
        SetupError: the cache is on, and no folder for it is known.
    """
    if not found["cache"]:
        if found["offline"]:
            source = found.values["offline"].source
            raise UsageError(f"{source} needs the cache on disk", advice="give --cache or --cache-dir, too")
        return None
    folder = cache_folder(found)
    if mountpoint is not None and folder.resolve().is_relative_to(mountpoint):
        raise UsageError(
            f"the cache cannot be in the mount itself: {folder}", advice="choose a folder elsewhere"
        )
    return CacheSettings(folder, found["cache_size"], found["cache_min_free"])


def cache_folder(found: Configuration) -> Path:
    """Where the cache is, whether it is on or not.

    Raises:
        SetupError: no folder is given, and the user has no home directory.
    """
    given = found["cache_dir"]
    return _default_folder() if given is None else Path(given).absolute()


def _default_folder() -> Path:
    """The user's folder for caches (XDG Base Directory Specification).

    Raises:
        SetupError: the user has no home directory, for example in a container.
    """
    flag = OPTIONS["cache_dir"].flag
    unknown = SetupError(
        "no home directory is known, so there is no folder for the cache", advice=f"give {flag}"
    )
    try:
        folder = platformdirs.user_cache_path("empirical-fs")
    except RuntimeError as error:
        raise unknown from error
    # Some versions of platformdirs leave a relative path, or the `~` of an unknown home, as it is.
    if not folder.is_absolute():
        raise unknown
    return folder
