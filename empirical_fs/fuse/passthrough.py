"""Opens files of the disk cache by passthrough: the kernel reads them by itself, and no read reaches us.

The kernel needs one decision for each inode (fs/fuse/iomode.c in Linux): while a file is open through its
page cache, an open by passthrough fails with EIO, and so does the opposite, and an open with another backing
file. So the first handle of a node decides, and the others follow until all are closed. A RELEASE arrives
after the kernel has left the mode for that handle, so that the next decision is free once the last one has
arrived.

A handle reads the version that it opened, even if that is replaced or evicted: all its bytes are of that one.
"""

import errno
import logging
import threading
from typing import Any, Protocol

from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.nodes import Content, Node

_LASTING = {
    errno.EPERM: "the kernel does not allow it here: CAP_SYS_ADMIN is needed, outside of user namespaces",
    errno.ELOOP: "the file system of the cache is stacked on too many others",
    errno.EOPNOTSUPP: "the file system of the cache cannot be read that way",
    errno.ENOTTY: "the kernel does not know it",
    errno.EINVAL: "the kernel does not know it",
}
"""Why the kernel refuses a file, where it will refuse others, too."""

log = logging.getLogger(__name__)


class Kernel(Protocol):
    """The kernel's numbers of the files that it may read by itself."""

    @property
    def has_passthrough(self) -> bool:
        """Whether it reads files by itself."""

    def open_backing(self, descriptor: int) -> int:
        """Give an open file a number, above 0.

        Raises:
            OSError: the kernel refuses.
        """

    def close_backing(self, number: int) -> None:
        """Give the number up; the file stays open where it is in use.

        Raises:
            OSError: the kernel refuses.
        """


class Passthrough:
    """Decides for each node, at its first open, whether the kernel reads it by itself; counts the handles.

    The lock guards each decision together with the count of handles, so that the two fit; it is held while
    the kernel takes a number, which does not block. It also guards the other fields.
    """

    def __init__(self, inodes: InodeTable, kernel: Kernel, refused: str | None) -> None:
        """Count the handles in `inodes`; `refused` says why the kernel is not asked, None if it is."""
        self._inodes = inodes
        self._kernel = kernel
        self._refused = refused
        self._lock = threading.Lock()
        self._open = self._opened = 0

    @property
    def reason(self) -> str | None:
        """Why no file is opened by passthrough; None if files are."""
        if self._refused is None and not self._kernel.has_passthrough:
            return "the kernel does not have it"
        return self._refused

    def report(self) -> dict[str, Any]:
        """The state for `--status`: why it is off, and how many handles are open by it now, and ever were."""
        with self._lock:
            return {"off_because": self.reason, "open": self._open, "opened": self._opened}

    def is_to_be_decided(self, node: Node) -> bool:
        """Whether an open of the node should find out if there is a file that the kernel may read."""
        return not node.handles and self.reason is None

    def open(self, node: Node, content: Content | None, descriptor: int | None) -> bool:
        """Open a handle on a node to read `content`; False if the node has another content.

        The kernel's number of the file to read is in `node.backing` until the handle is closed, or 0.

        Args:
            node: the node.
            content: what the handle reads.
            descriptor: an open file that has all of the content; None if there is none.
        """
        with self._lock:
            made = 0
            if descriptor is not None and not node.handles:
                made = self._made(descriptor)
            try:
                is_open = self._inodes.open(node, content, made)
            except BaseException:
                self._close(made)
                raise
            if not is_open:
                self._close(made)
            elif node.backing:
                self._open += 1
                self._opened += 1
            return is_open

    def close(self, node: Node) -> None:
        """Note that a handle is closed."""
        with self._lock:
            if node.backing:
                self._open -= 1
            unneeded = self._inodes.release(node)
        self._close(unneeded)

    def _made(self, descriptor: int) -> int:
        """The kernel's number of a file, or 0 if it refuses. The lock is held."""
        try:
            return self._kernel.open_backing(descriptor)
        except OSError as error:
            number = error.errno or errno.EIO
            if number in _LASTING and self._refused is None:
                self._refused = _LASTING[number]
                log.info("files are not opened by kernel passthrough: %s", self._refused)
            else:
                log.debug("the kernel takes no file for passthrough: %s", error)
            return 0

    def _close(self, number: int) -> None:
        if not number:
            return
        try:
            self._kernel.close_backing(number)
        except OSError as error:
            log.debug("the kernel keeps the number of a file: %s", error)
