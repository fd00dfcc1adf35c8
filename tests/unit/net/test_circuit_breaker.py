"""A server that is out of reach is probed, nobody else waits for it, and any answer ends that."""

from collections.abc import Callable

import pytest

from empirical_fs.net.circuit_breaker import Outages
from empirical_fs.server import Server
from tests.support.harness import wait_until

STORE = Server("https", "store.example", 443)
OTHER = Server("https", "other.example", 443)


class Watched:
    """Outages on a clock of its own: each wait of a probe takes no time, and runs the next of `then`."""

    def __init__(self, *then: Callable[[], None]) -> None:
        self.seconds = 1000.0
        self.waited: list[float] = []
        self.probed: list[Server] = []
        self.is_up = False
        self._then = list(then)
        self.outages = Outages(self._probe, self._wait, lambda: self.seconds)

    def _probe(self, server: Server) -> bool:
        self.probed.append(server)
        return self.is_up

    def _wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.seconds += seconds
        if not self._then:
            return True
        self._then.pop(0)()
        return False

    def give_up(self, server: Server = STORE, seconds: float = 30) -> None:
        """Give up after `seconds`, and wait for the end of the probing."""
        begun = self.seconds
        self.seconds += seconds
        self.outages.gave_up(server, begun)
        self.end()

    def end(self) -> None:
        """Wait for the end of the probing."""
        jobs = [known.watch for _, known in self.outages._servers.items()]
        wait_until(lambda: not any(each.is_busy for each in jobs), "the thread's end")


def nothing() -> None:
    """Let the time pass."""


@pytest.mark.warns("store.example is out of reach; reads", "store.example answers again")
def test_who_gave_up_speaks_for_all() -> None:
    """A server that somebody has given up is lost, until it answers; others are not."""
    watched = Watched()
    assert not watched.outages.is_lost(STORE)
    watched.give_up()
    assert watched.outages.is_lost(STORE)
    assert not watched.outages.is_lost(OTHER)
    watched.outages.answered(STORE)
    assert not watched.outages.is_lost(STORE)


@pytest.mark.parametrize(("answered_before", "is_lost"), [(29.0, False), (31.0, True)])
@pytest.mark.may_warn("store.example is out of reach; reads")
def test_an_answer_to_somebody_else_meanwhile(answered_before: float, *, is_lost: bool) -> None:
    """What answered anybody since then is in reach, whatever one request came to."""
    watched = Watched()
    watched.outages.answered(STORE)
    watched.seconds += answered_before - 30
    watched.give_up(seconds=30)
    assert watched.outages.is_lost(STORE) is is_lost


@pytest.mark.warns("store.example is out of reach; reads")
def test_probes_are_quick_and_then_patient() -> None:
    """A lost server is asked at once, after a second, then less often, but at least every five seconds."""
    watched = Watched(*[nothing] * 20)
    watched.give_up()
    assert watched.waited[0] == pytest.approx(1)
    assert watched.waited == sorted(watched.waited)
    assert watched.waited[-1] == pytest.approx(5)
    assert watched.probed == [STORE] * 21


@pytest.mark.warns("store.example is out of reach; reads", "store.example answers again")
def test_a_probe_that_is_answered_ends_it() -> None:
    """After the first answer the server is in reach and no more probed."""

    def come_back() -> None:
        watched.is_up = True

    watched = Watched(nothing, come_back, nothing)
    watched.give_up()
    assert not watched.outages.is_lost(STORE)
    assert len(watched.probed) == 3


@pytest.mark.warns("store.example is out of reach; reads", "store.example answers again")
def test_an_answer_to_others_ends_the_probing() -> None:
    """Where a request that was under way is answered, the next probe is the last."""
    watched = Watched(nothing, lambda: watched.outages.answered(STORE), nothing)
    watched.give_up()
    assert len(watched.probed) == 3


@pytest.mark.warns("store.example is out of reach; reads", "store.example answers again")
def test_it_can_be_lost_again() -> None:
    """A server that came back and goes again is given up as before, and probed anew."""
    watched = Watched(lambda: watched.outages.answered(STORE), nothing)
    watched.give_up()
    assert not watched.outages.is_lost(STORE)
    before = len(watched.probed)
    watched.seconds += 1
    watched.give_up()
    assert watched.outages.is_lost(STORE)
    assert len(watched.probed) > before


def test_silence_about_one_thing_is_no_outage() -> None:
    """A probe that is answered between a request that was not and its giving up keeps the server in reach."""
    watched = Watched()
    watched.is_up = True
    begun = watched.seconds
    watched.seconds += 10
    watched.outages.unanswered(STORE, begun)
    watched.end()
    assert watched.probed == [STORE]
    watched.seconds += 20
    watched.outages.gave_up(STORE, begun)
    assert not watched.outages.is_lost(STORE)
    assert watched.probed == [STORE]


def test_one_silence_is_no_outage() -> None:
    """A request that was not answered, nor the probe, loses nothing yet; the next may be."""
    watched = Watched()
    for number in range(3):
        watched.seconds += 10
        watched.outages.unanswered(STORE, watched.seconds - 5)
        watched.end()
        assert len(watched.probed) == number + 1
    assert not watched.outages.is_lost(STORE)


@pytest.mark.warns("store.example is out of reach; reads")
def test_many_who_give_up_at_once_probe_once() -> None:
    """Of all who give up, the first alone starts to probe."""
    watched = Watched(lambda: watched.outages.gave_up(STORE, 1000), nothing)
    watched.give_up()
    assert len(watched.probed) == 3


@pytest.mark.warns("store.example is out of reach; reads", "store.example answers again")
def test_now_and_then_somebody_is_let_through() -> None:
    """One after five seconds, then more rarely, at least every forty; no answer to a probe is needed."""
    watched = Watched()
    watched.give_up()
    let_through = []
    begun = watched.seconds - sum(watched.waited)
    for _ in range(200):
        watched.seconds += 1
        let_through += [watched.seconds - begun] * watched.outages.lets_through(STORE)
    assert let_through == [5, 15, 35, 75, 115, 155, 195]
    watched.outages.answered(STORE)
    watched.seconds += 10
    watched.give_up()
    assert not watched.outages.lets_through(STORE)


@pytest.mark.warns("store.example answers again")
def test_a_server_that_is_taken_to_be_lost() -> None:
    """It is lost before any request, which is no news; nobody is let through, and a probe ends it."""
    watched = Watched(nothing, nothing)
    watched.outages.presume_lost(STORE)
    assert watched.probed == []
    watched.seconds += 1000
    assert not watched.outages.lets_through(STORE)
    assert watched.outages.is_lost(STORE)
    watched.end()
    assert watched.probed == [STORE] * 3
    watched.is_up = True
    assert watched.outages.is_lost(STORE)
    watched.end()
    assert not watched.outages.is_lost(STORE)
