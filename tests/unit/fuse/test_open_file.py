"""A read that waits, and whoever closes the file, is interrupted, or has the bytes at the same moment."""

import errno
import os
from collections.abc import Callable
from typing import Any, cast

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.errors import Abandoned, Closing, EmpiricalError, Interrupted
from empirical_fs.fuse import interrupted_reads as module
from empirical_fs.fuse.interrupted_reads import InterruptedReads
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.open_file import OpenFile, WaitingRead
from empirical_fs.fuse.request import Request
from empirical_fs.reading.handle import Handle
from empirical_fs.work.timer import Timer
from tests.support.fuse_answers import NoLibrary, requests
from tests.support.harness import wait_until

ENTRY = Entry("a", Resource(id=1, name="a", size=9, updated_ns=0, link=None))

NO_THREAD = 2**22 + 1
"""More than Linux numbers (PID_MAX_LIMIT)."""


class Source:
    """A handle whose bytes come when the test says so."""

    content = None

    def __init__(self) -> None:
        self.waiter: Any = None
        self.cancelled = 0
        self.before_return: Callable[[Any], object] = lambda _: None

    def read(self, _offset: int, _size: int, waiter: Any) -> Callable[[], None]:
        self.waiter = waiter
        self.before_return(waiter)
        return self.cancel

    def cancel(self) -> None:
        self.cancelled += 1


class Reads:
    """One open file, and a read of it that waits."""

    def __init__(self, pid: int | None = None, timer: Timer | None = None) -> None:
        self.timer = timer or Timer()
        self.library = NoLibrary()
        self.library.pid = os.getpid() if pid is None else pid
        at = requests(self.library, self.timer)
        self.request = Request(at, 1)
        at.accept(self.request)
        self.source = Source()
        self.opened = OpenFile(cast(Handle, self.source), Node(2, ENTRY))
        self.failures: list[EmpiricalError] = []
        self.waiting = WaitingRead(self.request, self.opened, self.fail, InterruptedReads(self.timer))
        self.request.defer(10, self.waiting.fail)

    def fail(self, _node: Node, request: Request, error: EmpiricalError) -> None:
        if request.refuse(errno.EINTR):
            self.failures.append(error)

    def begin(self, leavers: tuple[int, ...] = ()) -> None:
        self.waiting.begin(cast(Handle, self.source), 0, 9, leavers)


def test_bytes_that_come_later() -> None:
    """They are the answer, and nothing is left that waits."""
    reads = Reads()
    reads.begin()
    assert list(reads.opened.waiting) == [reads.waiting]
    reads.source.waiter.give([memoryview(bytearray(b"abc"))])
    assert [name for name, _ in reads.library.said] == ["reply_buf"]
    assert not reads.opened.waiting
    assert reads.source.cancelled == 0


@pytest.mark.parametrize("how", ["give", "fail"])
def test_bytes_that_are_here_already(how: str) -> None:
    """Whoever is asked for them may answer before it returns."""
    reads = Reads()
    reads.source.before_return = lambda waiter: (
        waiter.give([memoryview(bytearray(b"abc"))]) if how == "give" else waiter.fail(Closing("over"))
    )
    reads.begin()
    assert len(reads.library.said) == 1
    assert not reads.opened.waiting


def test_who_is_interrupted_before_it_asks() -> None:
    """Nothing is asked for, and nothing is left that waits."""
    reads = Reads(NO_THREAD)
    reads.library.interrupt()
    reads.begin()
    assert [type(error) for error in reads.failures] == [Abandoned]
    assert reads.source.waiter is None
    assert not reads.opened.waiting


def test_who_is_interrupted_while_it_asks() -> None:
    """What it asked for is taken back."""
    reads = Reads(NO_THREAD)
    reads.source.before_return = lambda _: reads.library.interrupt()
    reads.begin()
    assert len(reads.failures) == 1
    assert reads.source.cancelled == 1
    assert not reads.opened.waiting


def test_who_closes_just_before_it_waits() -> None:
    """The one that closed did not find the read, which then finds that it has closed."""
    reads = Reads()
    reads.opened.leave(os.getpid())
    reads.begin(leavers=())
    assert [type(error) for error in reads.failures] == [Abandoned]
    assert reads.source.waiter is None


def test_who_closed_before_the_read_came() -> None:
    """Another read of the same thread is its next one."""
    reads = Reads()
    reads.opened.leave(os.getpid())
    reads.begin(reads.opened.leavers)
    assert reads.failures == []
    assert reads.source.waiter is not None


def test_a_read_that_comes_after_its_reader() -> None:
    """The kernel may send what it reads ahead late: nobody waits for the bytes any more."""
    reads = Reads(NO_THREAD)
    reads.opened.leave(NO_THREAD)
    reads.begin(reads.opened.leavers)
    assert [type(error) for error in reads.failures] == [Abandoned]
    assert reads.source.waiter is None
    assert len(reads.opened.leavers) == 1
    for thread in range(100):
        reads.opened.leave(thread)
    assert len(reads.opened.leavers) < 100


def test_whose_reads_end_when_a_thread_closes() -> None:
    """Its own, and those of threads that are dead; not those of others that live, or cannot be seen."""
    callers = {"own": 7, "dead": NO_THREAD, "other": os.getpid(), "unseen": 0}
    given_up = {}
    for name, pid in callers.items():
        reads = Reads(pid)
        reads.begin()
        reads.waiting.give_up_for(7)
        given_up[name] = bool(reads.failures)
    assert given_up == {"own": True, "dead": True, "other": False, "unseen": False}


def test_whoever_closes_and_cannot_be_seen() -> None:
    """It is another one, for all that is known, than who waits and cannot be seen."""
    reads = Reads(0)
    reads.begin()
    reads.opened.leave(0)
    assert reads.failures == []
    assert reads.opened.leavers == ()


def test_a_reader_that_handles_a_signal(timer: Timer) -> None:
    """It is answered, its read goes on, and whoever asks again has the bytes, if they are of that content."""
    reads = Reads(timer=timer)
    interrupted = reads.waiting._interrupted
    reads.begin()
    reads.waiting.fail(Interrupted("a signal"))
    assert [type(error) for error in reads.failures] == [Interrupted]
    assert reads.source.cancelled == 0
    assert not reads.opened.waiting
    assert interrupted.take(reads.opened, None, 0, 9) is None
    reads.source.waiter.give([memoryview(bytearray(b"abcd")), memoryview(bytearray(b"efghi"))])
    assert len(reads.library.said) == 1
    assert interrupted.take(reads.opened, None, 0, 9) == b"abcdefghi"
    assert interrupted.take(reads.opened, None, 2, 4) == b"cdef"
    assert interrupted.take(reads.opened, None, 5, 5) is None
    assert interrupted.take(reads.opened, "another", 0, 9) is None
    assert interrupted.take(object(), None, 0, 9) is None
    interrupted.leave(reads.opened)
    assert interrupted.take(reads.opened, None, 0, 9) is None
    assert reads.source.cancelled == 1


def test_reads_that_go_on_are_few(timer: Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more the oldest ends, and all end in time, or when they fail."""
    monkeypatch.setattr(module, "_MOST", 2)
    monkeypatch.setattr(module, "_SECONDS", 0.1)
    interrupted, several = InterruptedReads(timer), [Reads(timer=timer) for _ in range(3)]
    for reads in several:
        reads.waiting._interrupted = interrupted
        reads.begin()
        reads.waiting.fail(Interrupted("a signal"))
    assert [reads.source.cancelled for reads in several] == [1, 0, 0]
    several[1].source.waiter.fail(Closing("over"))
    assert [len(reads.library.said) for reads in several] == [1, 1, 1]
    assert several[1].source.cancelled
    wait_until(lambda: several[2].source.cancelled, "its end")
