"""The protocol between the command line and the process of a mount: an ioctl on the mount's directory.

So there is no socket to find, to protect or to clean up, and any process that sees the mount can ask it, also
from another container. An answer is JSON that ends with a NUL.
"""

import errno
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from empirical_fs.control.question import Question
from empirical_fs.control.report import NotOurs, check_report, parse_answer
from empirical_fs.errors import SetupError

_WRITE, _READ = 1, 2
_ANSWER_MAX = 16_000
"""Bytes of an answer at most; an ioctl command has 14 bits for the size (asm-generic/ioctl.h)."""
_COMMAND = _READ << 30 | _ANSWER_MAX << 16 | ord("E") << 8
_COMMAND_WITH_TEXT = _WRITE << 30 | _COMMAND
_TOO_LONG = {"error": "the answer is too long"}


class Command(IntEnum):
    """The ioctl commands: _IOR('E', number, char[_ANSWER_MAX]), or _IOWR where a question is sent along."""

    STATUS = _COMMAND | 1
    """The state of the mount."""
    RELOAD = _COMMAND | 2
    """Start to fetch the listing."""
    RELOADING = _COMMAND | 3
    """The progress of that, or how it ended."""
    TASK = _COMMAND_WITH_TEXT | 4
    """Begin, ask about or cancel a task with the cache on disk (cache_tasks.py); sent with a JSON object."""


class Asked:
    """A request to a mount, sent by a forked process; the mount has two seconds to answer.

    Any program's file system may be mounted there, so the answer may be anything.
    """

    def __init__(self, mountpoint: Path, command: Command, question: Mapping[str, Any] | None = None) -> None:
        """Send the request, with `question` where the command takes one.

        Raises:
            SetupError: there is no process for the request, or the question is too long.
        """
        text = "" if question is None else json.dumps(question)
        if len(text) >= _ANSWER_MAX:
            raise SetupError("the patterns are too long", advice="quote them, so that the shell keeps them")
        self._mountpoint = mountpoint
        self._command = command
        with _in_words(mountpoint):
            self._question = Question(mountpoint, command, _ANSWER_MAX, text=text)

    def answer(self) -> dict[str, Any]:
        """Wait for the answer; to be called once.

        Raises:
            Silent: the mount does not answer in time.
            SetupError: it cannot be asked, it answered with an error, or the answer is not valid.
        """
        with _in_words(self._mountpoint):
            text = self._question.answer()
        try:
            answer = parse_answer(text)
            return check_report(answer) if self._command == Command.STATUS else answer
        except NotOurs as error:
            raise SetupError(
                f"what serves {self._mountpoint} is of another version, or not ours: {error}",
                advice=f"to take it away: empirical-mount -u {shlex.quote(str(self._mountpoint))}",
            ) from error


def ask(mountpoint: Path, command: Command, question: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send a command to the mount at `mountpoint`, with `question` if it takes one; returns the answer.

    Raises:
        Silent, SetupError: as `Asked`.
    """
    return Asked(mountpoint, command, question).answer()


@contextmanager
def _in_words(mountpoint: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
            raise SetupError(
                f"the process that served {mountpoint} is gone",
                advice=f"empirical-mount {mountpoint} recovers it",
            ) from error
        if error.errno in (errno.EPERM, errno.EACCES):
            raise SetupError(f"the mount at {mountpoint} is another user's") from error
        if error.errno == errno.ENOTTY:
            raise SetupError(
                f"the mount at {mountpoint} is of another version",
                advice="unmount it and mount it again",
            ) from error
        raise SetupError(f"cannot ask the mount at {mountpoint}: {error.strerror}") from error


def encoded(answer: dict[str, Any], room: int) -> bytes:
    """Encode an answer for an ioctl's buffer of `room` bytes; if it does not fit, an error that says so.

    Raises:
        ValueError: not even the error fits.
    """
    texts = (json.dumps(each).encode() + b"\0" for each in (answer, _TOO_LONG))
    text = next((text for text in texts if len(text) <= room), None)
    if text is None:
        raise ValueError("too little room for an answer")
    return text
