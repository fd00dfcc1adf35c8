"""Sends a command to the process of a mount, and hangs if that hangs; `question.py` calls it in a fork.

So it takes no lock, imports nothing and logs nothing. It writes to a descriptor: when it asked (monotonic
clock), NUL, the errno of the request (0 on success), NUL, and the answer.
"""

import fcntl
import os
import time

WHETHER_ALIVE = 0
"""In place of a command: only test whether the mount answers at all."""


def ask(output: int, place: str, command: int, room: int, text: str) -> None:
    """Send the command with a text, and write the outcome to the descriptor `output`."""
    os.write(output, b"%f\0" % time.monotonic())
    try:
        number, answer = 0, _answer(place, command, room, text)
    except OSError as error:
        number, answer = error.errno or 0, b""
    os.write(output, b"%d\0%b" % (number, answer))


def _answer(place: str, command: int, room: int, text: str) -> bytes:
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
