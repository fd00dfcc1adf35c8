"""Finds which mount option libfuse does not know, and which one the user may have meant; pure."""

import re

from empirical_fs.errors import Trouble
from empirical_fs.fuse import options as of_libfuse
from empirical_fs.settings import mount_options as of_mounting
from empirical_fs.settings.misspelt import nearest
from empirical_fs.settings.options import OPTIONS

_KNOWN = {*of_libfuse.NAMES, *of_mounting.NAMES, *OPTIONS, "config", "profile"}
_UNKNOWN = re.compile(r"unknown option(?:\(s\):|s)? `(?P<options>.*)'")
"""The messages of libfuse 2 and 3, about one option or several."""


def unknown_option(said: str) -> Trouble | None:
    """The trouble with an option that libfuse does not know; None if libfuse complained of something else.

    `said` is what libfuse wrote, without the values of options, which may be keys.
    """
    found = _UNKNOWN.search(said)
    if found is None:
        return None
    option = re.split("[, ]", found["options"].removeprefix("-o "))[0].strip("`'")
    name = option.partition("=")[0]
    if name in _KNOWN:
        return Trouble(f"-o {option}: this libfuse has no such option", "leave it out")
    meant = nearest(name, _KNOWN)
    advice = f"the nearest is {meant}" if meant else "see empirical-mount --help, and mount.fuse(8)"
    return Trouble(f"-o {option}: there is no such option", advice)
