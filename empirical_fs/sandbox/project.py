"""Presents the files of a folder as the resources of a project. Knows nothing about HTTP."""

import hashlib
import mimetypes
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from empirical_fs.sandbox.digits import whole_number
from empirical_fs.sandbox.sidecar import Fields, Sidecar

_LINK_SUFFIX = ".link"
_LINK_LIMIT = 64 * 1024
_PROJECT_ID = 4
_SECOND_NS = 10**9
_OFFICE = "application/vnd.openxmlformats-officedocument"


class NoSuchResource(Exception):
    """The project has no such resource, or the resource has no object."""


@dataclass(frozen=True, slots=True)
class Item:
    """One resource as last seen on disk; `number` and `created_ns` are from when it was first seen."""

    number: int
    path: str
    size: int
    mtime_ns: int
    created_ns: int
    target: str | None
    """The URL of a link resource; None for an upload."""

    @property
    def name(self) -> str:
        """The name shown: the file's, with bytes that are not UTF-8 replaced, since JSON cannot hold them."""
        name = self.path.rpartition("/")[2]
        if self.target is not None:
            name = name.removesuffix(_LINK_SUFFIX)
        return os.fsencode(name).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object's open file: its content stays the same if the file is replaced by a rename."""

    file: FileIO
    size: int
    mtime_ns: int
    etag: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class _Patch:
    changes: Fields
    moment_ns: int


class ProjectFolder:
    """The resources of a folder: every regular file below it that is not hidden (by a dot).

    A file gets its number when it is first seen, from 1, in the order of paths; a path keeps its number. A
    file `X.link` that contains an http(s) URL is a link resource X. The sidecar file overrides fields.
    """

    def __init__(self, root: Path) -> None:
        """Scan the directory `root`.

        Raises:
            BadSidecar: its sidecar file cannot be read.
        """
        self._root = root
        self._sidecar = Sidecar(root)
        self._types = _mime_types()
        self._known: dict[str, Item] = {}
        self._paths: list[str] = []
        self._patches: dict[str, _Patch] = {}
        self._listing: list[Item] = []
        self._scan_cost_s = 0.0
        self._scanned_at = 0.0
        self._scan()

    def listing(self, *, fresh: bool) -> list[Item]:
        """All resources, newest first; `fresh` forces a new scan.

        Raises:
            BadSidecar: the sidecar file cannot be read.
        """
        # The pages of one listing may share a scan, but a scan is never older than twice the time that a new
        # one takes: in a small folder a change shifts the later pages at once, as in the real service.
        if fresh or time.monotonic() - self._scanned_at > 2 * self._scan_cost_s:
            self._scan()
        return self._listing

    def find(self, shown_id: str) -> Item:
        """The resource whose `id` field, as text, is `shown_id`, as it is on disk now.

        Raises:
            NoSuchResource: there is none.
            BadSidecar: the sidecar file cannot be read.
        """
        self._sidecar.refresh()
        for path in self._sidecar.paths_with_id(shown_id):
            if path in self._known:
                return self._current(path)
        number = whole_number(shown_id)
        if number is None:
            raise NoSuchResource(shown_id)
        if number > len(self._paths):
            self._scan()
        path = self._path(number)
        if "id" in self._sidecar.fields(path):
            raise NoSuchResource(shown_id)
        return self._current(path)

    def shown_id(self, number: int) -> Any:
        """The `id` field of resource `number`.

        Raises:
            NoSuchResource: no resource has had that number.
        """
        return self._sidecar.fields(self._path(number)).get("id", number)

    def fields(self, item: Item, url: str) -> Fields:
        """The resource's fields as the API shows them; `url` is its signed URL, or the link."""
        uploaded = item.target is None
        return {
            "id": item.number,
            "project_id": _PROJECT_ID,
            "name": item.name,
            "url": url,
            "description": None,
            "mime_type": self._mime_type(item.path) if uploaded else None,
            "size_bytes": item.size if uploaded else None,
            "status": "uploaded",
            "created_by": "sandbox",
            "created_at": _rfc3339(item.created_ns),
            "updated_at": _rfc3339(item.mtime_ns),
            **self._sidecar.fields(item.path),
            **self._patched(item),
        }

    def patch(self, item: Item, changes: Fields, now_ns: int) -> None:
        """Override fields of a resource from now on; its content and its ETag do not change.

        `updated_at` becomes `now_ns`, in nanoseconds since the epoch, unless the file is or becomes newer.
        """
        earlier = self._patches.get(item.path, _Patch({}, now_ns))
        self._patches[item.path] = _Patch({**earlier.changes, **changes}, now_ns)

    def open_object(self, number: int) -> OpenObject:
        """Open the current file of an upload; the caller closes it.

        Raises:
            NoSuchResource: there is no upload with that number.
        """
        path = self._path(number)
        if self._known[path].target is not None:
            raise NoSuchResource(path)
        try:
            file = FileIO(self._root / path, opener=_open_no_link)
        except OSError as error:
            raise NoSuchResource(path) from error
        status = os.fstat(file.fileno())
        identity = os.fsencode(f"{path}\0{status.st_mtime_ns}\0{status.st_size}")
        return OpenObject(
            file=file,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            etag=f'"{hashlib.blake2b(identity, digest_size=16).hexdigest()}"',
            mime_type=self._mime_type(path),
        )

    def _patched(self, item: Item) -> Fields:
        patch = self._patches.get(item.path)
        if patch is None:
            return {}
        return {**patch.changes, "updated_at": _rfc3339(max(patch.moment_ns, item.mtime_ns))}

    def _path(self, number: int) -> str:
        if not 1 <= number <= len(self._paths):
            raise NoSuchResource(str(number))
        return self._paths[number - 1]

    def _current(self, path: str) -> Item:
        try:
            status = os.lstat(self._root / path)
        except OSError as error:
            raise NoSuchResource(path) from error
        if not stat.S_ISREG(status.st_mode):
            raise NoSuchResource(path)
        return self._seen(path, status)

    def _mime_type(self, path: str) -> str:
        return self._types.guess_type(path)[0] or "application/octet-stream"

    def _scan(self) -> None:
        started = time.monotonic()
        self._sidecar.refresh()
        files = dict(_regular_files(self._root))
        for path in sorted(files.keys() - self._known.keys()):
            self._paths.append(path)
            self._known[path] = self._new(path, files[path])
        items = [self._seen(path, status) for path, status in files.items()]
        items.sort(key=lambda item: (item.created_ns, item.number), reverse=True)
        self._listing = items
        self._scanned_at = time.monotonic()
        self._scan_cost_s = self._scanned_at - started

    def _new(self, path: str, status: os.stat_result) -> Item:
        return Item(
            number=len(self._paths),
            path=path,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            created_ns=status.st_mtime_ns,
            target=self._link_target(path),
        )

    def _seen(self, path: str, status: os.stat_result) -> Item:
        item = self._known[path]
        if item.mtime_ns != status.st_mtime_ns or item.size != status.st_size:
            item = replace(
                item, size=status.st_size, mtime_ns=status.st_mtime_ns, target=self._link_target(path)
            )
            self._known[path] = item
        return item

    def _link_target(self, path: str) -> str | None:
        if not path.endswith(_LINK_SUFFIX):
            return None
        try:
            with (self._root / path).open("rb") as file:
                text = file.read(_LINK_LIMIT).decode(errors="replace").strip()
        except OSError:  # it was deleted or became unreadable meanwhile: treat it as an upload
            return None
        return text if text.startswith(("http://", "https://")) else None


def _regular_files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(root / prefix))
        except FileNotFoundError:  # the folder was deleted during the scan
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                try:
                    yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # the file was deleted during the scan
                    continue


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _rfc3339(moment_ns: int) -> str:
    seconds, nanoseconds = divmod(moment_ns, _SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='seconds')}.{nanoseconds // 1000:06}Z"


def _mime_types() -> mimetypes.MimeTypes:
    # Only Python's built-in table, not the system's, so that the types are the same on every machine.
    types = mimetypes.MimeTypes()
    types.add_type(f"{_OFFICE}.wordprocessingml.document", ".docx")
    types.add_type(f"{_OFFICE}.spreadsheetml.sheet", ".xlsx")
    types.add_type(f"{_OFFICE}.presentationml.presentation", ".pptx")
    return types
