"""What is answered to a scrape, and to everything else."""

import h11
import pytest
from prometheus_client import CollectorRegistry

from empirical_fs.metrics.answers import Answers, encoded
from empirical_fs.metrics.collector import EmpiricalCollector
from empirical_fs.metrics.measured import Measured
from tests.unit.metrics.measured import WITH_CACHE, families

OPENMETRICS = "application/openmetrics-text"
PROMETHEUS = (
    f"{OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
)


def answers(*, is_for_this_machine: bool = True) -> Answers:
    registry = CollectorRegistry()
    registry.register(EmpiricalCollector(lambda: WITH_CACHE))
    return Answers(registry, is_for_this_machine=is_for_this_machine)


def request(
    method: str = "GET",
    target: str = "/metrics",
    host: str | None = "localhost:9000",
    accept: str | None = None,
) -> h11.Request:
    headers = [("Host", host)] if host is not None else []
    headers += [("Accept", accept)] if accept is not None else []
    return h11.Request(
        method=method, target=target, headers=headers, http_version="1.0" if host is None else "1.1"
    )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PROMETHEUS, OPENMETRICS),
        (None, OPENMETRICS),
        ("*/*", OPENMETRICS),
        ("text/html,application/xhtml+xml", OPENMETRICS),
        ("text/plain", "text/plain"),
        ("text/plain;version=nonsense", "text/plain"),
        (f"{OPENMETRICS};version=nonsense", OPENMETRICS),
    ],
)
def test_formats(accept: str | None, kind: str) -> None:
    """OpenMetrics, unless the client takes only what was before it."""
    answer = answers().to(request(accept=accept))
    assert (answer.status, answer.content_type.partition(";")[0]) == (200, kind)
    if kind == OPENMETRICS:
        assert len(families(answer.body.decode())) > 30


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request("HEAD"), 200),
        (request(target="/metrics?name[]=x"), 200),
        (request(target="http://localhost:9000/metrics"), 200),
        (request("POST"), 405),
        (request("OPTIONS"), 405),
        (request(target="/"), 404),
        (request(target="/metrics/"), 404),
        (request(target="/../metrics"), 404),
        (request("OPTIONS", target="*"), 404),
        (request(target="http://["), 404),
    ],
)
def test_methods_and_paths(asked: h11.Request, status: int) -> None:
    """Only the metrics are there to be had, and only by methods that read."""
    answer = answers().to(asked)
    assert answer.status == status
    assert (("Allow", "GET, HEAD") in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("host", "is_fine"),
    [
        ("localhost", True),
        ("localhost:1", True),
        ("127.0.0.1:9000", True),
        ("127.8.8.8", True),
        ("[::1]:9000", True),
        (None, True),
        ("evil.example:9000", False),
        ("localhost.evil.example", False),
        ("10.0.0.1:9000", False),
        ("127.0.0.1.evil.example", False),
        ("[", False),
    ],
)
def test_names_that_a_page_may_have_given_to_this_machine(host: str | None, *, is_fine: bool) -> None:
    """Where only this machine may ask, it must be asked as this machine; elsewhere it has other names."""
    assert answers().to(request(host=host)).status == (200 if is_fine else 403)
    assert answers(is_for_this_machine=False).to(request(host=host)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_encoded(method: str) -> None:
    """A client that speaks HTTP gets the length in both cases, and the body once."""
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    sent = request(method)
    server.receive_data((client.send(sent) or b"") + (client.send(h11.EndOfMessage()) or b""))
    server.next_event()
    answer = answers().to(sent)
    client.receive_data(encoded(answer, server, is_to_head=method == "HEAD"))
    client.receive_data(b"")
    head, *rest = _events(client)
    assert isinstance(head, h11.Response)
    assert (head.status_code, dict(head.headers)[b"content-length"]) == (200, str(len(answer.body)).encode())
    body = b"".join(bytes(event.data) for event in rest if isinstance(event, h11.Data))
    assert body == (b"" if method == "HEAD" else answer.body)


def _events(client: h11.Connection) -> list[object]:
    found: list[object] = []
    while not found or not isinstance(found[-1], h11.EndOfMessage):
        found.append(client.next_event())
        assert found[-1] is not h11.NEED_DATA
    return found


@pytest.mark.warns("the metrics cannot be shown")
def test_a_measurement_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The answer says so, and the log says why, once."""

    def measure() -> Measured:
        raise ValueError("broken")

    registry = CollectorRegistry()
    registry.register(EmpiricalCollector(measure))
    failing = Answers(registry, is_for_this_machine=True)
    assert [failing.to(request()).status for _ in range(3)] == [500] * 3
    assert len(caplog.records) == 1
