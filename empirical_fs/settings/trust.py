"""Checks whether a file can be trusted: who owns it, and who else can read or write it."""

import grp
import os
import pwd
import stat

from empirical_fs.errors import SetupError

_ROOT = 0
_OTHERS_USE = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def is_foreign(owner: int) -> bool:
    """Whether `owner` (a uid) is neither our user nor root."""
    return owner not in (_ROOT, os.geteuid())


def check_secret(status: os.stat_result, what: str, path: str) -> None:
    """Check that only we and root can read a file with a secret; `what` and `path` are for messages.

    Raises:
        SetupError: other users can read it.
    """
    _check_owner(status, what, path)
    if stat.S_ISREG(status.st_mode) and status.st_mode & _OTHERS_USE:
        raise SetupError(f"others than you can read the {what} {path}", advice=f"run: chmod 600 {path}")


def check_decisive(status: os.stat_result, what: str, path: str) -> None:
    """Check that only we and root can write a file with settings; `what` and `path` are for messages.

    Raises:
        SetupError: other users can write it.
    """
    _check_owner(status, what, path)
    if not stat.S_ISCHR(status.st_mode) and status.st_mode & _OTHERS_WRITE:
        raise SetupError(
            f"others than you can write the {what} {path}, and so decide where the key goes",
            advice=f"run: chmod go-w {path}",
        )


def check_folder(status: os.stat_result, what: str, path: str) -> None:
    """Check that only we and root can replace a file in the folder at `path`.

    Raises:
        SetupError: other users can.
    """
    _check_owner(status, what, path)
    if status.st_mode & stat.S_ISVTX:
        return
    if status.st_mode & stat.S_IWOTH:
        raise SetupError(f"everybody can write to the {what} {path}", advice=f"run: chmod o-w {path}")
    if status.st_mode & stat.S_IWGRP and not _is_of_one(status.st_gid):
        raise SetupError(f"a group can write to the {what} {path}", advice=f"run: chmod g-w {path}")


def _is_of_one(group: int) -> bool:
    """Whether nobody but us and root is in a group: many systems give each user a group of that name."""
    if group == _ROOT:
        return True
    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return (found.gr_gid, found.gr_name) == (user.pw_gid, user.pw_name) and not found.gr_mem


def _check_owner(status: os.stat_result, what: str, path: str) -> None:
    if is_foreign(status.st_uid):
        raise SetupError(
            f"the {what} {path} belongs to another user (uid {status.st_uid}), who can change it",
            advice="use one of your own",
        )
