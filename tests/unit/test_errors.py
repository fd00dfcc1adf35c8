"""Each error has its errno, carries its data, and stands in the documented hierarchy."""

import errno
import importlib
import logging
import pkgutil
from typing import Any, cast

import pytest

import empirical_fs
from empirical_fs import errors
from empirical_fs.errnos import ERRNO
from empirical_fs.errors import EmpiricalError
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.request import Request
from empirical_fs.statistics import Statistics
from empirical_fs.work.threads import Pool
from tests.support.fuse_answers import NoLibrary, requests

PATIENCE = 10.0


def every_error(kind: type[EmpiricalError] = EmpiricalError) -> list[type[EmpiricalError]]:
    """The class and all below it, wherever in the package they are."""
    return [kind, *(each for below in kind.__subclasses__() for each in every_error(below))]


for module in pkgutil.walk_packages(empirical_fs.__path__, "empirical_fs."):
    if ".sandbox" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
EVERY = every_error()

EXPECTED = {
    "NoSuchFile": errno.ENOENT,
    "Abandoned": errno.EINTR,
    "Interrupted": errno.EINTR,
    "KeyRefused": errno.EACCES,
    "ContentChanged": errno.ESTALE,
    "ResourceGone": errno.ESTALE,
}
"""The errno contract; all else is EIO."""


def errno_of(error: BaseException) -> int:
    """The errno with which an operation leaves that raises `error`."""
    library = NoLibrary()
    at = requests(library)
    request = Request(at, 1)
    at.accept(request)
    Answering(Statistics(), cast(Pool, None), PATIENCE).refuse(request, About("statfs", "/"), error)
    ((name, number),) = library.said
    assert name == "reply_err"
    return int(number)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.may_warn("statfs /: ")
def test_errno(kind: type[EmpiricalError]) -> None:
    """Every error that the package knows leaves as the errno of the contract, and none is missing."""
    assert errno_of(kind.__new__(kind)) == EXPECTED.get(kind.__name__, errno.EIO)


def test_table_names_only_our_errors() -> None:
    """Every row of the table is used, and every errno in it is one."""
    assert {kind.__name__ for kind in ERRNO} == {*EXPECTED, "EmpiricalError"}
    assert all(number in errno.errorcode for number in ERRNO.values())


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (Refusal(errno.EROFS), errno.EROFS),
        (ValueError("bug"), errno.EIO),
        (RecursionError("bug"), errno.EIO),
        (SystemExit(1), errno.EIO),
        (KeyboardInterrupt(), errno.EIO),
        (AssertionError(), errno.EIO),
    ],
)
@pytest.mark.may_warn("ERROR .*: statfs / failed unexpectedly")
def test_anything_else(error: BaseException, number: int) -> None:
    """A refusal keeps its errno; any other exception is EIO and never gets out to libfuse."""
    assert errno_of(error) == number


@pytest.mark.parametrize("error", [OSError("no number"), OSError(errno.ENOSPC, "full")])
@pytest.mark.warns("ERROR .*: statfs / failed unexpectedly")
def test_an_os_error(error: OSError) -> None:
    """What the system says to us is no answer to somebody else."""
    assert errno_of(error) == errno.EIO


@pytest.mark.warns(
    "WARNING .*: statfs /: the store refused the signed URL",
    "ERROR .*: statfs / failed unexpectedly",
)
def test_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A missing name is not worth a log line, a failed read is one, and a bug is one with its traceback."""
    with caplog.at_level(logging.DEBUG):
        errno_of(errors.NoSuchFile("x"))
        assert caplog.records == []
        errno_of(errors.UrlRefused(403))
        errno_of(ZeroDivisionError())
    assert [(record.levelname, bool(record.exc_info)) for record in caplog.records] == [
        ("WARNING", False),
        ("ERROR", True),
    ]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind.__module__ == errors.__name__])
def test_hierarchy_is_documented(kind: type[EmpiricalError]) -> None:
    """The tree at the head of errors.py names every error in it."""
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (errors.KeyRefused(401), {"status": 401}),
        (errors.UrlRefused(403), {"status": 403, "is_from_intermediary": False}),
        (errors.OutOfReach("a.example"), {"host": "a.example"}),
        (errors.ResourceGone(7), {"resource_id": 7}),
        (errors.ApiUnavailable("busy", 5), {"retry_after": 5, "silent": None, "lasting": False}),
        (errors.StoreUnavailable("busy"), {"retry_after": None, "silent": None, "lasting": False}),
    ],
)
def test_errors_carry_data(error: EmpiricalError, data: dict[str, Any]) -> None:
    """Errors carry what was the matter as data, beside the words."""
    assert vars(error) == data
    assert str(error)


def test_errors_carry_advice() -> None:
    """What happened and what to do are apart, and together in one line, whatever is in either."""
    error = errors.ApiUnavailable(errors.Trouble("a; b", "c; d"), 5)
    assert (error.what, error.advice, str(error)) == ("a; b", "c; d", "a; b; c; d")
    plain = errors.SetupError("a; b")
    assert (plain.what, plain.advice, str(plain)) == ("a; b", None, "a; b")
    assert errors.NoThread().advice
