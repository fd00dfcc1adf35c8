"""Where our log lines go. Only this package's: httpx's would show signed URLs."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler, SysLogHandler
from pathlib import Path

from empirical_fs.errors import SetupError

_SYSLOG = Path("/dev/log")
_PACKAGE = "empirical_fs"
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
_FILE_MAX, _FILES_KEPT = 10 * 10**6, 2
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
_IN_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ELSEWHERE = "empirical-mount: %(message)s"


class _JournalFormatter(logging.Formatter):
    """Lines that begin with their priority, which systemd takes off again (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, _PRIORITIES[logging.ERROR])}>"
        return "\n".join(priority + line for line in super().format(record).split("\n"))


def configure(verbosity: int, log_file: Path | None, *, daemon: bool) -> None:
    """Send our log to `log_file`, else to stderr, and from a daemon to syslog too where there is one.

    The file is begun anew when it has 10 MB, and two older ones are kept. `verbosity` is -1 for errors alone,
    0 for warnings, 1 for what happens, 2 for every operation and request.

    Raises:
        SetupError: the file cannot be written.
    """
    # A log that cannot be written, on a full disk perhaps, is no reason to write tracebacks elsewhere.
    logging.raiseExceptions = False
    # For the name of a thread that it did not start, Python would keep an object for ever.
    logging.logThreads = False
    logger = logging.getLogger(_PACKAGE)
    logger.setLevel(_LEVELS.get(verbosity, logging.DEBUG))
    logger.propagate = False
    if log_file is not None:
        logger.addHandler(_to_file(log_file))
        return
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(_JournalFormatter("%(message)s") if _is_journal() else logging.Formatter(_ELSEWHERE))
    logger.addHandler(stderr)
    if daemon and _SYSLOG.exists():
        syslog = SysLogHandler(str(_SYSLOG))
        syslog.setFormatter(logging.Formatter(_ELSEWHERE))
        logger.addHandler(syslog)


def _to_file(path: Path) -> logging.Handler:
    try:
        # Where no other file can be made beside it, it is better to grow than to lose every line.
        if os.access(path.absolute().parent, os.W_OK):
            handler: logging.Handler = RotatingFileHandler(
                path, maxBytes=_FILE_MAX, backupCount=_FILES_KEPT, encoding="utf-8", errors="backslashreplace"
            )
        else:
            handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SetupError(f"cannot write the log file {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter(_IN_FILE))
    return handler


def _is_journal() -> bool:
    """Whether stderr leads to systemd's journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        about = os.fstat(sys.stderr.fileno())
    except OSError:
        return False  # closed
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
