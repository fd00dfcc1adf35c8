"""The parts of one content that have arrived or are being fetched, and who still needs them."""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from empirical_fs.errors import NoMemory
from empirical_fs.reading.budget import Account
from empirical_fs.reading.buffers import Blocks, MemoryBuffer
from empirical_fs.reading.part import OnHere, Part
from empirical_fs.reading.read_ahead import Range

_Owner = TypeVar("_Owner")

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Held(Generic[_Owner]):
    """A part, the owner it was fetched ahead for (None if a read needed it), and how many reads use it."""

    part: Part
    ahead_of: _Owner | None
    users: int = 0


class Parts(Generic[_Owner]):
    """Parts that do not overlap, except with failed ones. Not thread-safe; the owner serialises calls.

    A part is kept while a read uses it, and longer if it was fetched ahead for an owner that still wants it.
    """

    def __init__(
        self,
        account: Account,
        blocks: Blocks,
        widened: Callable[[Range], Range] = lambda extent: extent,
        rest: int = 0,
    ) -> None:
        """Begin without parts; their memory is taken from `blocks` and counted in `account`.

        New parts are as long as `widened` says, unless others are in the way. `rest` is as `Part` takes it.
        """
        self._rest = rest
        self._account = account
        self._blocks = blocks
        self._widened = widened
        self._held: list[_Held[_Owner]] = []
        """In the order of their first bytes: many ranges of one file may be read at once."""
        self._starts: list[int] = []
        """The offsets of these first bytes."""
        self._longest = 0
        """Bytes of the longest part so far."""

    def covers(self, wanted: Range) -> bool:
        """Whether all of `wanted` has arrived or is being fetched."""
        return not _gaps(self._sound(wanted), wanted)

    def use(self, wanted: Range) -> tuple[list[Part], list[Part]]:
        """All parts for `wanted`, in order, which are kept until `let_go`; and the new ones among them.

        Raises:
            NoMemory: there is no memory for new parts.
        """
        # A fetch may fail at any moment, so decide once which parts are sound.
        sound = self._sound(wanted)
        new = self._new(self._wide(_gaps(sound, wanted)), None)
        self._account.reserve(sum(held.part.size for held in new))
        self._add(new)
        used = sorted([*sound, *new], key=lambda held: held.part.start) if new else sound
        for held in used:
            held.users += 1
        return [held.part for held in used], [held.part for held in new]

    def let_go(self, used: Iterable[Part]) -> None:
        """End a read's use of parts that `use` returned."""
        for part in used:
            for held in self._near(part.start, part.stop):
                held.users -= held.part is part

    def drop_unused(self, used: Iterable[Part]) -> None:
        """Drop those of `used` that no read uses, and that were not fetched ahead."""
        for part in used:
            self._drop(
                held
                for held in self._near(part.start, part.stop)
                if held.part is part and not held.users and held.ahead_of is None
            )

    def hold_ahead(self, owner: _Owner, planned: Range) -> list[Part] | None:
        """New parts for the gaps in `planned`; None, without any new part, if there is no memory."""
        gaps = self._wide(_gaps(self._sound(planned), planned))
        size = sum(gap.size for gap in gaps)
        if not self._account.try_reserve(size):
            return None
        new: list[_Held[_Owner]] | None = None
        try:
            new = self._new(gaps, owner)
        except NoMemory as error:
            log.debug("nothing is fetched ahead: %s", error)
            return None
        finally:
            if new is None:
                self._account.release(size)
        self._add(new)
        return [held.part for held in new]

    def drop_unwanted(self, owner: _Owner, wants: Callable[[int, int], bool]) -> None:
        """Drop the parts that no read uses and no owner expects to read.

        `wants` tells whether `owner` still expects to read the bytes from one offset to another.
        """
        self._drop(
            held
            for held in self._held
            if not held.users
            and (
                held.ahead_of is None
                or held.part.end is not None
                or (held.ahead_of is owner and not wants(held.part.start, held.part.stop))
            )
        )

    def drop_of(self, owner: _Owner) -> None:
        """Drop what was fetched ahead for `owner`, except parts that a read uses."""
        for held in self._held:
            if held.ahead_of is owner:
                held.ahead_of = None
        self._drop(held for held in self._held if held.ahead_of is None and not held.users)

    def sound(self, wanted: Range) -> list[Part]:
        """The parts with bytes of `wanted` that have arrived or may, in order."""
        return [held.part for held in self._sound(wanted)]

    def drop_ahead(self, owner: _Owner, part: Part) -> None:
        """Drop a part that was fetched ahead for `owner`, unless a read uses it."""
        for held in self._held:
            if held.part is part and held.ahead_of is owner:
                held.ahead_of = None
                if not held.users:
                    self._drop([held])
                return

    def shrink(self, size: int) -> None:
        """Drop parts that no read uses until at most `size` bytes are held; those at the end go first."""
        for held in sorted(self._held, key=lambda held: held.part.start, reverse=True):
            if self._account.held > size and not held.users:
                self._drop([held])

    def clear(self) -> list[OnHere]:
        """Drop all parts; the caller must call the returned functions, which belong to waiting reads."""
        return self._drop(self._held)

    def _new(self, extents: Iterable[Range], owner: _Owner | None) -> list[_Held[_Owner]]:
        """New parts with memory; the caller counts that in the account."""
        new: list[_Held[_Owner]] = []
        try:
            for extent in extents:
                part = Part(extent.start, extent.stop, MemoryBuffer(extent.size, self._blocks), self._rest)
                new.append(_Held(part, owner))
        except BaseException:
            _give_back(new)
            raise
        return new

    def _wide(self, gaps: Iterable[Range]) -> list[Range]:
        """The same gaps, widened as far as no other part is in the way; they still do not overlap."""
        wide: list[Range] = []
        for gap in gaps:
            room = self._widened(gap)
            if room == gap:
                wide.append(gap)
                continue
            around = _gaps(self._sound(room), room)
            start, stop = next(
                (each.start, each.stop) for each in around if each.start <= gap.start < each.stop
            )
            start = max(start, wide[-1].stop) if wide else start
            wide.append(Range(start, stop))
        return wide

    def _sound(self, wanted: Range) -> list[_Held[_Owner]]:
        """The parts with bytes of `wanted` that have not ended, in order."""
        return [held for held in self._near(wanted.start, wanted.stop) if held.part.end is None]

    def _near(self, start: int, stop: int) -> list[_Held[_Owner]]:
        """The parts with bytes from `start` to `stop`, in order."""
        first = bisect_right(self._starts, start - self._longest)
        last = bisect_left(self._starts, stop, first)
        return [held for held in self._held[first:last] if held.part.stop > start]

    def _add(self, new: list[_Held[_Owner]]) -> None:
        for held in new:
            self._longest = max(self._longest, held.part.size)
            at = bisect_right(self._starts, held.part.start)
            self._held.insert(at, held)
            self._starts.insert(at, held.part.start)

    def _drop(self, dropped: Iterable[_Held[_Owner]]) -> list[OnHere]:
        gone = set(dropped)
        waiting: list[OnHere] = []
        if len(gone) > 1:
            self._held = [held for held in self._held if held not in gone]
            self._starts = [held.part.start for held in self._held]
        for held in gone:
            if len(gone) == 1:
                at = self._held.index(held, bisect_left(self._starts, held.part.start))
                del self._held[at], self._starts[at]
            waiting += held.part.drop()
            self._account.release(held.part.size)
        return waiting


def _give_back(new: Iterable[_Held[_Owner]]) -> None:
    """Release the memory of parts that no other object knows yet."""
    for held in new:
        held.part.drop()


def _gaps(sound: Iterable[_Held[_Owner]], wanted: Range) -> list[Range]:
    """The ranges of `wanted` that are in none of the parts `sound`, which are in order."""
    gaps, at = [], wanted.start
    for held in sound:
        if held.part.start > at:
            gaps.append(Range(at, held.part.start))
        at = held.part.stop
    if at < wanted.stop:
        gaps.append(Range(at, wanted.stop))
    return gaps
