"""Fetches whole files into the cache on disk, as commands and pinned files want it.

Files are opened like those that programs read; their parts are fetched ahead by the same requests, handed to
the disk, and dropped. What is on the disk already is not fetched.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from queue import Empty, SimpleQueue

from empirical_fs.api.resource import Resource
from empirical_fs.errors import (
    BadAnswer,
    ContentChanged,
    DeadlinePassed,
    EmpiricalError,
    NoThread,
    OutOfReach,
    SpoolFailed,
    Unavailable,
)
from empirical_fs.reading.batch import Batch, Keeper
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.handle import nothing
from empirical_fs.reading.open_files import Readers
from empirical_fs.reading.prefetch_policy import (
    AHEAD,
    AT_ONCE,
    PIECE,
    RUN,
    Conditions,
    Rate,
    may_begin,
    may_hold,
)
from empirical_fs.reading.wanted_file import Gap, Piece, WantedFile
from empirical_fs.reading.young_versions import Listed, YoungVersions
from empirical_fs.work.jobs import Job

_SETTLING_MAX = 64
"""Files whose last bytes the disk has not written yet; their number is limited, as they are open."""
_LOOK_SECONDS, _IDLE_SECONDS = 0.02, 1.0
"""How often to look whether the disk has written or memory is free; and whether all is well otherwise."""

log = logging.getLogger(__name__)


class Prefetch:
    """Fetches batches of files, by one job.

    The lock guards the list of batches. All else belongs to the thread of the job, which hears of its parts
    by a queue.
    """

    def __init__(
        self,
        readers: Readers,
        disk: Disk,
        young: YoungVersions,
        listed: Listed,
        measure: Callable[[Resource], int],
    ) -> None:
        """Fetch through `readers` onto `disk`; `listed` returns what the listing has now.

        `young` is told of what is fetched, and closed with this. `measure` has the store tell the size of a
        file, and may raise EmpiricalError.
        """
        self._young = young
        self._readers = readers
        self._disk = disk
        self._store = disk.store
        self._listed = listed
        self._measure = measure
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._events: SimpleQueue[Piece | None] = SimpleQueue()
        self._job = Job("fetching files into the cache", self._work, patience=float("inf"))
        self._files: list[WantedFile] = []
        self._settling: list[WantedFile] = []
        self._bytes = 0
        self._rate = Rate(time.monotonic())
        self._is_closed = False

    def begin(
        self, sizes: Mapping[int, int], keeper: Keeper | None = None, *, is_last: bool = False
    ) -> Batch:
        """Fetch these resources (ids and sizes); with `is_last`, after the batches of others.

        Raises:
            NoThread: the system has no thread for it.
        """
        batch = Batch(sizes, keeper)
        with self._lock:
            at = len(self._batches) if is_last else sum(each.keeper is None for each in self._batches)
            self._batches.insert(at, batch)
        if not self._job.ask():
            with self._lock:
                self._batches.remove(batch)
            raise NoThread
        self._events.put(None)
        return batch

    def close(self) -> None:
        """Fetch nothing more."""
        self._is_closed = True
        self._young.close()
        self._events.put(None)

    def _work(self) -> None:
        """Fetch until no batch is left."""
        try:
            while self._go_on():
                is_held_up = self._begin_more()
                self._see_to_settling()
                if not self._is_any_done:
                    self._wait(_LOOK_SECONDS if is_held_up or self._settling else _IDLE_SECONDS)
        except BaseException as error:
            self._give_up(error)
            raise

    def _go_on(self) -> bool:
        """End the batches that are done or given up; False if none is left."""
        with self._lock:
            batches = list(self._batches)
        for batch in batches:
            if not batch.is_to_go_on or self._is_closed:
                batch.order.clear()
                for file in [each for each in (*self._files, *self._settling) if each.batch is batch]:
                    self._leave(file)
            if self._is_done(batch):
                with self._lock:
                    self._batches.remove(batch)
                batch.ended.set()
        with self._lock:
            return bool(self._batches)

    @property
    def _is_any_done(self) -> bool:
        with self._lock:
            return any(map(self._is_done, self._batches))

    def _is_done(self, batch: Batch) -> bool:
        """Whether nothing of a batch is under way or left."""
        return not batch.order and all(each.batch is not batch for each in (*self._files, *self._settling))

    def _wait(self, seconds: float) -> None:
        """Wait until a part is full or has failed, and note all of which that is known now."""
        try:
            event = self._events.get(timeout=seconds)
            while True:
                if event is not None:
                    self._left(event)
                event = self._events.get_nowait()
        except Empty:
            pass

    def _begin_more(self) -> bool:
        """Ask for as many pieces as may be under way; True if only memory or the disk allows no more."""
        while (stream := self._next_stream()) is not None:
            if not may_hold(self._bytes, stream.next.size, self._readers.memory, self._store.room_in_queue):
                return True
            try:
                if not self._ask(stream):
                    return True
            except (NoThread, MemoryError) as error:
                log.debug("the next piece comes later: %s", error)
                return True
        return False

    def _next_stream(self) -> Gap | None:
        """The gap whose next piece comes next; None if there is nothing to do now."""
        streams = [each for file in self._files for each in file.streams]
        moving = [each.size for each in streams if each.in_flight]
        waiting = [each for each in streams if each.at < each.stop]
        # A gap that was begun goes on before another one begins.
        begun = next((each for each in waiting if not each.in_flight), None) or self._next_of_files(moving)
        if begun is not None and self._may_begin(moving, begun.size):
            return begun
        going = (each for each in waiting if 0 < each.in_flight < AHEAD)
        return min(going, key=lambda each: each.in_flight, default=None)

    def _may_begin(self, moving: list[int], size: int) -> bool:
        now = time.monotonic()
        conditions = Conditions(self._readers.connections, self._rate.of(now), now - self._readers.waited_at)
        return may_begin(moving, size, conditions)

    def _next_of_files(self, moving: list[int]) -> Gap | None:
        """The next gap of the files that are open, or of another one if there is none."""
        if not self._may_begin(moving, 0):
            return None
        for file in list(self._files):
            if (stream := self._next_gap(file)) is not None:
                return stream
        while len(self._files) < AT_ONCE and len(self._settling) < _SETTLING_MAX:
            begun = self._next_file()
            if begun is None:
                break
            if (stream := self._next_gap(begun)) is not None:
                return stream
        return None

    def _next_file(self) -> WantedFile | None:
        """Open the next file; None if there is none."""
        with self._lock:
            batches = [each for each in self._batches if each.order]
        opened = self._readers.open_ids() if batches else set()
        for batch in batches:
            if self._store.is_full_for(is_pinned=batch.keeper is not None):
                continue
            while batch.is_to_go_on and (taken := batch.order.next(opened)) is not None:
                file = self._opened(batch, *taken)
                if file is not None:
                    self._files.append(file)
                    return file
        return None

    def _opened(self, batch: Batch, resource_id: int, tries: int) -> WantedFile | None:
        """Open a file; None if there is nothing to fetch of it, or it cannot be fetched."""
        resource = self._listed(resource_id)
        if resource is None:
            batch.fail(resource_id, "it is gone")
            return None
        if resource.link is None and resource.size == 0 and not self._is_empty(batch, resource):
            return None
        if resource.link is not None or resource.size == 0:
            self._count(batch, resource_id, 0)
            return None
        if resource.size is not None and resource.size > self._store.state.limit:
            batch.fail(resource_id, "it is larger than the cache")
            return None
        try:
            return WantedFile(batch, resource, self._readers.open(resource, nothing), tries)
        except BadAnswer as error:
            batch.fail(resource_id, str(error))
            return None

    def _is_empty(self, batch: Batch, resource: Resource) -> bool:
        """Whether a file is empty; if that is not certain, it has failed.

        A size of 0 in the listing may mean that it is unknown, and who is offline cannot ask.
        """
        try:
            size = self._measure(resource)
        except EmpiricalError as error:
            batch.fail(resource.id, str(error))
            return False
        if size:
            batch.fail(resource.id, "its size was not known; try again")
        return not size

    def _next_gap(self, file: WantedFile) -> Gap | None:
        """The next range of a file that is not there; None if there is none, or none that is known yet."""
        if file not in self._files:
            return None
        if file.cached is None and not self._finds(file):
            return None
        if file.cached is None:
            # Only an answer of the store tells which version it has, and so what is there.
            stop = min(PIECE, file.size)
        else:
            file.at = file.cached.stored(file.at, file.size)
            stop = file.cached.missing(file.at, min(file.at + RUN, file.size))
        if file.at >= stop:
            if not file.streams:
                self._settle(file)
            return None
        stream = Gap(file, file.at, stop, stop - file.at)
        file.at = stop
        file.streams.append(stream)
        return stream

    def _finds(self, file: WantedFile) -> bool:
        """Find out what the disk has of a file; False if its first piece must come before that is known."""
        file.cached = self._disk.cached(file.handle.content)
        if file.cached is not None:
            return self._tell(file, is_kept=False)
        if file.in_flight or file.streams:
            return False
        if file.at:
            self._fail(file, "it changed a moment ago, so its version is not certain yet", is_final=True)
            return False
        return True

    def _ask(self, stream: Gap) -> bool:
        """Have the next piece of a gap fetched; False if there is no memory for it now.

        Raises:
            NoThread, MemoryError: the system has nothing to do it with now.
        """
        extent = stream.next
        try:
            parts = stream.file.handle.bring(extent, stream.stop)
        except NoThread:
            raise
        except EmpiricalError as error:
            self._fail(stream.file, str(error), is_final=isinstance(error, SpoolFailed))
            return True
        if parts is None:
            return False
        piece = Piece(stream, extent, parts, len(parts))
        stream.at = extent.stop
        stream.in_flight += 1
        stream.file.in_flight += 1
        self._bytes += extent.size
        for part in parts:
            part.when_left(partial(self._events.put, piece))
        return True

    def _left(self, piece: Piece) -> None:
        """Note that nobody fills one of its parts any more."""
        stream, file = piece.stream, piece.stream.file
        piece.left -= 1
        if piece.left:
            return
        stream.in_flight -= 1
        file.in_flight -= 1
        self._bytes -= piece.extent.size
        if file not in self._files:
            return
        for each in piece.parts:
            file.handle.drop(each)
        failure = next((each.failure for each in piece.parts if each.failure is not None), None)
        if failure is not None:
            if isinstance(failure, Unavailable | OutOfReach | DeadlinePassed):
                file.batch.note_no_answer(str(failure))
            self._fail(file, str(failure), is_final=not isinstance(failure, ContentChanged))
        elif all(each.has(min(each.stop, piece.extent.stop)) for each in piece.parts):
            self._rate.moved(piece.extent.size, time.monotonic())
            self._moved(file, piece.extent.size)
            if stream.at >= stream.stop and not stream.in_flight:
                file.streams.remove(stream)
        else:
            # The server sends the whole file instead, or somebody needed the memory: ask once more.
            stream.at = min(stream.at, piece.extent.start)

    def _settle(self, file: WantedFile) -> None:
        self._files.remove(file)
        self._settling.append(file)

    def _see_to_settling(self) -> None:
        """End the files of which the disk has written everything that it got."""
        for file in list(self._settling):
            cached = file.cached
            if cached is None:
                raise AssertionError("a file of an unknown version is whole")
            is_to_write = self._store.is_to_write(cached)
            if cached.is_complete:
                self._young.note_listed(file.resource, file.handle.content, cached)
                if self._tell(file, is_kept=True):
                    self._moved(file, self._size(file) - file.counted)
                    self._count(file.batch, file.resource.id, file.counted)
                    self._leave(file)
            elif not is_to_write:
                paused = self._store.state.paused
                is_full = self._store.is_full_for(is_pinned=file.batch.keeper is not None)
                if is_full and file.batch.is_to_go_on and not file.batch.order.is_last(file.tries):
                    continue  # what is open now may be closed in a moment; then there is another try
                if paused is not None:
                    file.batch.stopped_by = f"the cache takes nothing more: {paused}"
                self._fail(file, paused or "the disk did not keep all of it")

    def _tell(self, file: WantedFile, *, is_kept: bool) -> bool:
        """Tell the keeper; False if that fails, and so the file."""
        keeper, cached = file.batch.keeper, file.cached
        if keeper is None or cached is None:
            return True
        try:
            (keeper.kept if is_kept else keeper.found)(file.resource, cached)
        except OSError as error:
            self._fail(file, f"the cache cannot pin it: {error.strerror}", is_final=True)
            return False
        return True

    def _fail(self, file: WantedFile, reason: str, *, is_final: bool = False) -> None:
        """Give a file up, or take it up again later."""
        batch = file.batch
        self._leave(file)
        is_final = is_final or not batch.is_to_go_on
        batch.bytes_done -= file.counted
        if is_final or not batch.order.put_back(file.resource.id, file.tries):
            batch.fail(file.resource.id, reason)

    def _leave(self, file: WantedFile) -> None:
        """Close a file; what is under way for it is dropped."""
        for files in (self._files, self._settling):
            if file in files:
                files.remove(file)
        file.handle.close()

    def _moved(self, file: WantedFile, size: int) -> None:
        size = min(size, self._size(file) - file.counted)
        file.counted += size
        file.batch.moved(size)

    def _count(self, batch: Batch, resource_id: int, counted: int) -> None:
        """Count a file as done."""
        batch.files_done += 1
        batch.bytes_done += batch.sizes[resource_id] - counted

    def _size(self, file: WantedFile) -> int:
        """The size with which the file counts."""
        return file.batch.sizes[file.resource.id]

    def _give_up(self, error: BaseException) -> None:
        """End everything after a failure that nobody foresaw, so that nobody waits."""
        with self._lock:
            batches, self._batches = self._batches, []
        for file in (*self._files, *self._settling):
            file.handle.close()
        self._files, self._settling, self._bytes = [], [], 0
        self._events = SimpleQueue()
        for batch in batches:
            batch.stopped_by = f"an internal error: {type(error).__name__}; the log has more"
            batch.ended.set()
