"""Checks that the folder of the cache answers, before anybody waits for it."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from empirical_fs import abandonable
from empirical_fs.errors import SetupError

_PATIENCE = 5.0
"""Seconds that the file system has: to mount it on demand may take a moment."""


def check_answers(folder: Path) -> None:
    """Check that the file system of a folder, which may be missing, answers.

    Whoever asks one that does not may hang in the kernel, and cannot even be killed. So a process of its own
    asks, which can be abandoned. Call it before there are threads, locks or a mount, since that process
    inherits them.

    Raises:
        SetupError: it does not.
        OSError: the process cannot be started.
    """
    reading, writing = os.pipe()
    try:
        try:
            child = abandonable.start(partial(_ask, folder))
        finally:
            os.close(writing)
        try:
            # The end of the process closes its end of the pipe.
            has_answered = abandonable.is_readable(reading, _PATIENCE)
        finally:
            abandonable.abandon(child)
    finally:
        os.close(reading)
    if not has_answered:
        raise no_answer(folder)


def no_answer(folder: Path) -> SetupError:
    """The error of a folder that does not answer."""
    return SetupError(
        f"the cache folder {folder} does not answer",
        advice="see to its file system (is its server there?), or use another folder",
    )


def _ask(folder: Path) -> None:
    """Ask the file system of the folder, or of the nearest one above that is there, how much is free."""
    for each in (folder, *folder.parents):
        # Unlike a status, that is never answered from memory.
        with suppress(OSError):
            os.statvfs(each)
            return
