"""Gives each version of a file an inode of its own; the threads and the kernel's part of it."""

import threading
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from empirical_fs.catalog import Entry
from empirical_fs.inodes import Inode, Inodes, is_retired

_LOOKUP_SECONDS = 0.1


class Paths(Protocol):
    """What libfuse and the kernel know of paths."""

    def move(self, name: str, path: str) -> None:
        """Have libfuse know the inode of `name` by `path`; it calls rename, and waits for opens under way."""

    def forget(self, names: Iterable[str]) -> None:
        """Have the kernel look `names` up again."""


@dataclass(slots=True)
class _Move:
    target: str
    entry: Entry | None
    """What the inode shows until it has moved."""
    is_done: threading.Event = field(default_factory=threading.Event)


class Retirement:
    """The inodes that the kernel knows, and the moves of those whose name means something else by now.

    The lock guards the table of inodes and that of the moves; it is not held while an inode is moved.
    """

    def __init__(self, paths: Paths) -> None:
        """Begin with nothing told to the kernel; `paths` moves inodes."""
        self._paths = paths
        self._lock = threading.Lock()
        self._inodes = Inodes()
        self._moves: dict[str, _Move] = {}

    def shown_at(self, path: str) -> Entry | None:
        """What `path` shows because it is open; None if it shows what the listing says.

        Waits a moment for an inode that is about to move, as a lookup would find it still. A move never
        waits for a lookup; it may wait for a stat of that very inode, hence for no longer.
        """
        move = self._moves.get(path)
        if move is not None:
            move.is_done.wait(_LOOKUP_SECONDS)
        with self._lock:
            inode = self._inodes.in_use(path)
            return None if inode is None else inode.entry

    def tell(self, path: str, now: Entry) -> Entry:
        """As `Inodes.tell`; an inode that is something else is on its way from then on."""
        with self._lock:
            if self._inodes.is_superseded(path, now):
                self._retire_soon(path)
            move = self._moves.get(path)
            if move is not None and move.entry is not None:
                return move.entry  # nobody knows how far it is
            return self._inodes.tell(path, now)

    def open(self, path: str, entry: Entry, version: Hashable) -> tuple[Inode, bool] | None:
        """As `Inodes.open`; where it gives None, the inode is on its way and the kernel should look again."""
        with self._lock:
            opened = self._inodes.open(path, entry, version)
            if opened is None:
                self._retire_soon(path)
        return opened

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
            return True

    def _retire_soon(self, path: str) -> None:
        """Retire from a thread of its own, for libfuse moves no inode during a callback. The lock is held."""
        move = self._begin(path)
        if move is not None:
            threading.Thread(target=self._finish, args=(path, move), name="retire", daemon=True).start()

    def _begin(self, path: str) -> _Move | None:
        """A move to be finished; None if the inode is retired or moves already. The lock is held."""
        if path in self._moves or is_retired(path):
            return None
        move = self._moves[path] = _Move(self._inodes.path_to_retire_to(), self._inodes.shown_at(path))
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
