"""Which cached files the kernel may read by itself: those that are complete and verified."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from empirical_fs.reading.content import Content
from empirical_fs.reading.whole_files import When, WholeFiles, when
from empirical_fs.work.timer import Timer
from tests.support.harness import wait_until

MIB = 2**20


@dataclass(eq=False)
class FakeContent:
    """A version of a resource."""

    size: int = MIB


CONTENT = cast(Content, FakeContent())


@dataclass(eq=False)
class FakeCached:
    """A version on disk."""

    size: int = MIB
    is_complete: bool = True
    is_verified: bool = False
    is_damaged: bool = False
    references: int = 0
    touched: int = 0

    def verify(self, goes_on: Callable[[], bool] = lambda: True) -> bool:
        self.is_verified = goes_on() and not self.is_damaged
        return self.is_verified

    def fileno(self) -> int | None:
        return 9 if self.is_verified else None

    def touch(self) -> None:
        self.touched += 1

    def retain(self) -> None:
        self.references += 1

    def close(self) -> None:
        self.references -= 1


@dataclass
class FakeDisk:
    """A disk with one version, which answers when it may."""

    cached: FakeCached | None
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        self.may_answer.set()

    @contextmanager
    def of(self, _content: Content) -> Iterator["FakeDisk"]:
        yield self

    def borrowed(self) -> FakeCached | None:
        self.asked += 1
        assert self.may_answer.wait(30)
        if self.cached is not None:
            self.cached.retain()
        return self.cached


class Looks:
    """What was found, in the order in which it was."""

    def __init__(self, disk: FakeDisk) -> None:
        self.timer = Timer()
        self.timer.start()
        self.now = 0.0
        self.whole_files = WholeFiles(cast(Any, disk), self.timer, lambda: self.now)
        self.found: list[int | None] = []

    def look(self) -> int | None:
        before = len(self.found)
        self.whole_files.find(CONTENT, self.found.append)
        wait_until(lambda: len(self.found) > before, "an answer")
        return self.found[-1]

    def close(self) -> None:
        self.whole_files.close()
        self.timer.close()


def test_when() -> None:
    """A small file while its open waits, a larger one later, and a huge one never by itself."""
    assert [when(size) for size in (1, 16 * MIB)] == [When.AT_ONCE] * 2
    assert [when(size) for size in (16 * MIB + 1, 2**30)] == [When.IN_BACKGROUND] * 2
    assert when(2**40) is When.BY_READS


@pytest.mark.parametrize(
    ("cached", "found"),
    [
        (None, None),
        (FakeCached(is_verified=True), 9),
        (FakeCached(), 9),
        (FakeCached(is_complete=False), None),
        (FakeCached(is_damaged=True), None),
        (FakeCached(size=2**40), None),
        (FakeCached(size=2**40, is_verified=True), 9),
    ],
    ids=["absent", "verified", "small", "incomplete", "damaged", "huge", "huge-and-verified"],
)
def test_what_is_found(cached: FakeCached | None, found: int | None) -> None:
    disk = FakeDisk(cached)
    looks = Looks(disk)
    assert looks.look() == found
    looks.close()
    if cached is not None:
        assert cached.references == 0
        assert cached.touched == (found is not None)


def test_a_very_small_one() -> None:
    """One read brings it, so nobody looks for it."""
    looks = Looks(FakeDisk(FakeCached(is_verified=True)))
    for size, is_looked_for in ((128 * 2**10, False), (128 * 2**10 + 1, True)):
        assert looks.whole_files.may_have(cast(Content, FakeContent(size))) == is_looked_for
    looks.close()


def test_a_large_one_is_found_the_next_time() -> None:
    """It is verified once a handle is closed, and given back then."""
    cached = FakeCached(size=2**30)
    looks = Looks(FakeDisk(cached))
    assert looks.look() is None
    assert not cached.is_verified
    looks.whole_files.closed(CONTENT)
    wait_until(lambda: cached.is_verified and not cached.references, "the background work")
    looks.whole_files.closed(CONTENT)
    assert looks.look() == 9
    looks.close()
    assert not cached.references


def test_what_is_still_open_at_the_end() -> None:
    cached = FakeCached(size=2**30)
    looks = Looks(FakeDisk(cached))
    assert [looks.look(), looks.look()] == [None, None]
    assert cached.references == 1
    looks.close()
    assert not cached.references
    looks.whole_files.closed(CONTENT)
    assert not cached.is_verified


def test_a_disk_that_does_not_answer() -> None:
    """An open waits a moment for it, those that follow do not wait, and later it is asked again."""
    disk = FakeDisk(FakeCached())
    disk.may_answer.clear()
    looks = Looks(disk)
    assert looks.whole_files.may_have(CONTENT)
    assert looks.look() is None
    assert not looks.whole_files.may_have(CONTENT)
    disk.may_answer.set()
    looks.now = 60.0
    assert looks.whole_files.may_have(CONTENT)
    assert looks.look() == 9
    assert looks.found == [None, 9]
    looks.close()


def test_an_answer_that_comes_too_late() -> None:
    """The file may be closed by then, so it is verified at once, and nothing keeps it open."""
    cached = FakeCached(size=2**30)
    disk = FakeDisk(cached)
    disk.may_answer.clear()
    looks = Looks(disk)
    assert looks.look() is None
    disk.may_answer.set()
    wait_until(lambda: cached.is_verified and not cached.references, "the background work")
    looks.close()
