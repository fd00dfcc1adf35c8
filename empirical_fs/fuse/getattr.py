"""Answers `getattr`: the attributes of an inode's version, or of the current one if that is over."""

import errno
import time
from functools import partial
from typing import Any

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.answering import About
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.catalog_waits import CatalogWaits, was_awaited
from empirical_fs.fuse.errnos import Refusal
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.followed_files import FollowedFiles
from empirical_fs.fuse.nodes import Node
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.redating import Redating
from empirical_fs.fuse.request import Request


class GetAttr:
    """Answers `getattr`. Its components are thread-safe."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that an answer may need
        self,
        files: Files,
        attributes: Attributes,
        options: FuseOptions,
        redating: Redating,
        followed: FollowedFiles,
        waits: CatalogWaits,
    ) -> None:
        """Answer for `files` with structures of `attributes`."""
        self._catalog, self._inodes = files.catalog, files.inodes
        self._attributes, self._options = attributes, options
        self._redating = redating
        self._followed = followed
        self._waits = waits

    def answer_root(self, request: Request) -> None:
        """Answer with the attributes of the directory."""
        self._catalog.snapshot()
        self._give(request, self._attributes.of_root(self._catalog.changed_ns))

    def answer(
        self, request: Request, node: Node, *, may_wait: bool = True, awaited: Entry | None = None
    ) -> None:
        """Answer with the attributes of a file: the current ones of its resource, or its last if deleted.

        If the listing has replaced a version that is open, the answer is ESTALE, as for its reads: programs
        that wait for more at the end of a file (`tail -F`, `less +F`) only look at the attributes.

        With `may_wait`, that answer waits a moment for a listing without doubt, since after an ESTALE the
        kernel looks the name up again only once. `awaited` is a version whose size was waited for, which is
        shown with the size that it has by now.

        Raises:
            Refusal: the version is over (ESTALE).
        """
        now = self._catalog.current(node.entry)
        if now is None or not node.is_superseded_by(now):
            self._show(request, node.entry)
        elif now.name != node.entry.name and self._catalog.is_telling:
            # The kernel is about to drop this name: no program may see by it the file as it is named now.
            self._show(request, node.entry)
        elif not node.handles and (now.is_sized or was_awaited(awaited, now)):
            self._show(request, now)
        elif not node.handles:
            work = partial(self.answer, request, node, awaited=now)
            self._waits.for_size(request, _about(node), now, work)
        elif self._inodes.renew_told(node, now):
            self._show(request, node.entry)
        elif self._redating.is_possible(node, now):
            found = partial(self._show_found, request, node)
            self._redating.find_out(request, _about(node), node, now, found)
        elif may_wait and self._catalog.is_in_doubt(node.entry.resource.id):
            work = partial(self.answer, request, node, may_wait=False)
            self._waits.for_listing(request, _about(node), node.entry.resource.id, work)
        else:
            self._followed.told(node.entry.resource.id, time.monotonic())
            raise Refusal(errno.ESTALE)

    def _show_found(self, request: Request, node: Node) -> None:
        if node.is_over:
            raise Refusal(errno.ESTALE)
        # If the store gave no answer, the file may be unchanged.
        self._show(request, node.entry)

    def _show(self, request: Request, entry: Entry) -> None:
        self._give(request, self._attributes.of_file(entry))

    def _give(self, request: Request, found: Any) -> None:
        request.give_attributes(found, self._options.attribute_seconds)


def _about(node: Node) -> About:
    return About("getattr", f"/{node.entry.name}")
