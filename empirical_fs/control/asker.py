"""The program that asks the process of a mount; `question.py` runs it, in a process of its own.

It knows Python's own library alone, for a quick start. On its output is when it asked, by the monotonic
clock, then the errno that it came to, 0 if it went well, each before a NUL, and the answer.
"""

import fcntl
import os
import sys
import time

WHETHER_ALIVE = 0
"""In place of a command: ask for no more than any answer."""


def _ask(place: str, command: int, room: int) -> bytes:
    if command == WHETHER_ALIVE:
        os.statvfs(place)  # the kernel never answers this one from its cache
        return b""
    answer = bytearray(room)
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(directory, command, answer, True)  # noqa: FBT003 - it takes no keywords
    finally:
        os.close(directory)
    return bytes(answer.partition(b"\0")[0])


def main(place: str, command: str, room: str) -> None:
    """Ask, and write down what it came to."""
    os.write(1, b"%f\0" % time.monotonic())
    try:
        number, answer = 0, _ask(place, int(command), int(room))
    except OSError as error:
        number, answer = error.errno or 0, b""
    os.write(1, b"%d\0%b" % (number, answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
