"""Names that programs look for in every directory, whoever uses it: nobody asks for them."""

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
    """Whether a program that asks for `name` only wants to know whether there is such a thing by chance."""
    return _PROBES.fullmatch(name) is not None
