"""Whether the process may have as many file descriptors as a mount needs."""

import errno
import os
import resource

from empirical_fs.errors import SetupError

NEEDED = 20
"""For the device, the API, the store, a program that unmounts and the log, with some to spare: with fewer a
mount comes up, and then can neither say so nor read."""

_ADVICE = "run: ulimit -n 1024 (LimitNOFILE= of systemd)"


def check_descriptors() -> None:
    """See whether there are enough, by opening them.

    Raises:
        SetupError: there are not.
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
