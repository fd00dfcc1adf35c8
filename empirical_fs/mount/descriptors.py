"""Checks that the process can open as many file descriptors as a mount needs."""

import errno
import os
import resource

from empirical_fs.errors import SetupError

NEEDED = 20
"""For the device, the API, the store, fusermount and the log, with some to spare. With fewer, the kernel
accepts the mount, but its process can then neither report that nor read."""

_ADVICE = "run: ulimit -n 1024 (LimitNOFILE= of systemd)"


def check_descriptors() -> None:
    """Check that there are enough, by opening `NEEDED` of them.

    Raises:
        SetupError: there are too few.
    """
    opened: list[int] = []
    try:
        while len(opened) < NEEDED:
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise SetupError(
                f"{os.devnull} cannot be opened: {error.strerror}", advice="is /dev as it should be?"
            ) from error
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise SetupError(
            f"too few file descriptors: {error.strerror} after {len(opened)} of {NEEDED}"
            f" that a mount needs beside those in use, of {most} in all",
            advice=_ADVICE,
        ) from error
    finally:
        for each in opened:
            os.close(each)
