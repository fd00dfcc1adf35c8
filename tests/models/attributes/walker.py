"""A program that lists a directory and looks at its files until its stdin is closed, and tells what it saw.

It pauses between its looks, for its tests are not the only ones: it would use up a core.

python -m tests.models.attributes.walker DIRECTORY
"""

import errno
import json
import os
import select
import sys
from dataclasses import dataclass, field
from typing import Any

_GONE = (errno.ENOENT, errno.ESTALE)
_PAUSE = 0.005


@dataclass
class Seen:
    """What there was to see."""

    passes: int = 0
    files: set[tuple[Any, ...]] = field(default_factory=set)
    """Name, inode number, size, date, mode and blocks, as one `stat` told them."""
    listings: set[tuple[int, tuple[str, ...]]] = field(default_factory=set)
    """The date of the directory, and the names that were listed after that."""
    errors: set[str] = field(default_factory=set)


def walk(directory: str, seen: Seen) -> None:
    """Look at everything once."""
    date = os.stat(directory).st_mtime_ns  # noqa: PTH116 - as light as can be
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries]
    seen.listings.add((date, tuple(sorted(names))))
    for name in names:
        path = f"{directory}/{name}"
        try:
            status = os.stat(path)  # noqa: PTH116 - as light as can be
            times = {status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns}
            told = (status.st_ino, status.st_size, *times, status.st_mode, status.st_blocks)
            seen.files.add((name, *told))
            for attribute in os.listxattr(path):
                os.getxattr(path, attribute)
        except OSError as error:
            if error.errno not in (*_GONE, errno.ENODATA):
                seen.errors.add(f"{name}: {error}")
    seen.passes += 1


def main() -> None:
    seen = Seen()
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        try:
            walk(sys.argv[1], seen)
        except OSError as error:
            seen.errors.add(f"the directory: {error}")
    told = {"passes": seen.passes, "errors": sorted(seen.errors)}
    json.dump({**told, "files": list(seen.files), "listings": list(seen.listings)}, sys.stdout)


if __name__ == "__main__":
    main()
