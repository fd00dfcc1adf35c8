"""The program that sends a command to the process of a mount; `question.py` runs it as its own process.

It imports only Python's standard library, to start quickly. It writes to stdout: when it asked (monotonic
clock), NUL, the errno of the request (0 on success), NUL, and the answer.
"""

import fcntl
import os
import sys
import time

WHETHER_ALIVE = 0
"""In place of a command: only test whether the mount answers at all."""


def _ask(place: str, command: int, room: int, text: str) -> bytes:
    if command == WHETHER_ALIVE:
        os.statvfs(place)  # the kernel never answers statvfs from its cache
        return b""
    answer = bytearray(text.encode("ascii").ljust(room, b"\0"))
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(directory, command, answer, True)  # noqa: FBT003 - it takes no keywords
    finally:
        os.close(directory)
    return bytes(answer.partition(b"\0")[0])


def main(place: str, command: str, room: str, text: str) -> None:
    """Send the command with a text, and write the outcome to stdout."""
    os.write(1, b"%f\0" % time.monotonic())
    try:
        number, answer = 0, _ask(place, int(command), int(room), text)
    except OSError as error:
        number, answer = error.errno or 0, b""
    os.write(1, b"%d\0%b" % (number, answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
