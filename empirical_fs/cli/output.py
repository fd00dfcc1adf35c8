"""What the commands say: answers on stdout, one line of trouble on stderr."""

import json
import os
import sys
from typing import TextIO

from empirical_fs.errors import EmpiricalError, SetupError
from empirical_fs.printing import printable

_LINE_MAX = 2000
"""Characters; a path may have 4096, and what somebody took for one many more."""
_FOR_NOBODY = os.O_WRONLY | os.O_CLOEXEC


class ReaderGone(EmpiricalError):
    """Nobody reads the answer any more, as after `| head -1`; that is no fault."""


def say(text: str) -> None:
    """Write what was asked for.

    Raises:
        ReaderGone: nobody reads it.
        SetupError: it cannot be written.
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
    """Write it as JSON of ASCII alone, in which nothing speaks to a terminal.

    Raises:
        ReaderGone, SetupError: as `say`.
    """
    say(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def warn(program: str, message: str) -> None:
    """Write a line on stderr, if that can be written to: there is nobody else to tell."""
    line = f"{program}: {printable(message)}"
    tell(line if len(line) <= _LINE_MAX else f"{line[:_LINE_MAX]}...")


def tell(text: str) -> None:
    """Write a text on stderr, if that can be written to."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - what users read
    except OSError:
        _write_no_more(sys.stderr)


def _write_no_more(stream: TextIO) -> None:
    """Have Python write what is left to nobody: it would try once more at its end, and fail then."""
    nobody = os.open(os.devnull, _FOR_NOBODY)
    os.dup2(nobody, stream.fileno())
    os.close(nobody)
