"""The projects that are open in this process, each shared by all who read it with the same settings."""

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

from empirical_fs.clock import Deadline
from empirical_fs.engine.engine import Engine
from empirical_fs.engine.handed_listing import HandedListing
from empirical_fs.engine.project import Project
from empirical_fs.errors import NoThread
from empirical_fs.settings.settings import ProjectSettings
from empirical_fs.single_flight import SingleFlight
from empirical_fs.work.threads import Worker

_PATIENCE_SECONDS = 120.0
"""How long one caller waits for another that opens the same project."""


class Projects:
    """Opens projects. A project is closed when nobody has it any more.

    At the end of the process, only what waits for the disk is written. Python itself stops the threads, and
    until then a daemon thread of the program may still read.

    Threads do not survive a fork, and locks may be held at that moment; so a process that was forked begins
    with none open, and those of its parent are left as they are. The lock guards the table.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self._finish)

    def open(self, settings: ProjectSettings, handed: HandedListing | None = None) -> Project:
        """The project with these settings, which is opened if it is not open.

        `handed` is a listing that another process has fetched.

        Raises:
            ApiError, SetupError, NoThread: as `Project`.
            DeadlinePassed: another thread opens it, and that takes too long.
        """
        project = self._known(settings)
        if project is None:
            deadline = Deadline.after(_PATIENCE_SECONDS)
            return self._opening.do(
                settings, lambda: self._known(settings) or self._opened(settings, handed), deadline
            )
        if handed is not None:
            project.take_over(handed)
        return project

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._open = weakref.WeakValueDictionary[ProjectSettings, Project]()
        self._opening = SingleFlight[ProjectSettings, Project]()
        self._is_child_watched = False

    def _known(self, settings: ProjectSettings) -> Project | None:
        with self._lock:
            return self._open.get(settings)

    def _opened(self, settings: ProjectSettings, handed: HandedListing | None) -> Project:
        project = Project(settings, handed)
        weakref.finalize(project, _close_later, project.engine, os.getpid()).atexit = False
        with self._lock:
            self._open[settings] = project
            is_new, self._is_child_watched = not self._is_child_watched, True
        if is_new:
            _at_end_of_child(self._finish)
        return project

    def _finish(self) -> None:
        for project in list(self._open.values()):
            project.engine.finish()


def _at_end_of_child(work: Callable[[], object]) -> None:
    """Have `work` done when this process ends, if it is a child of `multiprocessing`: those skip `atexit`."""
    if "multiprocessing.util" in sys.modules:
        from multiprocessing import parent_process, util  # noqa: PLC0415 - programs without it are spared that

        if parent_process() is not None:
            util.Finalize(None, work, exitpriority=0)


def _close_later(engine: Engine, pid: int) -> None:
    """Close an engine by another thread: the garbage collector may run under any lock, also the engine's."""
    if os.getpid() != pid:
        return  # its threads are those of the parent
    with suppress(NoThread):  # without one, its threads wait, without harm
        Worker(engine.close)


PROJECTS = Projects()
"""Those of this process."""
