"""Where our log lines go. Only this package's: httpx's would show signed URLs."""

import logging
import logging.handlers
import sys
from pathlib import Path

from empirical_fs.errors import SetupError

_SYSLOG = Path("/dev/log")
_PACKAGE = "empirical_fs"
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}


def configure(verbosity: int, log_file: Path | None, *, daemon: bool) -> None:
    """Send our log to `log_file`, else to stderr, and from a daemon to syslog too where there is one.

    `verbosity` is -1 for errors alone, 0 for warnings, 1 for what happens, 2 for everything.

    Raises:
        SetupError: the file cannot be written.
    """
    # A log that cannot be written, on a full disk perhaps, is no reason to write tracebacks elsewhere.
    logging.raiseExceptions = False
    logger = logging.getLogger(_PACKAGE)
    logger.setLevel(_LEVELS.get(verbosity, logging.DEBUG))
    logger.propagate = False
    handlers: list[logging.Handler] = []
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file))
        except OSError as error:
            raise SetupError(f"cannot write the log file {log_file}: {error.strerror}") from error
        handlers[0].setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    else:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[0].setFormatter(logging.Formatter("empirical-mount: %(message)s"))
        if daemon and _SYSLOG.exists():
            handlers.append(logging.handlers.SysLogHandler(str(_SYSLOG)))
            handlers[-1].setFormatter(logging.Formatter("empirical-mount: %(message)s"))
    for handler in handlers:
        logger.addHandler(handler)
