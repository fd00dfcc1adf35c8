"""Finds out whether a mount answers, or its process has ended."""

import errno
from collections.abc import Iterable
from pathlib import Path

from empirical_fs.control.question import Question
from empirical_fs.mount.mount_table import ours


def check_answers(paths: Iterable[Path]) -> None:
    """Check that our mounts that contain these paths answer: access to a path in a mount that hangs, hangs.

    Raises:
        Silent: a mount does not answer.
        OSError: a mount cannot be asked.
    """
    places = {Path(mount.mountpoint) for mount in ours()}
    for place in places.intersection(parent for path in paths for parent in path.parents):
        is_dead(place)


def is_dead(mountpoint: Path) -> bool:
    """Whether the process of the mount at this path has ended; waits two seconds for the mount's answer.

    Raises:
        Silent: the mount does not answer.
        OSError: the mount cannot be asked.
    """
    return lost_its_process(Question(mountpoint))


def lost_its_process(question: Question) -> bool:
    """As `is_dead`, for a mount that `question` has asked already.

    Raises:
        Silent: the mount does not answer.
        OSError: the mount cannot be asked.
    """
    try:
        question.answer()
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
            raise
        return True
    return False
