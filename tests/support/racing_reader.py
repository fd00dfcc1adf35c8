"""Opens, reads and closes the files of a directory at random, and checks every byte; run as a program.

usage: python racing_reader.py DIRECTORY SECONDS SEED

The file `r3` consists of repeated tags of 16 bytes with its number and its version, up to the size
`size_of(3, version)`. A file that is replaced while it is open may answer ESTALE; nothing else may go wrong.
At the end, the program writes how often it has read, and how often a file was replaced under it.
"""

import errno
import mmap
import os
import random
import sys
import time
from pathlib import Path

TAG = 16


def size_of(number: int, version: int) -> int:
    """Each version has a size of its own; small, so that a file is complete soon."""
    return 200_000 + 70_000 * number + 4099 * (version % 50)


def content_of(number: int, version: int) -> bytes:
    size = size_of(number, version)
    return (b"%03d:%011d\n" % (number, version) * (size // TAG + 1))[:size]


def _read(descriptor: int, number: int, chance: random.Random) -> None:
    """Read a file in one of several ways; fails if a byte is of another file or version."""
    tag = os.pread(descriptor, TAG, 0)
    version = int(tag[4:15])
    expected = content_of(number, version)
    way = chance.randrange(4)
    if way == 0:
        os.lseek(descriptor, 0, os.SEEK_SET)
        pieces = iter(lambda: os.read(descriptor, 1 << 17), b"")
        found = b"".join(pieces)
        start = 0
    elif way == 1:
        with mmap.mmap(descriptor, len(expected), mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
            found, start = mapped[:], 0
    elif way == 2:
        start = chance.randrange(len(expected))
        found = os.pread(descriptor, 50_000, start)
        expected = expected[: start + 50_000]
    else:
        source, sink = os.pipe()
        try:
            sent = os.sendfile(sink, descriptor, 4096, 8192)
            found, start = os.read(source, sent), 4096
            expected = expected[: start + sent]
        finally:
            os.close(source)
            os.close(sink)
    if found != expected[start:]:
        wrong = next(
            (at for at, (one, two) in enumerate(zip(found, expected[start:], strict=False)) if one != two), -1
        )
        sys.exit(
            f"r{number}, way {way}: {len(found)} bytes of {len(expected) - start}, the first wrong at {wrong}"
        )


def main(place: Path, seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    names = sorted(each.name for each in place.iterdir() if each.name.startswith("r"))
    until, reads, stale = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        name = chance.choice(names)
        try:
            descriptor = os.open(place / name, os.O_RDONLY)
        except OSError as error:
            if error.errno != errno.ESTALE:
                sys.exit(f"open {name}: {error.strerror}")
            stale += 1
            continue
        try:
            for _ in range(chance.choice((1, 1, 3))):
                _read(descriptor, int(name[1:]), chance)
                reads += 1
        except OSError as error:
            if error.errno != errno.ESTALE:
                sys.exit(f"read {name}: {error.strerror}")
            stale += 1
        finally:
            os.close(descriptor)
    sys.stdout.write(f"{reads} {stale}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
