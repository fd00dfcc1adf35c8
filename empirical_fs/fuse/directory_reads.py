"""Answers reads of the directory: names with inode numbers and types, or with all attributes."""

import ctypes
from collections.abc import Iterator

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.directory import AFTER_PARENT, AFTER_SELF, Directory, cookie_after
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.options import FuseOptions
from empirical_fs.fuse.request import Request

_SELF, _PARENT = b".", b".."


class DirectoryReads:
    """Opens, reads and closes the directory. Its components are thread-safe."""

    def __init__(self, files: Files, library: Library, attributes: Attributes, options: FuseOptions) -> None:
        """List `files`, with structures of `library` and `attributes`."""
        self._inodes = files.inodes
        self._directory = Directory(files.catalog)
        self._library, self._attributes, self._options = library, attributes, options

    def open(self, request: Request) -> None:
        """Answer with the handle of a new listing."""
        opened = self._library.file_info()
        opened.fh = self._directory.open()
        if not request.give_open(opened):
            self._directory.close(opened.fh)

    def close(self, listing: int) -> None:
        """End a listing."""
        self._directory.close(listing)

    def read(self, request: Request, listing: int, size: int, cookie: int) -> None:
        """Answer with the names after `cookie`, with inode numbers and types, as many as fit into `size`."""
        buffer, attributes = ctypes.create_string_buffer(size), self._attributes.blank()
        at = 0
        for name, place, entry in self._listed(listing, cookie):
            self._attributes.fill_name(attributes, entry)
            room = size - at
            taken = self._library.add_entry(
                request.raw, ctypes.byref(buffer, at), room, name, ctypes.byref(attributes), place
            )
            if taken > room:
                break
            at += taken
        request.give_bytes(buffer.raw[:at])

    def read_with_attributes(self, request: Request, listing: int, size: int, cookie: int) -> None:
        """As `read`, with all attributes, which the kernel caches like those of a lookup.

        The attributes of an entry are left out while the kernel has them: otherwise it would ask for all of
        them in the next listing too (fuse_advise_use_readdirplus in Linux). They are also left out where a
        lookup would give others.
        """
        buffer, at, told = ctypes.create_string_buffer(size), 0, []
        for name, place, entry in self._listed(listing, cookie):
            node = None
            if entry is not None and self._is_to_be_told(listing, entry):
                node = self._inodes.tell(entry, self._options.attribute_seconds)
            found = self._attributes.of_node(0 if node is None else node.number, entry)
            room = size - at
            taken = self._library.add_entry_plus(
                request.raw, ctypes.byref(buffer, at), room, name, ctypes.byref(found), place
            )
            if taken > room:
                if node is not None:
                    self._inodes.take_back(node)
                break
            at += taken
            if node is not None:
                told.append(node)
        if not request.give_bytes(buffer.raw[:at]):
            for node in told:
                self._inodes.take_back(node)

    def _listed(self, listing: int, cookie: int) -> Iterator[tuple[bytes, int, Entry | None]]:
        """The names after `cookie`, each with its own cookie and its entry; None for `.` and `..`."""
        if cookie < AFTER_SELF:
            yield _SELF, AFTER_SELF, None
        if cookie < AFTER_PARENT:
            yield _PARENT, AFTER_PARENT, None
        for entry in self._directory.entries(listing, cookie):
            yield entry.name.encode(), cookie_after(entry), entry

    def _is_to_be_told(self, listing: int, entry: Entry) -> bool:
        return (
            entry.is_sized and self._directory.is_latest(listing) and not self._inodes.has_attributes(entry)
        )
