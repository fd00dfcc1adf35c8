"""Writes the answers of the commands to stdout, and one line about an error to stderr."""

import json
import os
import sys
from typing import TextIO

from empirical_fs.errors import EmpiricalError, SetupError
from empirical_fs.printing import printable

_LINE_MAX = 2000
"""Characters of a line on stderr; a path may have 4096, and an argument taken for one many more."""
_FOR_NOBODY = os.O_WRONLY | os.O_CLOEXEC


class ReaderGone(EmpiricalError):
    """The program that reads our stdout has ended, as after `| head -1`; that is not an error."""


def say(text: str) -> None:
    """Write an answer to stdout.

    Raises:
        ReaderGone: the program that reads stdout has ended.
        SetupError: stdout cannot be written.
    """
    try:
        print(text, flush=True)  # noqa: T201 - what was asked for
    except BrokenPipeError as error:
        _write_no_more(sys.stdout)
        raise ReaderGone("nobody reads the answer") from error
    except OSError as error:
        _write_no_more(sys.stdout)
        raise SetupError(f"cannot write the answer: {error.strerror}") from error


def say_json(value: object) -> None:
    """Write a value to stdout as JSON in printable ASCII, without characters that control a terminal.

    Raises:
        ReaderGone, SetupError: as for `say`.
    """
    say(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def warn(program: str, message: str) -> None:
    """Write a line with the program's name to stderr; if that fails, do nothing."""
    line = f"{program}: {printable(message)}"
    tell(line if len(line) <= _LINE_MAX else f"{line[:_LINE_MAX]}...")


def tell(text: str) -> None:
    """Write a text to stderr; if that fails, do nothing."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - what users read
    except OSError:
        _write_no_more(sys.stderr)


def _write_no_more(stream: TextIO) -> None:
    """Redirect a stream to /dev/null: at its exit, Python flushes it once more, and would fail again."""
    nobody = os.open(os.devnull, _FOR_NOBODY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)
