"""Configures where log lines go: those of this package only, as httpx's would show signed URLs."""

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
"""Log lines have names of files, which only the user who mounted may see."""
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_LINKS_MAX = 40
"""As many symbolic links as the kernel follows (path_resolution(7))."""
_PROCESSES = Path("/proc")
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
_IN_FILE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ELSEWHERE = "empirical-mount: %(message)s"


class _Formatter(logging.Formatter):
    """Escapes control characters, which a terminal would obey; keeps the line breaks, as of a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


class _JournalFormatter(_Formatter):
    """Puts the priority at the start of each line, from which systemd removes it (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, _PRIORITIES[logging.ERROR])}>"
        return "\n".join(priority + line for line in super().format(record).split("\n"))


class _File(RotatingFileHandler):
    """A log file that only our user may read; it is opened anew after it was moved, as by logrotate(8)."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; the caller holds the lock of the handler."""
        if self.stream is not None and self._was_moved(self.stream):
            # If the new file cannot be opened, go on with the one that was moved.
            with suppress(OSError):
                opened = self._open()
                self.stream.close()
                self.stream = opened
        super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - the base class has it so
        """Whether the file is full. A pipe never is; newer versions of Python fail on its `tell()`."""
        if self.stream is not None and not stat.S_ISREG(os.fstat(self.stream.fileno()).st_mode):
            return 0
        return super().shouldRollover(record)

    def _open(self) -> TextIOWrapper:
        descriptor = _opened(Path(self.baseFilename))
        found = os.fstat(descriptor)
        # Earlier versions of this program created files that all users can read. A mode like 0640, which lets
        # only a group read it, is somebody's choice, and stays.
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_mode & stat.S_IRWXO:
            os.fchmod(descriptor, _MODE)
        return TextIOWrapper(
            io.BufferedWriter(io.FileIO(descriptor, "a")), encoding=self.encoding, errors=self.errors
        )

    def _was_moved(self, stream: TextIOWrapper) -> bool:
        ours = os.fstat(stream.fileno())
        if not stat.S_ISREG(ours.st_mode):
            return False  # like /dev/stdout, whose path leads elsewhere in the background process
        try:
            there = Path(self.baseFilename).stat()
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def configure(verbosity: int, log_file: Path | None, *, daemon: bool) -> None:
    """Send our log to `log_file`; without it, to stderr, and from a daemon also to syslog if there is one.

    The file is created with the mode 0600. It is rotated at 10 MB, and two older files are kept; a file that
    was moved is created anew. `verbosity` is -1 for errors only, 0 for warnings, 1 for information, 2 for
    every operation and request.

    Raises:
        SetupError: the file cannot be written.
    """
    # If the log cannot be written, as on a full disk, Python would write tracebacks to stderr.
    logging.raiseExceptions = False
    # For the name of each thread that Python did not start, it would keep an object for ever.
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
    # If no older file can be kept beside it, the file grows without limit rather than lose every line.
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
    """Open the file at `path` to append to it; a missing file is created with the mode 0600.

    Raises:
        OSError: the file cannot be opened, or it or a symbolic link in its path is another user's.
    """
    for _ in range(_LINKS_MAX):
        for each in path.parents:
            _check_link(each)
        if not _check_link(path):
            return _ours(os.open(path, _APPENDING | os.O_NOFOLLOW | os.O_NONBLOCK, _MODE))
        if path.parent.resolve().is_relative_to(_PROCESSES):
            return os.open(path, _APPENDING, _MODE)  # an open file, like /dev/stdout, whose link is no path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _ours(descriptor: int) -> int:
    """Return `descriptor`, unless its file is another user's, who could read our log.

    Raises:
        PermissionError: it is another user's.
    """
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and is_foreign(found.st_uid):
        os.close(descriptor)
        raise PermissionError(errno.EACCES, f"it belongs to another user (uid {found.st_uid})")
    return descriptor


def _check_link(path: Path) -> bool:
    """Whether `path` is a symbolic link that is ours or root's.

    Raises:
        PermissionError: it is a symbolic link of another user.
    """
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
        return False  # stderr is closed
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"
