"""One open file for a caller that waits for its bytes."""

import threading
from contextlib import closing
from typing import Self

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.engine.gathering import PIECE, Extent, gather
from empirical_fs.engine.project import Project, version_of
from empirical_fs.errors import ContentChanged, EmpiricalError, NoSuchFile, OtherLength, ResourceGone
from empirical_fs.reading.handle import Handle
from empirical_fs.reading.read_ahead import Policy, Range

CHANGED = (ContentChanged, ResourceGone, OtherLength)
"""The errors by which a version turns out to be over."""

_AT_ONCE = 8
"""Pieces of one read that are asked for at once."""
_NEW_VERSIONS = 2
"""How many new versions an open file may go on with: the listing may lag behind the store by one."""


class OpenFile:
    """One open file, which several threads may read at once.

    All bytes are of one version. As long as none was given, it may become the next version, if that has the
    same size. The lock guards which version it is, and whether bytes of it were given.
    """

    def __init__(self, project: Project, entry: Entry, policy: Policy | None = None) -> None:
        """Open the version that `entry` describes; `policy` is as for `Project.handle`.

        Raises:
            BadAnswer: the size is not known.
        """
        self.size = entry.size
        self._project = project
        self._policy = policy
        self._entry = entry
        self._content = entry.content
        self._handle = None if self._content is not None else project.handle(entry.resource, policy)
        self._lock = threading.Lock()
        self._is_given = False
        self._new_versions = _NEW_VERSIONS
        self._left: list[Handle] = []

    @property
    def version(self) -> str:
        """As `version_of`."""
        return version_of(self._entry)

    @property
    def handle(self) -> Handle | bytes:
        """What the bytes are read from: a handle, or the content itself."""
        return self._handle if self._handle is not None else self._content or b""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to before `stop`; fewer only at the end of the file.

        Raises:
            EmpiricalError: they cannot be read; one of `CHANGED` if the version is over.
        """
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        while True:
            handle = self._handle
            if handle is None:
                return (self._content or b"")[start:stop]
            if stop - start > PIECE:
                handle.announce(Range(start, stop))
            with closing(gather([Extent(handle, start, stop)], self._project.limits(_AT_ONCE))) as found:
                outcome = next(found)
            if isinstance(outcome, EmpiricalError):
                self._go_on_after(outcome, handle)
            elif self._may_give(handle):
                return outcome

    def close(self) -> None:
        """Drop what was fetched ahead."""
        with self._lock:
            handles, self._left = [*self._left, *([] if self._handle is None else [self._handle])], []
            self._handle, self._content = None, self._content or b""
            self.size = 0
        for each in handles:
            each.close()

    def __enter__(self) -> Self:
        """Nothing is to be done."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _may_give(self, handle: Handle) -> bool:
        """Whether bytes of `handle` are of the version that this file is now; if so, it stays that."""
        with self._lock:
            self._is_given = self._is_given or handle is self._handle
            return handle is self._handle

    def _go_on_after(self, error: EmpiricalError, handle: Handle) -> None:
        """Become the next version after a read of `handle` has failed.

        Raises:
            EmpiricalError: `error`, if that is not possible.
        """
        if not isinstance(error, CHANGED):
            raise error
        self._project.distrust(self._entry.resource)
        try:
            now = self._project.current(self._entry)
        except NoSuchFile:
            raise error from None
        with self._lock:
            if self._handle is not handle:
                return
            is_next = self._entry.is_superseded_by(now) and now.size == self.size and now.content is None
            if self._is_given or not is_next or not self._new_versions:
                raise error
            self._new_versions -= 1
            self._left.append(handle)
            self._handle, self._entry = self._project.handle(now.resource, self._policy), now
