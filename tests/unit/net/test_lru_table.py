"""What is remembered of servers has a bound, however many host names there are."""

import socket

import httpx
import pytest

from empirical_fs.net.circuit_breaker import Outages
from empirical_fs.net.connecting import Connector
from empirical_fs.net.idle_connections import IdleConnections
from empirical_fs.net.lru_table import SERVERS_MAX, LruTable
from empirical_fs.net.probe_requests import ProbeRequest, ProbeRequests
from empirical_fs.net.proxies import Route
from empirical_fs.server import Server
from tests.unit.net.test_turns import Line

MANY = 3 * SERVERS_MAX


def server(number: int) -> Server:
    return Server("https", f"{number}.store.example", 443)


def test_those_used_last_are_kept() -> None:
    """Reading and writing are uses; looking is none."""
    table = LruTable[str, int](most=3)
    for number, key in enumerate("abc"):
        table.put(key, number)
    assert table.get("a") == 0
    assert table.peek("b") == 1
    table.put("d", 3)
    assert table.items() == [("c", 2), ("a", 0), ("d", 3)]
    assert table.get_or_put("c", lambda: 9) == 2
    assert table.get_or_put("b", lambda: 9) == 9
    assert table.items() == [("d", 3), ("c", 2), ("b", 9)]
    table.drop("d")
    table.drop("x")
    assert (table.get("d"), len(table)) == (None, 2)


def test_what_is_in_use_is_never_dropped() -> None:
    """However many are: the bound holds for the others."""
    table = LruTable[int, bool](lambda is_in_use: is_in_use, most=3)
    for number in range(5):
        table.put(number, True)  # noqa: FBT003 - it is in use
    for number in range(5, 9):
        table.put(number, False)  # noqa: FBT003 - it is not
    assert [key for key, _ in table.items()] == [0, 1, 2, 3, 4, 8]


@pytest.mark.warns("[0-9]+.store.example is out of reach")
def test_outages_of_many_servers() -> None:
    """Of more servers that are out of reach than are remembered, the first are not, and probed no more."""
    outages = Outages(lambda _: False, lambda _: True, lambda: 1000.0)
    for number in range(MANY):
        outages.gave_up(server(number), 900)
    assert len(outages.lost()) == SERVERS_MAX
    assert not outages.is_lost(server(0))
    assert outages.is_lost(server(MANY - 1))
    for number in range(MANY, MANY + SERVERS_MAX):
        outages.answered(server(number))
    assert outages.lost() == {}


def test_lines_before_many_servers() -> None:
    """The line before a server stays as long as somebody is in it, and then as long as it is remembered."""
    line = Line()
    turn = line.taken(server(0))
    for number in range(1, MANY):
        line.taken(server(number)).end()
    assert len(line.turns._lines) == SERVERS_MAX
    turn.refused(5)
    assert line.turns.pause(server(0)) == 5
    for number in range(MANY):
        assert line.turns.pause(Server("https", f"never-asked-{number}.example", 443)) == 0
    assert len(line.turns._lines) == SERVERS_MAX


def test_addresses_and_samples_of_many_servers() -> None:
    """Which address of a server worked, or failed, and what it answered."""
    connector, samples = Connector(lambda *_: True), ProbeRequests()
    for number in range(MANY):
        with connector.judging(server(number), "192.0.2.1"):
            pass
        with pytest.raises(ConnectionError), connector.judging(server(number), "192.0.2.2"):
            raise ConnectionError
        samples.answered(server(number), ProbeRequest(httpx.URL(f"https://{number}.store.example/a"), {}))
    assert len(connector._worked) == len(connector._failed) == len(samples._of) == SERVERS_MAX
    assert len(list(samples.of(server(0)))) == 1
    assert len(list(samples.of(server(MANY - 1)))) == 2


class Idle(IdleConnections):
    """Idle connections on a clock of its own."""

    def __init__(self, most: int) -> None:
        self.seconds = 1000.0
        super().__init__(most, lambda: self.seconds)


def connections(count: int) -> list[socket.socket]:
    """Sockets without descriptors."""
    return [socket.socket.__new__(socket.socket) for _ in range(count)]


def test_the_connection_that_was_used_last_comes_first() -> None:
    """Of a route, until there is none; others are not touched."""
    idle, (first, second, other) = Idle(9), connections(3)
    route, another = Route(server(1)), Route(server(2))
    for connection in (first, second):
        assert idle.put(route, connection) == []
    assert idle.put(another, other) == []
    assert [idle.take(route) for _ in range(3)] == [(second, []), (first, []), (None, [])]
    assert idle.drop(route) == []
    assert idle.drop_all() == [other]
    assert idle.take(another) == (None, [])


def test_more_connections_than_are_kept() -> None:
    """The one that is idle for longest is closed, whichever server it is to."""
    idle, made = Idle(2), connections(5)
    closed = [idle.put(Route(server(number)), each) for number, each in enumerate(made)]
    assert closed == [[], [], [made[0]], [made[1]], [made[2]]]
    assert [idle.take(Route(server(number)))[0] for number in range(5)] == [None, None, None, *made[3:]]


def test_connections_that_are_too_old() -> None:
    """They are closed when somebody asks for one, or when another comes to be kept."""
    idle, (first, second, third, fourth) = Idle(9), connections(4)
    route = Route(server(1))
    idle.put(route, first)
    idle.seconds += 10
    idle.put(route, second)
    idle.seconds += 45
    assert idle.put(Route(server(2)), third) == [first]
    idle.seconds += 45
    assert idle.take(route) == (None, [second])
    idle.seconds += 45
    assert idle.put(route, fourth) == [third]
    assert idle.take(route) == (fourth, [])
