"""The attributes of an inode that the kernel has: of its version, unless that is over."""

import errno
from functools import partial
from typing import Any

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.answering import About
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import Request


class Showing:
    """Answers `getattr`. What it is made of may be used by several threads."""

    def __init__(
        self, files: Files, attributes: Attributes, options: FuseOptions, redating: Redating
    ) -> None:
        """Show `files` by `attributes`."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._attributes, self._options = attributes, options
        self._redating = redating

    def show_root(self, request: Request) -> None:
        """Answer with the attributes of the directory."""
        self._catalog.snapshot()
        self._give(request, self._attributes.of_root(self._catalog.changed_ns))

    def show(self, request: Request, node: Node) -> None:
        """Answer with the attributes of a file: those of its resource now, or of one that is gone, the last.

        An open version that the listing has replaced is told by ESTALE, as its reads are: programs that wait
        for more at the end of a file (`tail -F`, `less +F`) look there, and nowhere else.

        Raises:
            Refusal: the version is over.
        """
        now = self._catalog.current(node.entry)
        if now is None or not node.is_superseded_by(now):
            self._show(request, node.entry)
        elif not node.handles:
            self._show(request, now)
        elif self._inodes.renew_told(node, now):
            self._show(request, node.entry)
        elif self._redating.is_possible(node, now):
            about = About("getattr", f"/{node.entry.name}")
            self._redating.find_out(request, about, node, now, partial(self._show_found, request, node))
        else:
            raise Refusal(errno.ESTALE)

    def _show_found(self, request: Request, node: Node) -> None:
        if node.is_over:
            raise Refusal(errno.ESTALE)
        # Where the store did not say, it may be what it was.
        self._show(request, node.entry)

    def _show(self, request: Request, entry: Entry) -> None:
        self._give(request, self._attributes.of_file(entry))

    def _give(self, request: Request, found: Any) -> None:
        request.give_attributes(found, self._options.attribute_seconds)
