"""Answers reads of extended attributes: those of a resource, and how much of a file is on disk."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.answering import About, Answering
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.request import Request
from empirical_fs.fuse.xattrs import CACHED, extended_attributes
from empirical_fs.macos import NO_ATTRIBUTE
from empirical_fs.work.threads import Pool

_OF_USERS = b"user."


@dataclass(frozen=True, slots=True)
class ShareOnDisk:
    """Tells how much of a file is on disk, by threads that may wait for the disk."""

    percent: Callable[[Resource], int]
    """Returns the percentage of the version that a resource describes."""
    threads: Pool


def check_name(name: bytes) -> None:
    """Check that files may have an extended attribute of that name.

    Raises:
        Refusal: it is not one of `user.` (EOPNOTSUPP), or only that (EINVAL).
    """
    if name == _OF_USERS:
        raise Refusal(errno.EINVAL)
    if not name.startswith(_OF_USERS):
        # Not supported by the whole file system, so that programs stop asking for access control lists.
        raise Refusal(errno.EOPNOTSUPP)


class XattrReads:
    """Answers for a node; for the root directory (None), which has no extended attributes. Immutable."""

    def __init__(self, catalog: Catalog, answering: Answering, on_disk: ShareOnDisk | None) -> None:
        """Answer with what `catalog` has; `on_disk` is None if the cache on disk is off."""
        self._catalog = catalog
        self._answering = answering
        self._on_disk = on_disk

    def list(self, request: Request, node: Node | None, size: int) -> None:
        """Answer with the names, or with their length in bytes if the caller's buffer `size` is 0.

        Raises:
            Refusal: the caller's buffer is too small (ERANGE).
        """
        names = [] if node is None else [*self._values(node)]
        if self._on_disk is not None and node is not None:
            names.append(CACHED)
        _give_value(request, b"".join(name.encode() + b"\0" for name in names), size)

    def get(self, request: Request, node: Node | None, name: bytes, size: int) -> None:
        """Answer with a value, now or later, or with its length in bytes if the buffer `size` is 0.

        Raises:
            Refusal: there is no such attribute, or the buffer is too small (ERANGE).
        """
        if node is None:
            raise Refusal(NO_ATTRIBUTE)
        if name == CACHED.encode() and self._on_disk is not None:
            self._give_percent(request, node, size, self._on_disk)
            return
        value = self._values(node).get(name.decode(errors="surrogateescape"))
        if value is None:
            raise Refusal(NO_ATTRIBUTE)
        _give_value(request, value, size)

    def _give_percent(self, request: Request, node: Node, size: int, on_disk: ShareOnDisk) -> None:
        """Answer with the percentage of a file that is on disk, which a thread asks the disk for."""
        now = self._current(node)

        def answer() -> None:
            _give_value(request, b"%d" % (100 if now.link is not None else on_disk.percent(now)), size)

        about = About("getxattr", f"/{node.entry.name}")
        self._answering.defer(request, about)
        self._answering.go_on_later(request, about, answer, on_disk.threads)

    def _values(self, node: Node) -> Mapping[str, bytes]:
        return extended_attributes(self._current(node))

    def _current(self, node: Node) -> Resource:
        """The resource in the current listing, or in the last one that had it."""
        return (self._catalog.current(node.entry) or node.entry).resource


def _give_value(request: Request, value: bytes, size: int) -> None:
    """Answer with a value, or with its length if the caller's buffer `size` is 0."""
    if not size:
        request.give_size(len(value))
    elif size < len(value):
        raise Refusal(errno.ERANGE)
    else:
        request.give_bytes(value)
