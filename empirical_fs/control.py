"""How the command line speaks to the process that serves a mount: by ioctl on its directory.

So there is no socket to find, to protect or to leave behind, and whoever sees the mount can ask it, from
another container too. An answer is JSON that ends with a NUL.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from empirical_fs.errors import SetupError
from empirical_fs.question import Question

_READ = 2
_ANSWER_MAX = 16_000
"""Bytes of an answer; the command has 14 bits for it (asm-generic/ioctl.h)."""
_COMMAND = _READ << 30 | _ANSWER_MAX << 16 | ord("E") << 8
_TOO_LONG = {"error": "the answer is too long"}


class Command(IntEnum):
    """The ioctl commands: _IOR('E', number, char[_ANSWER_MAX])."""

    STATUS = _COMMAND | 1
    """The state of the mount."""
    RELOAD = _COMMAND | 2
    """Fetch the listing now, and answer once it serves."""


class Asked:
    """A mount that was asked for its state, by a process of its own, and may take two seconds to answer."""

    def __init__(self, mountpoint: Path) -> None:
        """Ask it.

        Raises:
            SetupError: there is no process to ask by.
        """
        self._mountpoint = mountpoint
        with _in_words(mountpoint):
            self._question = Question(mountpoint, Command.STATUS, _ANSWER_MAX)

    def answer(self) -> dict[str, Any]:
        """The state; to be called once.

        Raises:
            Silent: it does not answer.
            SetupError: it cannot be asked, or answered that it could not.
        """
        with _in_words(self._mountpoint):
            return _decoded(self._question.answer())


def ask(mountpoint: Path, command: Command) -> dict[str, Any]:
    """The answer of the mount at `mountpoint`.

    Raises:
        Silent: it does not answer.
        SetupError: it cannot be asked, or answered that it could not.
    """
    state = Asked(mountpoint).answer()
    if command == Command.STATUS:
        return state
    # It answers, and may take its time with this.
    room = bytearray(_ANSWER_MAX)
    with _in_words(mountpoint):
        directory = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(directory, command, room, True)  # noqa: FBT003 - it takes no keywords
        finally:
            os.close(directory)
    return _decoded(bytes(room.partition(b"\0")[0]))


def _decoded(text: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(text)
    if "error" in answer:
        raise SetupError(str(answer["error"]))
    return answer


@contextmanager
def _in_words(mountpoint: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
            raise SetupError(
                f"the process that served {mountpoint} is gone; empirical-mount {mountpoint} recovers it"
            ) from error
        if error.errno in (errno.EPERM, errno.EACCES):
            raise SetupError(f"the mount at {mountpoint} is another user's") from error
        if error.errno == errno.ENOTTY:
            raise SetupError(
                f"the mount at {mountpoint} is of another version; unmount it and mount it again"
            ) from error
        raise SetupError(f"cannot ask the mount at {mountpoint}: {error.strerror}") from error


def encoded(answer: dict[str, Any], room: int) -> bytes:
    """An answer as it goes into the memory of an ioctl, or that it is too long for its `room` bytes.

    Raises:
        ValueError: there is too little room for that even.
    """
    texts = (json.dumps(each).encode() + b"\0" for each in (answer, _TOO_LONG))
    text = next((text for text in texts if len(text) <= room), None)
    if text is None:
        raise ValueError("too little room for an answer")
    return text
