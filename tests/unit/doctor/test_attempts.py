"""A check of the doctor ends in time: with a value, or with what a user, a machine or a server caused."""

import threading

import pytest

from empirical_fs.doctor.attempts import attempt
from empirical_fs.errors import DeadlinePassed, KeyRefused, SetupError

SOON = 10.0


def raising(error: BaseException) -> None:
    raise error


def test_what_comes_of_it() -> None:
    """The value, if there is one."""
    assert attempt(lambda: 5, SOON) == 5


def test_what_others_cause() -> None:
    """Errors that a user, a machine or a server can cause come back as such, in words."""
    refused = KeyRefused(401)
    assert attempt(lambda: raising(refused), SOON) is refused
    failure = attempt(lambda: raising(PermissionError(13, "Permission denied", "/etc/x")), SOON)
    assert (type(failure), str(failure)) == (SetupError, "/etc/x: Permission denied")
    failure = attempt(lambda: raising(OSError("no errno")), SOON)
    assert (type(failure), str(failure)) == (SetupError, "OSError")


def test_what_we_cause() -> None:
    """A mistake of ours is not taken for anything else."""
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0, SOON)


def test_what_takes_too_long() -> None:
    """Nobody waits for longer, whether or not it ever ends."""
    over = threading.Event()
    failure = attempt(over.wait, 0.05)
    over.set()
    assert (type(failure), str(failure)) == (DeadlinePassed, "it took more than 0.05 s")
