"""Reads whole ranges of files by name: one, many at once, or a file from its beginning to its end."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from empirical_fs.engine.gathering import Extent, gather
from empirical_fs.engine.open_file import CHANGED, OpenFile
from empirical_fs.engine.project import Project
from empirical_fs.errors import EmpiricalError
from empirical_fs.reading.read_ahead import NoReadAhead, Policy, ReadAhead

_TRIES = 3
"""How many versions of a file are tried, if the store replaces them meanwhile."""
_RANGES_AT_ONCE = 192
"""More than there are requests at once, so that each that ends is followed by another."""
_EXACT_MAX = 8 * 2**20
"""Bytes of a range that are asked for at once, without read-ahead."""
NEAR = 32 * 2**10
"""Bytes between two ranges that are fetched rather than asked around: they take less time than a request."""
_TOGETHER_MAX = 2**20
"""Bytes that one request fetches for several ranges, at most."""
_STEP = 4 * 2**20

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Span:
    """A range of a file, as a slice has it: negative numbers count from the end, None is an end."""

    start: int | None = None
    stop: int | None = None

    def within(self, size: int) -> tuple[int, int]:
        """The first offset, and the one after the last, in a file of `size` bytes."""
        start, stop, _ = slice(self.start, self.stop).indices(size)
        return start, max(start, stop)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A range of a file."""

    name: str
    span: Span


def read_span(project: Project, name: str, span: Span) -> bytes:
    """The bytes of a range.

    Raises:
        EmpiricalError: they cannot be read.
    """

    def read(file: OpenFile) -> bytes:
        return file.read(*span.within(file.size))

    return _in_one_version(project, name, read, span)


def copy(
    project: Project, name: str, begin: Callable[[int], object], take: Callable[[bytes], object]
) -> None:
    """Give all bytes of a file to `take`, in order.

    `begin` is called before with its size; again if a new version has begun meanwhile, which is then given
    from its beginning.

    Raises:
        EmpiricalError: they cannot be read.
    """

    def read(file: OpenFile) -> None:
        begin(file.size)
        for at in range(0, file.size, _STEP):
            take(file.read(at, at + _STEP))

    _in_one_version(project, name, read, Span())


def read_spans(project: Project, wanted: Sequence[Wanted], gap: int = NEAR) -> list[bytes | EmpiricalError]:
    """The bytes of many ranges, in their order, each or why it could not be read.

    All ranges of a file are of the same version of it. Those with at most `gap` bytes between them are
    fetched by one request.
    """
    found: dict[int, bytes | EmpiricalError] = {}
    missing = list(range(len(wanted)))
    for _ in range(_TRIES):
        missing.sort(key=lambda each: wanted[each].name)
        found |= _read_once(project, wanted, missing, gap)
        changed = {wanted[each].name for each in missing if isinstance(found[each], CHANGED)}
        missing = [each for each in missing if wanted[each].name in changed]
        if not missing:
            break
        for name in changed:
            _distrust(project, name)
    return [found[each] for each in range(len(wanted))]


def _in_one_version(project: Project, name: str, work: Callable[[OpenFile], _Result], span: Span) -> _Result:
    """Call `work` with the open file; again with the next version, if one is over before it is done."""
    for tries_left in reversed(range(_TRIES)):
        entry = project.to_open(name)
        start, stop = span.within(entry.size)
        policy: Policy | None = None
        if stop - start < entry.size:
            # What is beyond the range is not wanted.
            policy = NoReadAhead() if stop - start <= _EXACT_MAX else ReadAhead(stop)
        with OpenFile(project, entry, policy) as file:
            try:
                return work(file)
            except CHANGED:
                if not tries_left:
                    raise
    raise AssertionError("the last try returns or raises")


@dataclass(slots=True)
class _Run:
    """Ranges of one open file that are fetched together, by their numbers, and the bytes that they span."""

    file: OpenFile
    start: int
    stop: int
    ranges: list[tuple[int, int, int]]


def _read_once(
    project: Project, wanted: Sequence[Wanted], numbers: Sequence[int], gap: int
) -> dict[int, bytes | EmpiricalError]:
    """The bytes of the ranges with these numbers, which are ordered by file."""
    found: dict[int, bytes | EmpiricalError] = {}
    under_way = deque[_Run]()
    open_files: list[OpenFile] = []

    def extents() -> Iterator[Extent]:
        for name, group in groupby(numbers, key=lambda each: wanted[each].name):
            try:
                file = OpenFile(project, project.to_open(name), NoReadAhead())
            except EmpiricalError as error:
                found.update(dict.fromkeys(group, error))
                continue
            open_files.append(file)
            source = file.handle
            ranges = [(*wanted[number].span.within(file.size), number) for number in group]
            if isinstance(source, bytes):
                found.update({number: source[start:stop] for start, stop, number in ranges})
                continue
            found.update({number: b"" for start, stop, number in ranges if start == stop})
            for run in _runs(file, sorted(each for each in ranges if each[0] < each[1]), gap):
                under_way.append(run)
                yield Extent(source, run.start, run.stop)

    try:
        with closing(gather(extents(), project.limits(_RANGES_AT_ONCE))) as outcomes:
            for outcome in outcomes:
                run = under_way.popleft()
                for start, stop, number in run.ranges:
                    if isinstance(outcome, bytes):
                        found[number] = outcome[start - run.start : stop - run.start]
                    else:
                        found[number] = outcome
                while open_files[0] is not run.file:
                    open_files.pop(0).close()
    finally:
        for each in open_files:
            each.close()
    return found


def _runs(file: OpenFile, ranges: Sequence[tuple[int, int, int]], gap: int) -> Iterator[_Run]:
    """The ranges (first offset, last, number), which are in order, together with those that are near."""
    run: _Run | None = None
    for start, stop, number in ranges:
        if run is not None and start <= run.stop + gap and max(stop, run.stop) - run.start <= _TOGETHER_MAX:
            run.stop = max(stop, run.stop)
            run.ranges.append((start, stop, number))
            continue
        if run is not None:
            yield run
        run = _Run(file, start, stop, [(start, stop, number)])
    if run is not None:
        yield run


def _distrust(project: Project, name: str) -> None:
    entry = project.latest.by_name.get(name)
    if entry is not None:
        project.distrust(entry.resource)
