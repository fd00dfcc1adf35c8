"""Answers lookups: finds files by their names, and inodes by their numbers."""

import errno
from functools import partial

from empirical_fs.catalog.names import NAME_MAX
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.errors import NoSuchFile
from empirical_fs.fuse.answering import About
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.catalog_waits import CatalogWaits, was_awaited
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.nodes import ROOT_NUMBER
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.request import Request

_SELF, _PARENT = b".", b".."


class Lookup:
    """Answers lookups. Its components are thread-safe."""

    def __init__(
        self, files: Files, attributes: Attributes, options: FuseOptions, waits: CatalogWaits
    ) -> None:
        """Find `files`, and answer with structures of `attributes`."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._attributes = attributes
        self._options = options
        self._waits = waits

    def answer(self, request: Request, parent: int, name: bytes) -> None:
        """Find a file by its name, or an inode by its number (the name `.` in `parent`, for file handles).

        Raises:
            NoSuchFile, Refusal: there is none.
        """
        if parent != ROOT_NUMBER or name in (_SELF, _PARENT):
            self._look_up_number(request, parent, name)
            return
        if len(name) > NAME_MAX:
            # The kernel passes on longer names; it looks a name up before any other operation on it.
            raise Refusal(errno.ENAMETOOLONG)
        self._look_up_name(request, name.decode(errors="surrogateescape"))

    def _look_up_name(self, request: Request, name: str, awaited: Entry | None = None) -> None:
        """Answer, or wait for the size; the version `awaited` is given with the size that it has by now."""
        try:
            entry = self._catalog.lookup(name)
        except NoSuchFile:
            if not self._options.missing_seconds:
                raise
            request.give_entry(self._attributes.missing(self._options.missing_seconds))
            return
        if entry.is_sized or was_awaited(awaited, entry):
            self._give(request, entry)
        else:
            work = partial(self._look_up_name, request, name, entry)
            self._waits.for_size(request, About("lookup", f"/{name}"), entry, work)

    def _give(self, request: Request, entry: Entry) -> None:
        node = self._inodes.tell(entry, self._options.attribute_seconds)
        if not request.give_entry(self._attributes.of_node(node.number, node.entry)):
            self._inodes.take_back(node)

    def _look_up_number(self, request: Request, number: int, name: bytes) -> None:
        if name == _PARENT or number == ROOT_NUMBER:
            request.give_entry(self._attributes.of_root_node(self._catalog.changed_ns))
            return
        if name != _SELF:
            raise Refusal(errno.ENOTDIR)
        node = self._inodes.find(number)
        if node is None:
            raise Refusal(errno.ESTALE)
        now = self._catalog.current(node.entry)
        if now is None:
            raise Refusal(errno.ESTALE)
        entry = self._inodes.tell_again(node, self._options.attribute_seconds, now)
        if not request.give_entry(self._attributes.of_node(number, entry)):
            self._inodes.take_back(node)
