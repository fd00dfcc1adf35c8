"""What `-vv` tells of each HTTP request."""

import logging

import pytest

from empirical_fs.errors import StoreUnavailable
from empirical_fs.net.tracing import traced

LOG = logging.getLogger("empirical_fs.net.tracing")


@pytest.fixture
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "empirical_fs.net.tracing")


@pytest.mark.usefixtures("_heard")
def test_what_is_traced(caplog: pytest.LogCaptureFixture) -> None:
    """A block tells how it ended; so does the reason why it failed."""
    with traced(LOG, "GET") as ended:
        ended("HTTP 200")
    with pytest.raises(StoreUnavailable), traced(LOG, "GET"):
        raise StoreUnavailable("busy")
    told = [record.getMessage().rpartition(" in ")[0] for record in caplog.records]
    assert told == ["GET: HTTP 200", "GET: StoreUnavailable: busy"]
