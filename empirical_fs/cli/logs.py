"""Where our log lines go. Only this package's: httpx's would show signed URLs."""

import errno
import io
import logging
import os
import stat
import sys
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler, SysLogHandler
from pathlib import Path

from empirical_fs.errors import SetupError
from empirical_fs.printing import printable
from empirical_fs.settings.trust import is_foreign

_SYSLOG = Path("/dev/log")
_PACKAGE = "empirical_fs"
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
_FILE_MAX, _FILES_KEPT = 10 * 10**6, 2
_MODE = 0o600
"""Lines name files, which are for who mounted."""
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_LINKS_MAX = 40
"""As many symbolic links as the kernel follows (path_resolution(7))."""
_PROCESSES = Path("/proc")
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
_IN_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ELSEWHERE = "empirical-mount: %(message)s"


class _Formatter(logging.Formatter):
    """Lines in which nothing speaks to a terminal; a record of several, a traceback say, keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


class _JournalFormatter(_Formatter):
    """Lines that begin with their priority, which systemd takes off again (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, _PRIORITIES[logging.ERROR])}>"
        return "\n".join(priority + line for line in super().format(record).split("\n"))


class _File(RotatingFileHandler):
    """A file for us alone, which is opened anew once it was moved, by logrotate(8) say."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, under the lock of the handler."""
        if self.stream is not None and self._was_moved(self.stream):
            # What was moved is written to for as long as no other can be made.
            with suppress(OSError):
                opened = self._open()
                self.stream.close()
                self.stream = opened
        super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - the base class has it so
        """Whether the file is full; a pipe never is, and newer versions of Python fail to ask it."""
        if self.stream is not None and not stat.S_ISREG(os.fstat(self.stream.fileno()).st_mode):
            return 0
        return super().shouldRollover(record)

    def _open(self) -> TextIOWrapper:
        descriptor = _opened(Path(self.baseFilename))
        found = os.fstat(descriptor)
        # Earlier versions made files that everybody can read; that a group can is somebody's wish.
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & stat.S_IRWXO:
            os.fchmod(descriptor, _MODE)
        return TextIOWrapper(
            io.BufferedWriter(io.FileIO(descriptor, "a")), encoding=self.encoding, errors=self.errors
        )

    def _was_moved(self, stream: TextIOWrapper) -> bool:
        ours = os.fstat(stream.fileno())
        if not stat.S_ISREG(ours.st_mode):
            return False  # /dev/stdout, which leads elsewhere in the background
        try:
            there = Path(self.baseFilename).stat()
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def configure(verbosity: int, log_file: Path | None, *, daemon: bool) -> None:
    """Send our log to `log_file`, else to stderr, and from a daemon to syslog too where there is one.

    The file is made for our user alone (0600). It is begun anew when it has 10 MB, and two older ones are
    kept; one that was moved is made again. `verbosity` is -1 for errors alone,
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
    stderr.setFormatter(_JournalFormatter("%(message)s") if _is_journal() else _Formatter(_ELSEWHERE))
    logger.addHandler(stderr)
    if daemon and _SYSLOG.exists():
        syslog = SysLogHandler(str(_SYSLOG))
        syslog.setFormatter(_Formatter(_ELSEWHERE))
        logger.addHandler(syslog)


def _to_file(path: Path) -> logging.Handler:
    # Where no other file can be made beside it, it is better to grow than to lose every line.
    largest = _FILE_MAX if os.access(path.absolute().parent, os.W_OK) else 0
    try:
        handler = _File(
            path, maxBytes=largest, backupCount=_FILES_KEPT, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise SetupError(f"cannot write the log file {path}: {error.strerror}") from error
    handler.setFormatter(_Formatter(_IN_FILE))
    return handler


def _opened(path: Path) -> int:
    """A descriptor that appends to the file at `path`, which is made for our user alone if it is missing.

    Raises:
        OSError: it cannot be opened, is another user's, or is reached through a symbolic link that is.
    """
    for _ in range(_LINKS_MAX):
        for each in path.parents:
            _check_link(each)
        if not _check_link(path):
            return _ours(os.open(path, _APPENDING | os.O_NOFOLLOW | os.O_NONBLOCK, _MODE))
        if path.parent.resolve().is_relative_to(_PROCESSES):
            return os.open(path, _APPENDING, _MODE)  # a descriptor, whose name leads nowhere
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _ours(descriptor: int) -> int:
    """The descriptor, unless it leads to a file of somebody else, who could read what is written."""
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and is_foreign(found.st_uid):
        os.close(descriptor)
        raise PermissionError(errno.EACCES, f"it belongs to another user (uid {found.st_uid})")
    return descriptor


def _check_link(path: Path) -> bool:
    """Whether it is a symbolic link, of ours or of root."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISLNK(found.st_mode):
        return False
    if is_foreign(found.st_uid):
        raise PermissionError(errno.EACCES, f"{path} is a symbolic link of another user")
    return True


def _is_journal() -> bool:
    """Whether stderr leads to systemd's journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        about = os.fstat(sys.stderr.fileno())
    except OSError:
        return False  # closed
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
