"""The line that users read: what happened, and after a semicolon what to do about it."""

import errno

import pytest

from empirical_fs.errors import (
    ApiUnavailable,
    EmpiricalError,
    Foreign,
    KeyRefused,
    NoMemory,
    SetupError,
    Trouble,
    UsageError,
)
from empirical_fs.explaining import explained
from empirical_fs.server import Server

SERVER = Server("https", "api.example", 443)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SetupError("it is so"), "it is so"),
        (SetupError("it is so", advice="mend it"), "it is so; mend it"),
        (UsageError("of two\nlines", advice="make it\none"), "of two lines; make it one"),
        (KeyRefused(401), "the API refused the key (HTTP 401); check key.txt"),
        (
            ApiUnavailable("nobody; is there", silent=SERVER),
            "cannot reach the API: nobody; is there; check the network and -o api_url",
        ),
        (ApiUnavailable("it is busy"), "cannot reach the API: it is busy; try again in a while"),
        (
            ApiUnavailable(Trouble("no name server", "check the DNS"), silent=SERVER),
            "cannot reach the API: no name server; check the DNS",
        ),
        (Foreign("a web page"), "this is not the Empirical API: a web page; check -o api_url"),
    ],
    ids=str,
)
def test_explained(error: EmpiricalError, line: str) -> None:
    """Who raises says what to do; where it does not, it is said by what kind of error it is."""
    assert explained(error, "key.txt", "-o api_url") == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(errno.ENOMEM, "Cannot allocate memory", "/x/certifi"), str(NoMemory().trouble)),
        (ValueError("bug"), "an internal error, please report it: ValueError: bug"),
    ],
)
def test_what_nobody_raised_on_purpose(error: BaseException, line: str) -> None:
    """It is one line as well."""
    assert explained(error) == line
