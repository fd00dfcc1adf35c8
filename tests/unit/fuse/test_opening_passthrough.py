"""An open waits for the look at the disk cache, and is answered once, whatever comes of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from empirical_fs.reading.content import Content
from tests.unit.fuse.served import TIMEOUT, Served

FILE = 77
"""A descriptor."""


@dataclass(eq=False)
class Another:
    """Another version of the bytes."""

    is_over: bool = False


class Looks:
    """The looks that were asked for, answered by hand."""

    def __init__(self, *, is_worth_while: bool = True) -> None:
        self.is_worth_while = is_worth_while
        self.waiting: list[Callable[[int | None], object]] = []
        self.closed_contents: list[Content] = []

    def may_have(self, _content: Content) -> bool:
        return self.is_worth_while

    def find(self, _content: Content, on_found: Callable[[int | None], object]) -> None:
        self.waiting.append(on_found)

    def closed(self, content: Content) -> None:
        self.closed_contents.append(content)


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def served(looks: Looks) -> Served:
    return Served(whole_files=looks)


def opened(served: Served, looks: Looks, found: int | None, flags: int = os.O_RDONLY) -> Any:
    """The answer to an open; a look finds `found`."""
    number = served.find("a")
    before = len(served.library.said)
    if served.ask("open", number, served.info(flags=flags)) is None:
        looks.waiting.pop()(found)
    answer = served.heard(before)
    assert answer is not None
    name, info = answer
    assert name == "reply_open"
    return info


def test_an_open_by_passthrough(served: Served, looks: Looks) -> None:
    """It has the kernel's number, and neither keep_cache nor direct_io."""
    info = opened(served, looks, FILE)
    assert served.backings.open == {info.backing: FILE}
    assert (info.keep_cache, info.direct_io) == (0, 0)
    served.ask("release", served.find("a"), served.info(info.fh))
    assert not served.backings.open
    assert len(looks.closed_contents) == 1


def test_nothing_is_found(served: Served, looks: Looks) -> None:
    info = opened(served, looks, None)
    assert (info.backing, info.keep_cache) == (0, 1)


def test_the_second_open_follows_the_first(served: Served, looks: Looks) -> None:
    """It does not look, and with O_DIRECT its reads go past the file that the kernel reads."""
    first = opened(served, looks, FILE)
    second = opened(served, looks, FILE)
    direct = opened(served, looks, FILE, os.O_RDONLY | os.O_DIRECT)
    assert not looks.waiting
    assert first.backing == second.backing == direct.backing
    assert (second.direct_io, direct.direct_io) == (0, 1)


def test_two_looks_at_once(served: Served, looks: Looks) -> None:
    """The first that ends decides."""
    for _ in range(2):
        assert served.ask("open", served.find("a"), served.info()) is None
    looks.waiting.pop()(None)
    looks.waiting.pop()(FILE)
    assert [info._obj.backing for name, info in served.library.said if name == "reply_open"] == [0, 0]
    assert not served.backings.open


def test_an_open_with_o_direct_does_not_look(served: Served, looks: Looks) -> None:
    assert opened(served, looks, FILE, os.O_RDONLY | os.O_DIRECT).backing == 0
    assert not looks.waiting


def test_a_look_that_is_not_worth_while(looks: Looks, served: Served) -> None:
    looks.is_worth_while = False
    assert opened(served, looks, FILE).backing == 0


@pytest.mark.warns("it could not be had in time")
def test_an_open_that_was_given_up(served: Served, looks: Looks) -> None:
    """The look ends later, and leaves nothing open."""
    assert served.ask("open", served.find("a"), served.info()) is None
    served.timer.pass_by(TIMEOUT + 1)
    assert served.library.said[-1][0] == "reply_err"
    looks.waiting.pop()(FILE)
    assert not served.backings.open
    assert served.passthrough.report()["open"] == 0
    assert [each.is_closed for each in served.walks.opened] == [True]


def test_the_file_has_become_another_version(served: Served, looks: Looks) -> None:
    """ESTALE, as without a look; the kernel looks the name up again."""
    number = served.find("a")
    node = served.node("a")
    assert served.ask("open", number, served.info()) is None
    node.content = Another()
    looks.waiting.pop()(FILE)
    assert served.library.said[-1][0] == "reply_err"
    assert not served.backings.open
    assert [each.is_closed for each in served.walks.opened] == [True]
