"""Files that were only renamed or re-dated are asked about once the store cannot lag behind the listing."""

from collections.abc import Callable

from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import LAG_SECONDS
from empirical_fs.reading.redated_versions import RedatedVersions
from tests.support.harness import wait_until
from tests.unit.fuse.served import TimerByHand

DELETED, UNKNOWN = 8, 9
"""A resource that the listing no longer has, and one of which the disk has nothing."""


class World:
    """A listing, and a disk that has most of it."""

    def __init__(self) -> None:
        self.timer = TimerByHand()
        self.now = 1000.0
        self.asked: list[int] = []
        self.pending: list[Callable[[], object]] = []
        self.redated = RedatedVersions(
            self.listed, lambda each: each.id != UNKNOWN, self.confirm, self.timer, lambda: self.now
        )

    def listed(self, resource_id: int) -> Resource | None:
        if resource_id == DELETED:
            return None
        return Resource(id=resource_id, name="a", size=1, updated_ns=0, link=None)

    def confirm(self, resource: Resource, on_over: Callable[[], object]) -> None:
        self.asked.append(resource.id)
        self.pending.append(on_over)

    def answer(self) -> None:
        self.pending.pop()()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.timer.pass_by(seconds)


def test_each_is_asked_about_when_it_is_no_longer_young() -> None:
    """One after the other; what is gone, or not on disk, is passed over."""
    world = World()
    world.redated.relisted([1, 2, DELETED, UNKNOWN, 3])
    world.pass_by(LAG_SECONDS - 1)
    world.redated.relisted([2, 4])
    assert world.asked == []
    world.pass_by(1)
    wait_until(lambda: world.asked == [1] and world.pending, "the first question")
    world.answer()
    wait_until(lambda: world.asked == [1, 3] and world.pending, "the next one after the answer")
    world.answer()
    wait_until(lambda: world.timer.alarms, "that the rest is waited for")
    world.pass_by(LAG_SECONDS - 1)
    wait_until(lambda: world.asked == [1, 3, 2] and world.pending, "what has changed later")
    world.answer()
    wait_until(lambda: world.asked == [1, 3, 2, 4], "the last one")
    world.redated.close()


def test_the_end() -> None:
    """Nothing is asked after it."""
    world = World()
    world.redated.relisted([1, 2])
    world.pass_by(LAG_SECONDS)
    wait_until(lambda: world.pending, "the first question")
    world.redated.close()
    world.answer()
    world.redated.relisted([3])
    world.pass_by(LAG_SECONDS)
    assert world.asked == [1]


def test_many() -> None:
    """Only the latest of very many are asked about: the others are when they are read."""
    world = World()
    world.redated.relisted(range(10, 10_000))
    world.pass_by(LAG_SECONDS)
    wait_until(lambda: world.asked, "the first question")
    assert world.asked[0] == 10_000 - 4096
    world.redated.close()
    world.answer()
