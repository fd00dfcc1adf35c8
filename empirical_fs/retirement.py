"""Gives each version of a file an inode of its own; the threads and the kernel's part of it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from empirical_fs.errors import DeadlinePassed
from empirical_fs.inodes import Inode, Inodes, is_retired
from empirical_fs.snapshot import Entry

_LOOKUP_SECONDS = 2.0
_MOVE_SECONDS = 10.0
_SETTLING_SECONDS = 2.0


class Paths(Protocol):
    """What libfuse and the kernel know of paths."""

    def move(self, name: str, path: str) -> None:
        """Have libfuse know the inode of `name` by `path`; it calls rename, and waits for opens under way."""

    def forget(self, names: Iterable[str]) -> None:
        """Have the kernel look `names` up again."""

    def caller(self) -> int:
        """The id of the thread that called for the operation of this one."""


@dataclass(slots=True)
class _Move:
    target: str
    is_accepted: bool = False
    """Whether the path may be another inode's already."""
    sent_back: set[int] = field(default_factory=set)
    """The callers whose open was refused for it; what each of them does next is to look the path up."""
    is_done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class _Settling:
    """A path whose inode has moved a moment ago.

    A lookup that was answered before may make the next inode, and the kernel takes that for what it was told
    then. Whoever has looked up since has put it right; others are sent to do so.
    """

    callers: set[int] = field(default_factory=set)
    until: float = float("inf")


class Retirement:
    """The inodes that the kernel knows, and the moves of those whose name means something else by now.

    The lock guards the table of inodes, that of the moves and that of the paths that settle; it is not held
    while an inode is moved.
    """

    def __init__(self, paths: Paths, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing told to the kernel; `paths` moves inodes; `clock` tells seconds."""
        self._paths = paths
        self._clock = clock
        self._settling: OrderedDict[str, _Settling] = OrderedDict()
        """Those that end first come first."""
        self._lock = threading.Lock()
        self._inodes = Inodes()
        self._moves: dict[str, _Move] = {}

    def shown_at(self, path: str) -> Entry | None:
        """What `path` shows because it is open or retired; None if it shows what the listing says.

        Whoever looks up again because of an inode that is about to move waits for that, and would find it
        still otherwise. A move never waits for a lookup; it may wait for a stat of that very inode, hence
        nobody else waits.
        """
        move = self._moves.get(path)
        if move is not None and self._paths.caller() in move.sent_back:
            move.is_done.wait(_LOOKUP_SECONDS)
        with self._lock:
            inode = self._inodes.in_use(path)
            if inode is None:
                return self._inodes.was(path)
            self._note_caller(path)
            return inode.entry

    def tell(self, path: str, now: Entry) -> Entry:
        """As `Inodes.tell`; an inode that is something else is on its way from then on.

        Waits until it is known whose the path is. Only a lookup, or a stat of the next inode, comes here
        while libfuse moves one: no move waits for either.

        Raises:
            DeadlinePassed: libfuse does not come to an end.
        """
        while True:
            with self._lock:
                if self._inodes.is_superseded(path, now):
                    self._retire_soon(path)
                move = self._moves.get(path)
                if move is None or not move.is_accepted:
                    self._note_caller(path)
                    return self._inodes.tell(path, now)
            if not move.is_done.wait(_MOVE_SECONDS):
                raise DeadlinePassed("an inode is still being moved")

    def tell_listed(self, path: str, now: Entry) -> bool:
        """Whether the kernel may be told that `path` is `now` without a lookup, as an entry of a listing.

        Not while its inode is about to move, or has just done so: that is for lookups, which can wait.
        """
        with self._lock:
            if path in self._moves or path in self._settling or self._inodes.is_superseded(path, now):
                return False
            self._inodes.tell(path, now)
            return True

    def open(self, path: str, entry: Entry, version: Hashable) -> tuple[Inode, bool] | None:
        """As `Inodes.open`; where it gives None, the kernel should look again."""
        with self._lock:
            if self._must_look_up_first(path):
                return None
            opened = self._inodes.open(path, entry, version)
            if opened is None:
                self._send_back(path)
        return opened

    def send_back(self, path: str) -> None:
        """Retire the inode at `path`, which the caller is about to look up again."""
        with self._lock:
            self._send_back(path)

    def check(self, path: str, now: Entry | None) -> None:
        """Retire the inode at `path` if that means `now` already, which nobody else would tell."""
        with self._lock:
            if self._inodes.is_superseded(path, now):
                self._retire_soon(path)

    def release(self, inode: Inode) -> None:
        """A handle is closed."""
        with self._lock:
            self._inodes.release(inode)

    def changed(self, names: Mapping[str, Entry | None]) -> None:
        """Names mean something else from now on, or nothing: have the kernel learn it.

        Must not be called from a callback of libfuse.
        """
        self._paths.forget(names)
        for name, now in names.items():
            with self._lock:
                move = self._begin(name) if self._inodes.is_superseded(name, now) else None
            if move is not None:
                self._finish(name, move)

    def accept(self, path: str, target: str) -> bool:
        """Whether a rename is one of ours; called by libfuse while it moves the inode."""
        with self._lock:
            move = self._moves.get(path)
            if move is None or move.target != target:
                return False
            self._inodes.move(path, target)
            move.is_accepted = True
            self._settling[path] = _Settling()
            return True

    def _send_back(self, path: str) -> None:
        """The lock is held."""
        self._retire_soon(path)
        if (move := self._moves.get(path)) is not None:
            move.sent_back.add(self._paths.caller())

    def _retire_soon(self, path: str) -> None:
        """Retire from a thread of its own, for libfuse moves no inode during a callback. The lock is held."""
        move = self._begin(path)
        if move is not None:
            threading.Thread(target=self._finish, args=(path, move), name="retire", daemon=True).start()

    def _begin(self, path: str) -> _Move | None:
        """A move to be finished; None if there is nothing to move, or it moves already. The lock is held."""
        if path in self._moves or is_retired(path) or not self._inodes.has(path):
            return None
        move = self._moves[path] = _Move(self._inodes.path_to_retire_to())
        return move

    def _finish(self, path: str, move: _Move) -> None:
        try:
            self._paths.move(path, move.target)
        finally:
            with self._lock:
                del self._moves[path]
            move.is_done.set()
        # Last: what looked it up before has the inode that moved, and must look again.
        self._paths.forget([path])
        with self._lock:
            self._settle(path)

    def _must_look_up_first(self, path: str) -> bool:
        """Whether the caller is not to open `path` by what somebody else looked up. The lock is held."""
        settling = self._settling.get(path)
        if settling is None or self._clock() >= settling.until:
            return False
        return self._paths.caller() not in settling.callers

    def _note_caller(self, path: str) -> None:
        """The kernel is told of `path` for a caller. The lock is held."""
        settling = self._settling.get(path)
        if settling is not None:
            settling.callers.add(self._paths.caller())

    def _settle(self, path: str) -> None:
        """No lookup of `path` from before its inode moved is under way any more. The lock is held."""
        now = self._clock()
        if path in self._settling and path not in self._moves:
            # Somebody may be between such a lookup and the open.
            self._settling[path].until = now + _SETTLING_SECONDS
            self._settling.move_to_end(path)
        while self._settling and next(iter(self._settling.values())).until <= now:
            self._settling.popitem(last=False)
