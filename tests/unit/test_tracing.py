import errno
import logging
from typing import Any

import pytest

from empirical_fs.errors import StoreUnavailable
from empirical_fs.tracing import TracedOperations, traced

LOG = logging.getLogger("empirical_fs.tracing")


class Operations:
    use_ns = True

    def __call__(self, operation: str, *args: Any) -> Any:
        if operation == "open":
            raise OSError(errno.ENOENT, "gone")
        return 5 if operation == "read" else [args]

    def subject(self, args: tuple[Any, ...]) -> str:
        return str(args[0] or "/handle")


@pytest.fixture
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "empirical_fs.tracing")


@pytest.mark.usefixtures("_heard")
def test_operations(caplog: pytest.LogCaptureFixture) -> None:
    """Each is told in a line: what it was for, what it gave, how long it took."""
    operations = TracedOperations(Operations())
    assert operations("read", None, memoryview(bytes(7)), 40, None) == 5
    assert operations("getattr", "/a\nb") == [("/a\nb",)]
    with pytest.raises(OSError, match="gone"):
        operations("open", "/c", None)
    lines = [record.getMessage().rpartition(" in ") for record in caplog.records]
    assert [begin for begin, _, _ in lines] == [
        "read '/handle' 7 bytes at 40: 5",
        "getattr '/a\\nb': done",
        "open '/c': ENOENT",
    ]
    assert all(end.endswith(" ms") for _, _, end in lines)
    assert operations.use_ns


@pytest.mark.usefixtures("_heard")
def test_what_is_traced(caplog: pytest.LogCaptureFixture) -> None:
    """A block tells how it ended; so does the reason why it failed."""
    with traced(LOG, "GET") as ended:
        ended("HTTP 200")
    with pytest.raises(StoreUnavailable), traced(LOG, "GET"):
        raise StoreUnavailable("busy")
    told = [record.getMessage().rpartition(" in ")[0] for record in caplog.records]
    assert told == ["GET: HTTP 200", "GET: StoreUnavailable: busy"]
