"""A mount without a cache on disk: there is nothing to report, and its commands are refused."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from empirical_fs.api.resource import Resource
from empirical_fs.control.cache_tasks import Question, no_cache
from empirical_fs.fuse.xattr_reads import ShareOnDisk
from empirical_fs.mount.task_runner import Task, Tasks
from empirical_fs.work.threads import Pool
from empirical_fs.work.timer import Timer

if TYPE_CHECKING:  # its modules take a tenth of a mount's start
    from empirical_fs.reading.whole_files import WholeFiles


class NullCache:
    """What a mount does with the cache on disk, where there is none."""

    whole_files: "WholeFiles | None" = None

    def __init__(self, timer: Timer) -> None:
        """Refuse the commands; `timer` is that of the mount."""
        self._timer = timer

    def report(self) -> dict[str, Any] | None:
        """The state for `--status`: sizes in bytes, counts of blocks; None if the cache is off."""
        return None

    def tasks(self) -> Tasks:
        """What answers the commands of the cache: prefetch, pin and the like; closed before the readers."""
        return Tasks(_refuse, self._timer)

    def percentages(self, _threads: Pool) -> ShareOnDisk | None:
        """What tells how much of a file is on disk; None if the cache is off."""
        return None

    def replaced(self, resource: Resource) -> None:
        """Note that the store has another version of a file than the one on disk."""

    def connected(self) -> None:
        """See to the pinned files, now that the mount is there."""

    def relisted(self, ids: Iterable[int], resources: Mapping[int, Resource]) -> None:
        """Note that the listing changed for these ids; `resources` has those that it still has."""

    def close(self) -> None:
        """Close the files that the kernel reads by itself."""


def _refuse(_question: Question) -> Task:
    raise no_cache()
