"""Does what the commands of the cache ask a mount for."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from fnmatch import translate
from itertools import islice
from threading import Event
from typing import Any

from empirical_fs.cache import survey
from empirical_fs.cache.inspection import Entry as Inspected
from empirical_fs.cache.keys import Listed, ResourceKey
from empirical_fs.cache.store import Store
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.control.cache_tasks import Kind, Progress, Question
from empirical_fs.errors import BadAnswer, NoThread, SetupError
from empirical_fs.mount.pins import Pins
from empirical_fs.mount.task_runner import DiskTask, Task
from empirical_fs.reading.batch import Batch
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.handle import nothing
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.prefetch import Prefetch
from empirical_fs.work.parallel import in_parallel

_ASK_SECONDS = 30.0
"""How long the store has to say whether it still has a version."""
_WILD = "*?["
_ASKED_AT_ONCE = 8
_FAILURES_TOLD = 10
_LOOK_EVERY = 256
"""After so many files a task looks whether it is cancelled."""


class CacheCommands:
    """Begins the tasks of one mount with its cache."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that take part
        self,
        store: Store,
        key_of: Callable[[int], ResourceKey | None],
        catalog: Catalog,
        readers: Readers,
        disk: Disk,
        prefetch: Prefetch,
        pins: Pins,
    ) -> None:
        """Work on `store`, which has the files of `catalog`."""
        self._store = store
        self._disk = disk
        self._key_of = key_of
        self._catalog = catalog
        self._readers = readers
        self._prefetch = prefetch
        self._pins = pins

    def begin(self, question: Question) -> Task:
        """Begin a task.

        Raises:
            SetupError: no file matches, or there is no room for the files.
            NoThread: the system has no thread for it.
        """
        entries = matching(self._catalog.latest.by_name, question.patterns)
        match question.begin:
            case Kind.PREFETCH:
                return self._fetching(entries, None)
            case Kind.PIN:
                return self._fetching(entries, self._pins)
            case Kind.CACHED:
                return DiskTask("listing the cache", self._cached)
            case Kind.VERIFY:
                work = self._verify_online if question.online else self._verify
                return DiskTask("checking the cache", work)
            case Kind.UNPIN:
                return DiskTask("unpinning", lambda task: self._unpin(task, entries))
            case Kind.EVICT:
                return DiskTask("evicting from the cache", lambda task: self._evict(task, entries))
        raise SetupError("the question is not understood")

    def _fetching(self, entries: Iterable[Entry], pins: Pins | None) -> Task:
        sizes = {each.resource.id: each.resource.size or 0 for each in entries}
        total, limit = sum(sizes.values()), self._store.state.limit
        if total > limit:
            raise SetupError(
                f"these files have {total} bytes, and the cache takes {limit}",
                advice="choose fewer, or mount with a larger --cache-size",
            )
        return FetchingTask(self._prefetch.begin(sizes, pins), self._name_of)

    def _cached(self, task: DiskTask) -> Iterator[dict[str, Any]]:
        yield from survey.rows(self._store, self._names(task), task)

    def _verify(self, task: DiskTask) -> Iterator[dict[str, Any]]:
        for found in survey.verify(self._store, self._names(task), task):
            if isinstance(found, survey.Checked):
                task.outcome |= asdict(found)
            else:
                yield found

    def _verify_online(self, task: DiskTask) -> Iterator[dict[str, Any]]:
        """Check the blocks, and whether the store still has the versions that the listing shows."""
        yield from self._verify(task)
        outdated = unknown = 0
        names = self._names(task)
        found = [(each, names[each.resource].name) for each in self._store.entries() if _is_of(each, names)]

        def is_in_store(each: tuple[Inspected, str]) -> bool | None:
            task.moved(0, 0)
            return self._is_in_store(each[1])

        answers = in_parallel(is_in_store, found, _ASKED_AT_ONCE)
        for (entry, name), is_there in zip(found, answers, strict=True):
            if is_there is None:
                unknown += 1
            elif not is_there:
                outdated += 1
                self._store.remove_outdated(entry)
                self._see_to_pin(name)
                yield {"name": name, "digest": entry.resource, "outdated": True}
        task.outcome |= {"outdated": outdated, "not_asked": unknown}

    def _see_to_pin(self, name: str) -> None:
        """Have the version of a file fetched that the store has now, if the file is pinned."""
        latest = self._catalog.latest
        if (entry := latest.by_name.get(name)) is not None:
            self._pins.relisted([entry.resource.id], latest.resources)

    def _is_in_store(self, name: str) -> bool | None:
        """Whether the object store has the version of which blocks are here; None if it does not say."""
        entry = self._catalog.latest.by_name.get(name)
        if entry is None:
            return None
        try:
            handle = self._readers.open(entry.resource, nothing)
        except BadAnswer:
            return None
        try:
            content, answered = handle.content, Event()
            before = content.confirmed_at
            if self._disk.cached(content) is None:
                return None
            self._readers.ask_again(content, answered.set)
            answered.wait(_ASK_SECONDS)
        except NoThread:
            return None
        finally:
            handle.close()
        if content.is_over:
            return False
        return True if content.confirmed_at > before else None

    def _unpin(self, task: DiskTask, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
        digests = self._digests(entries)
        task.expect(len(digests), 0)
        unpinned = 0
        for digest in digests:
            unpinned += self._pins.unpin(digest)
            task.moved(1, 0)
        task.outcome["files"] = unpinned
        yield from ()

    def _evict(self, task: DiskTask, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
        digests = self._digests(entries)
        self._pins.forget(digests)
        task.outcome["bytes_freed"] = survey.evict(self._store, digests, task)
        yield from ()

    def _digests(self, entries: Iterable[Entry]) -> set[str]:
        keys = (self._key_of(each.resource.id) for each in entries)
        return {key.digest for key in keys if key is not None}

    def _names(self, task: DiskTask) -> survey.Names:
        """The files of the listing by the digests of their keys."""
        names = {}
        for number, entry in enumerate(self._catalog.latest.in_order):
            resource, key = entry.resource, self._key_of(entry.resource.id)
            if key is not None and resource.size is not None:
                names[key.digest] = survey.Name(entry.name, Listed(resource.size, resource.updated_ns))
            if number % _LOOK_EVERY == 0:
                task.moved(0, 0)
        return names

    def _name_of(self, resource_id: int) -> str:
        entry = self._catalog.latest.by_id.get(resource_id)
        return f"resource {resource_id}" if entry is None else entry.name


class FetchingTask:
    """A task that fetches files."""

    def __init__(self, batch: Batch, name_of: Callable[[int], str]) -> None:
        """Follow `batch`; `name_of` returns the name of a resource id."""
        self._batch = batch
        self._name_of = name_of
        self.rows: list[dict[str, Any]] = []

    @property
    def progress(self) -> Progress:
        """How far it is."""
        batch = self._batch
        return Progress(batch.files_done, batch.files, batch.bytes_done, batch.bytes)

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; whether it has ended."""
        return self._batch.ended.wait(seconds)

    def result(self) -> dict[str, Any]:
        """How many files are there, and which are not.

        Raises:
            SetupError: it was given up before all files had their turn.
        """
        batch = self._batch
        if batch.stopped_by is not None:
            raise SetupError(
                f"it ended after {batch.files_done} of {batch.files} files: {batch.stopped_by}",
                advice="run it again once that is mended: it goes on where it stopped",
            )
        failures = [
            {"name": self._name_of(each), "reason": reason[:200]}
            for each, reason in islice(batch.failures.items(), _FAILURES_TOLD)
        ]
        return {
            "files": batch.files_done,
            "bytes": batch.bytes_done,
            "failed": len(batch.failures),
            "failures": failures,
        }

    def cancel(self) -> None:
        """Fetch nothing more."""
        self._batch.cancel()


def _is_of(entry: Inspected, names: survey.Names) -> bool:
    """Whether a version on disk is one that the listing shows."""
    named = names.get(entry.resource)
    return named is not None and named.is_of(entry)


def matching(by_name: Mapping[str, Entry], patterns: list[str]) -> list[Entry]:
    """The files whose names match one of the shell patterns, or are equal to it; all without a pattern.

    Raises:
        SetupError: a pattern matches none.
    """
    if not patterns:
        return list(by_name.values())
    found: dict[str, Entry] = {}
    for pattern in patterns:
        these = {pattern: by_name[pattern]} if pattern in by_name else {}
        if any(each in pattern for each in _WILD):
            matches = re.compile(translate(pattern)).match
            these |= {name: entry for name, entry in by_name.items() if matches(name)}
        if not these:
            raise SetupError(f"no file matches {pattern}", advice="see the names with ls")
        found |= these
    return list(found.values())
