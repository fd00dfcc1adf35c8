"""Work on a lane holds no thread while it waits, and ends whatever happens."""

import _thread
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from empirical_fs.errors import NoThread
from empirical_fs.work import lanes
from empirical_fs.work.lanes import Lane
from empirical_fs.work.reactor import Reactor
from empirical_fs.work.sockets import Sockets
from empirical_fs.work.timer import Timer
from empirical_fs.work.waits import InThread, Pause, Readable, Steps, drive, in_thread, is_readable
from tests.support.harness import wait_until

PATIENCE = 10.0
MOST, THREADS = 40, 4


class Peer:
    """A connection, and who answers at its other end."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()

    def answer(self) -> None:
        self.theirs.sendall(b"x")

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    peers = [Peer() for _ in range(MOST + 10)]
    yield peers
    for peer in peers:
        peer.close()


@pytest.fixture
def reactor(timer: Timer) -> Iterator[Reactor]:
    reactor = Reactor(timer, 1)
    yield reactor
    reactor.close()


@pytest.fixture
def lane(reactor: Reactor) -> Iterator[Lane]:
    lane = Lane("lane", reactor, threads=THREADS, most=MOST)
    yield lane
    lane.close()


def threads(lane: Lane) -> int:
    return sum(worker.is_alive for worker in lane._workers)


class Asking:
    """Work that asks peers, and notes how it went."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[tuple[int, bool]] = []

    def ask(self, number: int, peer: Peer, seconds: float = PATIENCE) -> Steps[None]:
        self.begun.append(number)
        has_come = yield Readable(peer.ours, seconds)
        self.ended.append((number, has_come))


def test_who_waits_holds_no_thread(lane: Lane, peers: list[Peer]) -> None:
    """Many more pieces of work wait than there are threads; each goes on when its peer has answered."""
    asking = Asking()
    for number, peer in enumerate(peers):
        lane.run(asking.ask(number, peer))
    wait_until(lambda: len(asking.begun) == MOST, "as many as may be under way")
    assert threads(lane) == THREADS
    for number in (MOST - 1, 0, 7):
        peers[number].answer()
        wait_until(lambda number=number: (number, True) in asking.ended, f"the end of {number}")  # type: ignore[misc]
    wait_until(lambda: len(asking.begun) == MOST + 3, "the next in turn")
    assert sorted(asking.begun) == list(range(MOST + 3))
    for peer in peers:
        peer.answer()
    wait_until(lambda: len(asking.ended) == len(peers), "the end of all")
    assert all(has_come for _, has_come in asking.ended)


def test_a_time_that_is_over(lane: Lane, peers: list[Peer]) -> None:
    """What has not come in time is said not to have come, whoever waited: a thread, or nobody."""
    asking = Asking()
    for number, seconds in enumerate((0.01, 0.2, -1)):
        lane.run(asking.ask(number, peers[number], seconds))
    wait_until(lambda: len(asking.ended) == 3, "all three")
    assert sorted(asking.ended) == [(0, False), (1, False), (2, False)]


def test_a_connection_that_ends(lane: Lane, peers: list[Peer]) -> None:
    """Its end is something to read, as is a shutdown from this side, by which requests are cancelled."""
    asking = Asking()
    for number in range(3):
        lane.run(asking.ask(number, peers[number]))
    wait_until(lambda: len(asking.begun) == 3, "all three")
    peers[0].theirs.close()
    peers[1].ours.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: len(asking.ended) == 2, "the two")
    assert sorted(asking.ended) == [(0, True), (1, True)]
    peers[2].answer()
    wait_until(lambda: len(asking.ended) == 3, "the third")


def test_who_pauses_leaves_its_place(reactor: Reactor) -> None:
    """Others are under way meanwhile; who has paused goes before what has not begun."""
    lane, order = Lane("lane", reactor, threads=1, most=1), list[str]()

    def pausing() -> Steps[None]:
        order.append("pausing")
        yield Pause(0.05)
        order.append("again")

    def plain() -> Steps[None]:
        order.append("plain")
        yield from ()

    lane.run(pausing())
    lane.run(plain())
    wait_until(lambda: len(order) == 3, "both")
    assert order == ["pausing", "plain", "again"]
    lane.close()


def test_what_waits_elsewhere(lane: Lane) -> None:
    """A function that waits runs in a thread for such ones; what it returns or raises comes back."""
    heard: list[object] = []

    def work() -> Steps[None]:
        heard.append((yield from in_thread(threading.get_ident)) == threading.get_ident())
        try:
            yield from in_thread(lambda: 1 / 0)
        except ZeroDivisionError:
            heard.append("raised")

    lane.run(work())
    wait_until(lambda: len(heard) == 2, "both")
    assert heard == [False, "raised"]


@pytest.mark.warns("ERROR .*: lane failed unexpectedly")
def test_work_that_fails(lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the lane goes on."""
    done = threading.Event()

    def failing() -> Steps[None]:
        yield from ()
        raise ZeroDivisionError

    def well() -> Steps[None]:
        yield from ()
        done.set()

    lane.run(failing())
    lane.run(well())
    assert done.wait(PATIENCE)
    wait_until(lambda: caplog.records, "the log line")
    assert ["unexpectedly" in record.message for record in caplog.records] == [True]


def test_without_a_thread(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread the work is refused and leaves nothing; later it is done."""
    lane, done = Lane("lane", reactor, threads=2, most=1), threading.Event()

    def work() -> Steps[None]:
        yield from ()
        done.set()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", refuse)
        for _ in range(3):
            with pytest.raises(NoThread):
                lane.run(work())
    assert not done.is_set()
    lane.run(work())
    assert done.wait(PATIENCE)
    lane.close()


def test_a_closed_lane(lane: Lane, peers: list[Peer]) -> None:
    """It begins nothing; what has begun ends, and no thread is left."""
    asking = Asking()
    for number in range(3):
        lane.run(asking.ask(number, peers[number]))
    wait_until(lambda: len(asking.begun) == 3, "all three")
    lane.close()
    lane.run(asking.ask(3, peers[3]))
    for peer in peers[:4]:
        peer.answer()
    wait_until(lambda: len(asking.ended) == 3, "the three")
    wait_until(lambda: threads(lane) == 0, "the end of the threads")
    assert len(asking.begun) == 3


def test_driving(peers: list[Peer]) -> None:
    """One thread does all steps, and waits itself."""

    def work() -> Steps[list[object]]:
        seen: list[object] = [(yield Readable(peers[0].ours, 0.01)), (yield Pause(0.01))]
        peers[0].answer()
        seen.append((yield Readable(peers[0].ours, PATIENCE)))
        seen.append((yield InThread(lambda: seen.append("elsewhere"))))
        return seen

    assert drive(work()) == [False, True, True, "elsewhere", True]
    assert is_readable(peers[0].ours)
    assert not is_readable(peers[1].ours, 0.01)
    with pytest.raises(ZeroDivisionError):
        drive(in_thread(lambda: 1 / 0))


def test_threads_that_do_not_come_back(lane: Lane) -> None:
    """If all hang in a step, as in a call to a disk that does not answer, others take their places."""
    over, done = threading.Event(), threading.Event()
    begun = threading.Semaphore(0)

    def hang() -> Steps[None]:
        begun.release()
        over.wait(PATIENCE)
        yield Pause(0)

    def work() -> Steps[None]:
        done.set()
        yield Pause(0)

    def goes_on() -> bool:
        lane.run(work())
        return done.wait(0.01)

    for _ in range(THREADS):
        lane.run(hang())
    for _ in range(THREADS):
        assert begun.acquire(timeout=PATIENCE)
    wait_until(goes_on, "work beside the threads that hang", PATIENCE / 2)
    assert threads(lane) <= 2 * THREADS
    over.set()


def test_a_closed_lane_waits_no_longer(
    lane: Lane, peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never answers holds its thread for a moment only."""
    monkeypatch.setattr(lanes, "_LAST_WAIT", 0.2)
    asking = Asking()
    for number in range(3):
        lane.run(asking.ask(number, peers[number], 60))
    wait_until(lambda: len(asking.begun) == 3, "all three")
    lane.close()
    wait_until(lambda: threads(lane) == 0, "the end of the threads")
    assert asking.ended == []


def test_who_stalls_gives_its_place(reactor: Reactor, peers: list[Peer]) -> None:
    """Others are under way in place of a task whose server is silent; it goes on when that answers."""
    lane = Lane("lane", reactor, threads=THREADS, most=1, stalled=1)
    asking = Asking()
    for number in range(3):
        lane.run(asking.ask(number, peers[number], 60))
    wait_until(lambda: asking.begun == [0, 1], "the second")
    peers[0].answer()
    wait_until(lambda: asking.ended == [(0, True)], "the end of the first")
    peers[1].answer()
    wait_until(lambda: asking.begun == [0, 1, 2], "the third")
    lane.close()


def test_a_patient_lane_works_in_one_thread(reactor: Reactor, peers: list[Peer]) -> None:
    """Where steps are short, no second thread is started, however many tasks there are."""
    lane = Lane("lane", reactor, threads=THREADS, most=MOST, patience=1)
    asking = Asking()
    for number, peer in enumerate(peers):
        lane.run(asking.ask(number, peer))
    for peer in peers:
        peer.answer()
    wait_until(lambda: len(asking.ended) == len(peers), "the end of all")
    assert threads(lane) == 1
    lane.close()


def test_a_patient_lane_helps_a_thread_that_hangs(reactor: Reactor, peers: list[Peer]) -> None:
    """Another thread does what is to be done, and waits for the sockets."""
    lane = Lane("lane", reactor, threads=THREADS, most=MOST, patience=0.05)
    over, hangs, asking = threading.Event(), threading.Event(), Asking()

    def hang() -> Steps[None]:
        hangs.set()
        over.wait(PATIENCE)
        yield from ()

    lane.run(asking.ask(0, peers[0]))
    wait_until(lambda: asking.begun == [0], "the first")
    lane.run(hang())
    assert hangs.wait(PATIENCE)
    peers[0].answer()
    wait_until(lambda: asking.ended == [(0, True)], "the end of the first")
    lane.run(asking.ask(1, peers[1]))
    peers[1].answer()
    wait_until(lambda: (1, True) in asking.ended, "the end of the second")
    over.set()
    lane.close()


class Scarce(Sockets[Any]):
    """Sockets for which there is no memory when they are looked at for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def wait(self, seconds: float | None = None) -> list[Any]:
        self.looks += 1
        if self.looks == 1:
            raise MemoryError
        return super().wait(seconds)


def test_what_waits_for_a_socket_goes_on_after_a_moment_without_memory(
    lane: Lane, peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that looks at the sockets lives on, and nothing is said to have failed."""
    sockets = Scarce()
    monkeypatch.setattr(lane, "_sockets", sockets)
    came: list[bool] = []

    def work() -> Steps[None]:
        came.append((yield Readable(peers[0].ours, PATIENCE)))

    lane.run(work())
    wait_until(lambda: sockets.looks > 1, "the second look")
    peers[0].answer()
    wait_until(lambda: came == [True], "the bytes")
