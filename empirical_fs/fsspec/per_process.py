"""The project of a file system, which each process opens for itself, and its errors in fsspec's terms."""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from empirical_fs.engine.handed_listing import HandedListing
from empirical_fs.engine.open_file import CHANGED
from empirical_fs.engine.project import Project
from empirical_fs.engine.projects import PROJECTS
from empirical_fs.errnos import errno_for
from empirical_fs.errors import EmpiricalError
from empirical_fs.explaining import explained
from empirical_fs.fsspec.options import find, project_settings
from empirical_fs.settings.configuration import Configuration


class PerProcess:
    """The project that these options name, open in this process, or in the one that this was forked to."""

    def __init__(self, values: Mapping[str, Any], profile: str | None) -> None:
        """Keep the values of the storage options; nothing is opened before the first use."""
        self._values = values
        self._profile = profile
        self._found: Configuration | None = None
        self._opened: tuple[int, Project] | None = None
        self._handed: HandedListing | None = None

    def project(self) -> Project:
        """The project, which is opened in each process that uses it.

        Raises:
            EmpiricalError: it cannot be opened.
        """
        if (opened := self._opened_here) is not None:
            return opened
        self._found = find(self._values, self._profile)
        opened = PROJECTS.open(project_settings(self._found), self._handed)
        self._opened = os.getpid(), opened
        return opened

    def to_hand(self) -> HandedListing | None:
        """The listing for another process: the one that this process has fetched, or was given."""
        opened = self._opened_here
        return (None if opened is None else opened.handed()) or self._handed

    def take_over(self, handed: HandedListing) -> None:
        """Read by a listing that another process has fetched, unless ours is as new."""
        if self._handed is not None and handed.listed_at <= self._handed.listed_at:
            return
        self._handed = handed
        if (opened := self._opened_here) is not None:
            with self.translated():
                opened.take_over(handed)

    @contextmanager
    def translated(self, name: str | None = None) -> Iterator[None]:
        """Raise our errors as those that users of file systems expect.

        Raises:
            OSError: also if Python is ending: it has stopped all threads by then, so nobody would answer, and
                locks that they held stay locked.
        """
        if sys.is_finalizing():
            raise OSError(errno.EIO, "Python is ending, so nothing more can be read", name)
        try:
            yield
        except EmpiricalError as error:
            raise self.os_error(error, name) from error

    def os_error(self, error: EmpiricalError, name: str | None) -> OSError:
        """What `translated` raises for `error`, which concerns the file `name`."""
        number = errno_for(error)
        if number == errno.ENOENT:
            return FileNotFoundError(number, os.strerror(number), name)
        found = self._found
        if isinstance(error, CHANGED):
            text = f"it was replaced or deleted while it was read ({error.what}); open it again"
        elif found is None:
            text = explained(error)
        else:
            text = explained(error, found.key_origin, found.api_url_from)
        return OSError(number, text) if name is None else OSError(number, text, name)

    @property
    def _opened_here(self) -> Project | None:
        """The project, if this very process has opened it."""
        opened = self._opened
        return opened[1] if opened is not None and opened[0] == os.getpid() else None
