"""Reads one content: each read gets its bytes once all have arrived."""

import logging
from functools import partial

from empirical_fs.errors import ContentChanged, EmpiricalError, NoMemory, SpoolFailed
from empirical_fs.reading.content import Content
from empirical_fs.reading.cursor import Cursor, Taken
from empirical_fs.reading.part import Coming, Part
from empirical_fs.reading.pending_read import Cancel, PendingRead, Step, Waiter, nothing
from empirical_fs.reading.read_ahead import Range
from empirical_fs.reading.supply import Means, Supply

log = logging.getLogger(__name__)


class Reader:
    """Reads one content for all its handles, so that no byte is fetched twice. `supply` fetches the bytes."""

    def __init__(self, content: Content, means: Means) -> None:
        """Prepare to read `content`; nothing is fetched before the first read."""
        self.content = content
        self.supply = Supply(content, means)
        self._statistics = means.statistics

    def take_ready(self, cursor: Cursor, start: int, size: int) -> Taken | None:
        """The `size` bytes from `start`, or None if not all have arrived or are in the disk cache's memory.

        The caller must call `give_back` of the returned object.
        """
        if self.content.is_over:
            return None
        taken = cursor.take_ready(start, start + size) or self.supply.take_from_disk(start, start + size)
        if taken is not None:
            self._statistics.read(sum(map(len, taken[1])), waited=False)
        return taken

    def read(self, cursor: Cursor, start: int, size: int, waiter: Waiter) -> Cancel:
        """Give `waiter` `size` bytes from `start`, now or when they have arrived; fewer only at the end.

        `cursor` belongs to the handle that reads. Call the returned function to cancel the read.
        """
        stop = min(start + size, self.content.size)
        if self.content.is_over:
            waiter.fail(ContentChanged("the file changed since it was opened"))
            return nothing
        if start >= stop:
            waiter.give([])
            return nothing
        extent = Range(start, stop)
        try:
            needed, new = self.supply.begin(cursor, extent)
        except EmpiricalError as error:
            waiter.fail(error)
            return nothing
        except MemoryError:
            waiter.fail(NoMemory())
            return nothing
        read = PendingRead(cursor, extent, waiter, needed, new, cursor.waited)
        read.go_on = partial(self._go_on, read)
        read.go_on()
        return partial(self._cancel, read)

    def _go_on(self, read: PendingRead) -> None:
        """Finish a read if its bytes have arrived; otherwise a part calls this again later."""
        try:
            while self._advance(read) is Step.LACKS:
                if not self.supply.renew(read):
                    return
        except EmpiricalError as error:
            self._fail(read, error)
        except MemoryError:
            self._fail(read, NoMemory())
        except Exception:
            log.exception("a read failed unexpectedly")
            self._fail(read, EmpiricalError("an internal error; the log has more"))

    def _fail(self, read: PendingRead, error: EmpiricalError) -> None:
        if self.supply.end(read):
            read.waiter.fail(error)

    def _cancel(self, read: PendingRead) -> None:
        self.supply.end(read)
        if read.waits_for is not None:
            read.waits_for.withdraw(read.go_on)

    def _advance(self, read: PendingRead) -> Step:
        """Give a read its bytes if all have arrived.

        Raises:
            EmpiricalError: the bytes cannot be read.
        """
        if read.is_over:
            return Step.ENDED
        for part in read.needed:
            read.waits_for = part
            match part.when_here(min(read.extent.stop, part.stop), read.go_on):
                case Coming.LATER:
                    return Step.WAITS
                case Coming.NEVER:
                    if isinstance(part.failure, SpoolFailed):
                        self.supply.note_no_room(part)
                    read.check_end(part, self.supply.download_failure)
                    return Step.LACKS
        return self._finish(read)

    def _finish(self, read: PendingRead) -> Step:
        """Give a read its bytes, all of which had arrived a moment ago; LACKS if one was dropped since.

        Raises:
            SpoolFailed: the temporary file on the local disk cannot be read.
        """
        start, stop = read.extent.start, read.extent.stop
        pieces: list[memoryview] = []
        taken: list[Part] = []
        try:
            for part in read.needed:
                if start < part.start:
                    raise AssertionError("the parts of a read have a gap")
                found = part.take(start, min(stop, part.stop))
                if found is None:
                    return Step.LACKS
                taken.append(part)
                pieces += found
                start += sum(map(len, found))
            if start != stop:
                raise AssertionError("the parts of a read do not make up what was asked for")
            if self.supply.end(read):
                self._statistics.read(read.extent.size, waited=read.waited)
                read.waiter.give(pieces)
        except OSError as error:
            raise SpoolFailed(f"the local disk does not give a file back: {error.strerror}") from error
        finally:
            for part in taken:
                part.give_back()
        return Step.ENDED
