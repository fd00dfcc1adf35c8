"""Captures what libfuse and fusermount write to stderr while they mount."""

import os
import tempfile
from typing import IO

from empirical_fs import macos


class CapturedStderr:
    """What libfuse and fusermount write to file descriptor 2 while they mount, for a message of one line."""

    def __init__(self) -> None:
        """Capture nothing yet."""
        if macos.IS_MACOS:
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        else:
            # A memfd, as there may be no writable folder for a file.
            self._file = os.fdopen(os.memfd_create("stderr"), "w+b")
        self._saved: int | None = None

    def start(self) -> None:
        """Start to capture."""
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)

    def stop(self) -> None:
        """Stop capturing."""
        if self._saved is not None:
            os.dup2(self._saved, 2)
            # A program that reads our stderr to its end would wait for as long as a daemon kept this open.
            os.close(self._saved)
            self._saved = None

    def text(self) -> str:
        """What was captured, in one line."""
        self._file.seek(0)
        return " ".join(self._file.read().decode(errors="replace").split())
