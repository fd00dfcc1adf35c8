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
import signal
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
    expected = content_of(number, int(tag[4:15]))
    way = chance.choice(("whole", "mapped", "part", "sent"))
    start, stop = 0, len(expected)
    if way == "whole":
        found = _bytes(descriptor, start, stop + 1)
    elif way == "mapped":
        _map(descriptor, expected)
        return
    elif way == "part":
        start = chance.randrange(len(expected))
        stop = min(start + 50_000, len(expected))
        found = _bytes(descriptor, start, stop)
    else:
        start, stop = 4096, 4096 + 8192
        found = _sent(descriptor, start, stop)
    expected = expected[start:stop]
    if found != expected:
        pairs = enumerate(zip(found, expected, strict=False))
        wrong = next((at for at, (one, two) in pairs if one != two), "none")
        sys.exit(f"r{number}, {way}: {len(found)} of {len(expected)} bytes from {start}; wrong is {wrong}")


def _bytes(descriptor: int, start: int, stop: int) -> bytes:
    """The bytes of a range, or those before the end of the file.

    A read is short, too, if one of the later pages cannot be had: then the next one says why.
    """
    found = b""
    while piece := os.pread(descriptor, stop - start - len(found), start + len(found)):
        found += piece
    return found


def _sent(descriptor: int, start: int, stop: int) -> bytes:
    source, sink = os.pipe()
    try:
        found = b""
        while start < stop and (count := os.sendfile(sink, descriptor, start, stop - start)):
            found += os.read(source, count)
            start += count
        return found
    finally:
        os.close(source)
        os.close(sink)


def _map(descriptor: int, expected: bytes) -> None:
    """Compare a mapped file in a process of its own, which SIGBUS ends where a read would fail with ESTALE.

    Raises:
        OSError: it was so (ESTALE).
    """
    child = os.fork()
    if not child:
        try:
            with mmap.mmap(descriptor, len(expected), mmap.MAP_SHARED, mmap.PROT_READ) as mapped:
                os._exit(0 if mapped[:] == expected else 1)
        finally:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGBUS:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    if status:
        sys.exit(f"a mapped file: {status}")


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
