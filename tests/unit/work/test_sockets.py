"""Sockets are waited for together, each once, by each way that a system may have."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from empirical_fs.work.sockets import AnyPoll, Epoll, Poll, Sockets
from tests.support.harness import wait_until

PATIENCE = 10.0


@pytest.fixture(params=[Epoll, AnyPoll])
def sockets(request: pytest.FixtureRequest) -> Sockets[str]:
    make: Callable[[], Poll] = request.param
    return Sockets[str](make())


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    pairs = [socket.socketpair() for _ in range(3)]
    yield pairs
    for pair in pairs:
        for each in pair:
            each.close()


def test_those_that_can_be_read(
    sockets: Sockets[str], pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    """Each is told once, also if it is at its end; then it can be waited for again."""
    (one, to_one), (two, to_two), (three, _) = pairs
    for each, name in ((one, "one"), (two, "two"), (three, "three")):
        sockets.add(each, name)
    assert sockets.wait(0) == []
    to_one.send(b"x")
    to_two.close()
    assert sorted(sockets.wait(PATIENCE)) == ["one", "two"]
    assert sockets.wait(0) == []
    sockets.add(one, "again")
    assert sockets.wait(PATIENCE) == ["again"]
    assert sockets
    sockets.remove(three.fileno(), "another")
    assert sockets
    sockets.remove(three.fileno(), "three")
    assert not sockets


def test_a_closed_one(sockets: Sockets[str], pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """It cannot be added; one that is closed while it is waited for makes room for another of its number."""
    (one, _), (two, to_two), _ = pairs
    number = one.fileno()
    sockets.add(one, "one")
    one.close()
    with pytest.raises((OSError, ValueError)):
        sockets.add(one, "closed")
    with two.dup() as again:
        assert again.fileno() == number
        sockets.add(again, "again")
        to_two.send(b"x")
        assert sockets.wait(PATIENCE) == ["again"]


def test_added_and_woken_while_a_thread_waits(
    sockets: Sockets[str], pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    (one, to_one), _, _ = pairs
    came: list[list[str]] = []
    waits = threading.Thread(target=lambda: came.extend(sockets.wait(PATIENCE) for _ in range(3)))
    waits.start()
    sockets.wake()
    wait_until(lambda: came == [[]], "the first wake")
    sockets.add(one, "one")
    to_one.send(b"x")
    wait_until(lambda: came == [[], ["one"]], "the socket")
    for _ in range(100_000):
        sockets.wake()
    waits.join(PATIENCE)
    assert came == [[], ["one"], []]
