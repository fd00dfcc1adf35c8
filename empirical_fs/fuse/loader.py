"""Chooses libfuse 2 or 3, and loads it: libfuse 2 with fusepy, libfuse 3 with mfusepy."""

import os
import shutil
from ctypes.util import find_library
from importlib.util import find_spec

from empirical_fs.errors import SetupError
from empirical_fs.fuse.library import LIBFUSE_2, Library, major_of

LIBRARY_VARIABLE = "EMPIRICAL_FS_LIBFUSE"
"""The environment variable that chooses the version of libfuse: 2 or 3."""
_INSTALL_2, _INSTALL_3 = "sudo apt install libfuse2", "sudo apt install fuse3"
_INSTALL_BINDING = "pipx install --force 'empirical-fs[fuse3]'"


def check_library() -> int:
    """The version of libfuse that would be used: 2 or 3.

    That is libfuse 3 if mfusepy (from the extra `fuse3`) is installed, and fusermount3, with which libfuse 3
    mounts for users other than root; otherwise libfuse 2, with fusepy. The environment variable
    EMPIRICAL_FS_LIBFUSE=2 or =3 forces that version. FUSE_LIBRARY_PATH, which both bindings read, names the
    file of the library.

    Raises:
        SetupError: something is missing, or EMPIRICAL_FS_LIBFUSE has another value.
    """
    return load_library().major


def load_library() -> Library:
    """Load the library that will be used.

    Raises:
        SetupError: as `check_library`.
    """
    loaders = {"2": _libfuse2, "3": _libfuse3}
    chosen = os.environ.get(LIBRARY_VARIABLE)
    if chosen and chosen not in loaders:
        raise SetupError(f"{LIBRARY_VARIABLE} must be 2 or 3")
    tried = (chosen,) if chosen else _by_preference()
    found = next(filter(None, (loaders[version]() for version in tried)), None)
    if found is not None:
        return found
    if chosen == "2":
        raise SetupError("libfuse 2 is not installed", advice=f"on Debian and Ubuntu: {_INSTALL_2}")
    if find_library("fuse3") is not None and find_spec("mfusepy") is None:
        raise SetupError(f"there is libfuse 3, and mfusepy is missing: {_INSTALL_BINDING}")
    if chosen == "3":
        raise SetupError("libfuse 3 is not installed", advice=f"on Debian and Ubuntu: {_INSTALL_3}")
    raise SetupError(
        "libfuse is not installed",
        advice=f"on Debian and Ubuntu: {_INSTALL_2},"
        f" or where that is gone: {_INSTALL_3} && {_INSTALL_BINDING}",
    )


def _by_preference() -> tuple[str, str]:
    can_3_mount = os.getuid() == 0 or shutil.which("fusermount3") is not None
    return ("3", "2") if can_3_mount else ("2", "3")


def _libfuse2() -> Library | None:
    try:
        import fuse  # noqa: PLC0415 - fails where libfuse is missing
    except OSError:
        return None
    return Library(fuse) if major_of(fuse) == LIBFUSE_2 else None


def _libfuse3() -> Library | None:
    if find_spec("mfusepy") is None:
        return None
    # By default mfusepy loads libfuse 2 if both are installed.
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    try:
        import mfusepy  # noqa: PLC0415 - fails where libfuse is missing, or too new
    except (OSError, AttributeError):
        return None
    return Library(mfusepy) if major_of(mfusepy) != LIBFUSE_2 else None
