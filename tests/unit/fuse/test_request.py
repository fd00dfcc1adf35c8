"""A request of the kernel is answered exactly once: by its answer, its deadline or its interruption."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from empirical_fs.errors import Abandoned, Closing, DeadlinePassed, EmpiricalError, Interrupted
from empirical_fs.fuse import request as module
from empirical_fs.fuse.request import OpenRequests, Request
from empirical_fs.work.timer import Timer
from tests.support.fuse_answers import NoLibrary, requests
from tests.support.harness import wait_until

PATIENCE = 10.0
NO_THREAD = 2**22 + 1
"""More than Linux numbers (PID_MAX_LIMIT)."""


class Asked:
    """A request that waits, and why it was given up."""

    def __init__(self, requests: OpenRequests, seconds: float = PATIENCE) -> None:
        self.given_up: list[EmpiricalError] = []
        self.request = Request(requests, 1)
        requests.accept(self.request)
        self.request.defer(seconds, self.give_up)

    def give_up(self, error: EmpiricalError) -> None:
        self.given_up.append(error)
        self.request.refuse(errno.EINTR)


def test_a_second_answer_is_loud() -> None:
    """It is a mistake of ours, which libfuse must never see."""
    library = NoLibrary()
    at = requests(library)
    request = Request(at, 1)
    at.accept(request)
    assert request.is_open
    assert request.refuse(0)
    assert not request.is_open
    with pytest.raises(AssertionError):
        request.refuse(0)
    assert library.said == [("reply_err", 0)]


def test_whoever_comes_first_answers(timer: Timer) -> None:
    """Of all who may answer a request that waits, one does, and the others are told that they did not."""
    library = NoLibrary()
    asked = Asked(requests(library, timer))
    barrier = threading.Barrier(8)

    def answer() -> bool:
        barrier.wait(PATIENCE)
        return asked.request.refuse(0)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(answer) for _ in range(8)]
        assert sorted(future.result(PATIENCE) for future in futures) == [False] * 7 + [True]
    assert library.said == [("reply_err", 0)]
    library.interrupt()
    assert asked.given_up == []


def test_the_deadline(timer: Timer) -> None:
    """A request that nobody answers is given up in time, once."""
    library = NoLibrary()
    at = requests(library, timer)
    asked, rung = Asked(at, 0.01), threading.Event()
    timer.after(0.05, rung.set)
    assert rung.wait(PATIENCE)
    assert [type(error) for error in asked.given_up] == [DeadlinePassed]
    assert library.said == [("reply_err", errno.EINTR)]
    assert not asked.request.is_open


def test_an_interruption(timer: Timer) -> None:
    """It gives the request up, and comes to nothing after the answer."""
    library = NoLibrary()
    library.pid = NO_THREAD
    asked = Asked(requests(library, timer))
    library.interrupt()
    library.interrupt()
    assert [type(error) for error in asked.given_up] == [Abandoned]


@pytest.mark.parametrize("pid", [os.getpid(), 0], ids=["seen", "unseen"])
def test_an_interruption_of_who_goes_on(timer: Timer, monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    """Who handles the signal may still have its answer, and hears of the interruption if it does not come."""
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.05)
    library = NoLibrary()
    library.pid = pid
    at = requests(library, timer)
    first, second = Asked(at), Asked(at)
    library.interrupt()
    assert first.given_up == second.given_up == []
    assert second.request.is_open
    wait_until(lambda: second.given_up, "the end of its patience")
    assert first.given_up == []
    assert [type(error) for error in second.given_up] == [Interrupted]
    assert library.said == [("reply_err", errno.EINTR)]


def test_an_interruption_before_anybody_listens(timer: Timer) -> None:
    """Libfuse calls back while it is told to, and needs the request until it returns: it is answered then."""

    class Interrupts(NoLibrary):
        def on_interrupt(self, raw: int, interrupted: Any, number: int) -> None:
            interrupted(raw, number)
            assert self.said == []
            super().on_interrupt(raw, interrupted, number)

    library = Interrupts()
    library.pid = NO_THREAD
    asked = Asked(requests(library, timer))
    assert [type(error) for error in asked.given_up] == [Abandoned]
    assert library.said == [("reply_err", errno.EINTR)]
    library.interrupt()
    assert len(library.said) == 1


def test_the_end(timer: Timer) -> None:
    """Whoever waits at the end of the mount is answered, whoever is being answered is left alone."""
    library = NoLibrary()
    at = requests(library, timer)
    waiting, answered = Asked(at), Asked(at)
    answered.request.give_bytes(b"abc")
    under_way = Request(at, 2)
    at.accept(under_way)
    at.end(Closing("over"))
    assert [type(error) for error in waiting.given_up] == [Closing]
    assert answered.given_up == []
    assert under_way.is_open


@pytest.mark.parametrize("result", [0, -errno.ENOENT])
def test_a_caller_that_is_gone(result: int) -> None:
    """Libfuse says so, and so does the answer: what it told of counts as not told."""
    library = NoLibrary()
    library.result = result
    at = requests(library)
    request = Request(at, 1)
    at.accept(request)
    assert request.give_bytes(b"abc") == (result == 0)


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"a", b"bc", b"def"]])
def test_pieces(pieces: list[bytes]) -> None:
    """None, one and several are answered, each by the call that suits."""
    library = NoLibrary()
    at = requests(library)
    request = Request(at, 1)
    at.accept(request)
    assert request.give([memoryview(bytearray(piece)) for piece in pieces])
    assert [name for name, _ in library.said] == ["reply_iov" if len(pieces) > 1 else "reply_buf"]
