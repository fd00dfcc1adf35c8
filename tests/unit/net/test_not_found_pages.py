"""Whose page it is that says "not found": the server's own, or that of whoever answers in its name."""

from collections.abc import Generator, Mapping
from types import MappingProxyType

import httpx
import pytest

from empirical_fs.errors import StoreUnavailable
from empirical_fs.net.http11 import Answer
from empirical_fs.net.not_found_pages import NotFoundPages
from empirical_fs.net.probe_requests import ProbeRequest, ProbeRequests
from empirical_fs.server import Server
from empirical_fs.work.waits import Steps, Wait, drive
from tests.unit.conftest import Unread

STORE = Server("https", "store.example", 443)


def page(server: str, status: int = 404) -> Answer:
    return answer(status, {"content-type": "text/html", "server": server})


def answer(status: int, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    return Answer(STORE, status, headers, Unread())


def sample(path: str) -> ProbeRequest:
    return ProbeRequest(httpx.URL(f"https://store.example{path}"), {}, software="nginx")


class World:
    """A store that answers each path so; what is not there it does not answer."""

    def __init__(self, served_before: list[str], answers: dict[str, Answer]) -> None:
        self.seconds = 1000.0
        self.answers = answers
        self.asked: list[str] = []
        samples = ProbeRequests()
        for path in served_before:
            samples.answered(STORE, sample(path))
        self._not_found_pages = NotFoundPages(self._ask, samples, lambda: self.seconds)

    def _ask(self, sample: ProbeRequest) -> Generator[Wait, bool, Answer]:
        yield from ()
        self.asked.append(sample.url.path)
        if sample.url.path not in self.answers:
            raise StoreUnavailable("no answer")
        return self.answers[sample.url.path]

    def is_own(self) -> bool:
        steps: Steps[bool] = self._not_found_pages.is_own(sample("/gone"))
        return drive(steps)


@pytest.mark.parametrize(
    ("answers", "is_own"),
    [
        ({"/a": answer(206), "/gone": page("nginx")}, True),
        ({"/a": page("nginx"), "/gone": page("nginx")}, False),
        ({"/a": answer(403), "/gone": page("nginx")}, True),
        ({"/gone": page("nginx")}, True),
        ({"/gone": page("parking")}, False),
        ({"/gone": page("")}, False),
        ({"/a": page("nginx", 200), "/gone": page("nginx")}, False),
        ({}, False),
    ],
    ids=["another is served", "a page for all", "another expired", "its own", "another's", "unnamed",
         "a page with 200", "nobody"],
)  # fmt: skip
def test_whose_page_it_is(answers: dict[str, Answer], *, is_own: bool) -> None:
    """What else the server serves shows that it is itself; else what it calls itself does."""
    assert World(["/a", "/gone"], answers).is_own() is is_own


def test_a_server_that_served_nothing_yet() -> None:
    """Nothing shows that it is the one that was meant."""
    assert not World([], {"/gone": page("nginx")}).is_own()


def test_many_ask_once() -> None:
    """For a second a server that is not itself is not asked again; one that is itself is, for each object."""
    world = World(["/a", "/b", "/gone"], {path: page("x") for path in ("/a", "/b", "/gone")})
    assert not world.is_own()
    assert sorted(world.asked) == ["/a", "/b", "/gone"]
    assert not world.is_own()
    assert len(world.asked) == 3
    world.seconds += 2
    world.answers["/a"] = world.answers["/b"] = answer(206)
    assert world.is_own()
    assert world.is_own()
    assert world.asked[3:] == ["/b", "/b"]
