"""What the commands say: answers on stdout, one line of trouble on stderr."""

import contextlib
import json
import os
import sys

from empirical_fs.errors import EmpiricalError, SetupError
from empirical_fs.printing import printable

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
        _write_no_more()
        raise ReaderGone("nobody reads the answer") from error
    except OSError as error:
        _write_no_more()
        raise SetupError(f"cannot write the answer: {error.strerror}") from error


def say_json(value: object) -> None:
    """Write it as JSON of ASCII alone, in which nothing speaks to a terminal.

    Raises:
        ReaderGone, SetupError: as `say`.
    """
    say(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def warn(program: str, message: str) -> None:
    """Write a line on stderr, if that can be written to: there is nobody else to tell."""
    with contextlib.suppress(OSError):
        print(f"{program}: {printable(message)}", file=sys.stderr)  # noqa: T201 - the one line that users read


def _write_no_more() -> None:
    """Have Python write what is left to nobody: at its end, it would try once more."""
    nobody = os.open(os.devnull, _FOR_NOBODY)
    os.dup2(nobody, sys.stdout.fileno())
    os.close(nobody)
