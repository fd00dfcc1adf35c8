"""What libfuse and fusermount say while they mount."""

import os
import tempfile
from typing import IO

from empirical_fs import macos


class CapturedStderr:
    """What libfuse and fusermount write to file descriptor 2 while they mount, to be said in one line."""

    def __init__(self) -> None:
        """Capture nothing yet."""
        if macos.IS_MACOS:
            self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        else:
            # There may be no folder that can be written to.
            self._file = os.fdopen(os.memfd_create("stderr"), "w+b")
        self._saved: int | None = None

    def start(self) -> None:
        """Capture from now on."""
        self._saved = os.dup(2)
        os.dup2(self._file.fileno(), 2)

    def stop(self) -> None:
        """Capture no more."""
        if self._saved is not None:
            os.dup2(self._saved, 2)
            # A daemon that kept it would keep whoever waits for the end of our output waiting.
            os.close(self._saved)
            self._saved = None

    def text(self) -> str:
        """What was written meanwhile, in one line."""
        self._file.seek(0)
        return " ".join(self._file.read().decode(errors="replace").split())
