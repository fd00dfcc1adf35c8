"""Names that file managers and other programs look up in every directory, without the user asking."""

import re

_PROBES = re.compile(
    r"""
    \.Trash(-[0-9]+)? | \.hidden | \.directory | \.xdg-volume-info | \.comments     # file managers
    | autorun\.inf | \.?autorun | autorun\.sh | \.?autoopen                         # what mounts media
    | \.~lock\..*\#                                                                 # LibreOffice
    | desktop\.ini | Thumbs\.db                                                     # Windows, over Samba
    | \._.* | \.DS_Store | \.localized | \.metadata_never_index                     # macOS
    | \.Spotlight-V100 | \.fseventsd | \.Trashes | \.TemporaryItems | \.apdisk
    | \.git | \.hg | \.svn | \.bzr | _darcs                                         # shells' prompts
    """,
    re.VERBOSE,
)


def is_probe(name: str) -> bool:
    """Whether `name` is one that programs look up in every directory."""
    return _PROBES.fullmatch(name) is not None
