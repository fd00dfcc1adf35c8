"""Files ahead of a walk are ready before it comes to them, as far as memory and the settings allow."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.clock import Deadline
from empirical_fs.errors import BadAnswer
from empirical_fs.reading.budget import Budget
from empirical_fs.reading.buffers import Blocks
from empirical_fs.reading.fetch.pool import Fetcher
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.supply import Means
from empirical_fs.reading.walk_policy import RECOGNISED_AT
from empirical_fs.reading.walk_prefetch import WalkPrefetch
from empirical_fs.statistics import Statistics
from empirical_fs.work.timer import Timer
from tests.unit.conftest import Inline, Waiting, unnoticed
from tests.unit.reading.test_reader import DATA, PATIENCE, FakeRanges

COUNT = 20
SIZE = 1000


class Project:
    """A directory of small files in one order, every content of which begins as DATA does."""

    def __init__(self, size: int | None = SIZE) -> None:
        self.resources: Mapping[int, Resource] = {
            number: Resource(id=number, name=str(number), size=size, updated_ns=0, link=None)
            for number in range(COUNT)
        }
        self.orders: Sequence[Sequence[int]] = [list(range(COUNT))]

    def replace(self, number: int) -> None:
        """Upload something else in place of a file."""
        changed = Resource(id=number, name=str(number), size=SIZE, updated_ns=1, link=None)
        self.resources = {**self.resources, number: changed}


class Walked:
    """Files of a project, opened over a fake store."""

    def __init__(self, project: Project, largest: int = SIZE, memory: int = 2**20) -> None:
        self.project = project
        self.ranges = FakeRanges()
        self.budget = Budget(memory)
        fetcher = Fetcher(self.ranges, Statistics(), unnoticed, Inline(), Inline())
        means = Means(fetcher, self.budget, Blocks(), Statistics())
        self.readers = Readers(means, lambda _: float("-inf"), Timer())
        self.walks = WalkPrefetch(self.readers, lambda: self.project, largest, Timer())

    def open(self, number: int) -> Handle:
        return self.walks.open(self.project.resources[number])

    def read(self, number: int, size: int = SIZE) -> bytes:
        """The whole of a file, or its head, opened and closed."""
        handle = self.open(number)
        data = Waiting().bytes_of(lambda waiter: handle.read(0, size, waiter), Deadline.after(PATIENCE))
        handle.close()
        return data

    def requests(self) -> int:
        return len(self.ranges.fetched)


@pytest.fixture
def walked() -> Iterator[Walked]:
    walked = Walked(Project())
    yield walked
    walked.walks.close()
    walked.readers.close()
    assert walked.budget.held == 0


def test_files_ahead_are_ready(walked: Walked) -> None:
    """Files that a walk comes to are here already, and each is fetched once."""
    for number in range(COUNT):
        assert walked.read(number) == DATA[:SIZE]
    assert walked.ranges.fetched == [(0, SIZE)] * COUNT


@pytest.mark.may_warn("ERROR .*: a fetch failed unexpectedly")
def test_what_is_ready_costs_no_request(walked: Walked) -> None:
    """A file that was fetched ahead is read while the store is out of reach."""
    for number in range(RECOGNISED_AT):
        walked.read(number)
    walked.ranges.failure = lambda start, stop: AssertionError("asked again")
    assert walked.read(RECOGNISED_AT) == DATA[:SIZE]


def test_opening_alone_fetches_nothing(walked: Walked) -> None:
    """Files that are opened and not read earn nothing."""
    for number in range(COUNT):
        walked.open(number).close()
    assert walked.requests() == 0


def test_a_replaced_file_is_opened_anew(walked: Walked) -> None:
    """What was fetched of a file that was replaced since is not handed out."""
    for number in range(RECOGNISED_AT):
        walked.read(number)
    requests, old = walked.requests(), walked.budget.held
    walked.project.replace(RECOGNISED_AT)
    handle = walked.open(RECOGNISED_AT)
    assert handle.content.is_as_listed(walked.project.resources[RECOGNISED_AT])
    assert walked.budget.held < old
    handle.close()
    assert walked.read(RECOGNISED_AT) == DATA[:SIZE]
    assert walked.requests() > requests


@pytest.mark.parametrize(("size", "largest"), [(SIZE, SIZE - 1), (SIZE, 0)])
def test_larger_files_are_not_fetched_for_their_heads(size: int, largest: int) -> None:
    """Files above the limit are left to their readers, if those look at the head of each."""
    walked = Walked(Project(size), largest)
    for number in range(5):
        walked.read(number, size // 2)
    assert walked.requests() == 5


def test_larger_files_of_a_walk_that_reads_them_whole() -> None:
    """Files above the limit are fetched ahead once some were read whole, each once."""
    walked = Walked(Project(), SIZE - 1)
    for number in range(COUNT):
        assert walked.read(number) == DATA[:SIZE]
    assert walked.ranges.fetched == [(0, SIZE)] * COUNT
    walked.walks.close()


@pytest.mark.may_warn("ERROR .*: a fetch failed unexpectedly")
def test_larger_files_are_ready() -> None:
    """What was fetched ahead of such a walk costs no request."""
    walked = Walked(Project(), SIZE - 1)
    for number in range(RECOGNISED_AT + 1):
        walked.read(number)
    walked.ranges.failure = lambda start, stop: AssertionError("asked again")
    assert walked.read(RECOGNISED_AT + 1) == DATA[:SIZE]
    walked.walks.close()
    assert walked.budget.held == 0


def test_nothing_of_larger_files_with_the_limit_0() -> None:
    """Who turned it off gets nothing, however the files are read."""
    walked = Walked(Project(), 0)
    for number in range(RECOGNISED_AT + 2):
        walked.read(number)
    assert walked.requests() == RECOGNISED_AT + 2


def test_files_of_unknown_size_are_not_opened() -> None:
    """A file whose size is not known is an error when it is opened, and is not fetched ahead."""
    project = Project()
    unknown = Resource(id=4, name="4", size=None, updated_ns=0, link=None)
    project.resources = {**project.resources, 4: unknown}
    walked = Walked(project)
    for number in (*range(4), 5, 6):
        assert walked.read(number) == DATA[:SIZE]
    with pytest.raises(BadAnswer):
        walked.open(4)
    walked.walks.close()


def test_without_memory_nothing_is_fetched_ahead() -> None:
    """A budget that is used up stops the walk's help, and not the walk."""
    walked = Walked(Project(), memory=2 * SIZE)
    for number in range(COUNT):
        assert walked.read(number) == DATA[:SIZE]
        assert walked.budget.held <= 2 * SIZE
    walked.walks.close()
    assert walked.budget.held == 0


def test_nothing_is_kept_after_the_end(walked: Walked) -> None:
    """Once closed, no handle stays open, and none is prepared any more."""
    for number in range(RECOGNISED_AT):
        walked.read(number)
    assert walked.budget.held > 0
    walked.walks.close()
    assert walked.budget.held == 0
    for number in range(RECOGNISED_AT, COUNT):
        walked.read(number)
        assert walked.budget.held == 0
