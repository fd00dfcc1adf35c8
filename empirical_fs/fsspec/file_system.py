"""The files of a project as a file system of fsspec."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, tokenize

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.engine.handed_listing import HandedListing
from empirical_fs.engine.open_file import OpenFile
from empirical_fs.engine.project import Project, version_of
from empirical_fs.engine.ranges import NEAR, Span, Wanted, read_span, read_spans
from empirical_fs.errors import ContentChanged
from empirical_fs.fsspec.copying import Pair, copy_to, destinations, grouped, write_contents
from empirical_fs.fsspec.entries import created_ns, info, time
from empirical_fs.fsspec.local_files import replacing
from empirical_fs.fsspec.open_files import EmpiricalFile
from empirical_fs.fsspec.options import parsed
from empirical_fs.fsspec.per_process import PerProcess
from empirical_fs.fsspec.read_only import ReadOnlyFileSystem, check_mode
from empirical_fs.work.parallel import in_parallel

_PREFIX = "empirical://"
_FILES_AT_ONCE = 16


class EmpiricalFileSystem(ReadOnlyFileSystem):
    """The files of one project, in one flat folder that nobody can write to."""

    protocol = "empirical"
    root_marker = ""

    def __init__(self, *, profile: str | None = None, **options: Any) -> None:
        """Check the options; nothing is requested before the first use.

        Args:
            profile: the profile of the configuration file.
            options: `api_url`, `key_file`, `refresh`, `cache`, `cache_dir` and `memory`, with the meaning and
                the defaults of the options of a mount.

        Raises:
            ValueError: an option is unknown, is a secret, or has no valid value.
        """
        self._here = PerProcess(parsed(options), profile)
        super().__init__()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return os.fspath(path).removeprefix(_PREFIX).strip("/")

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a name.

        The URLs of files begin with that of the root and a slash, as `fsspec.generic.rsync` needs.
        """
        name = self._strip_protocol(name)
        return f"{_PREFIX}/{name}" if name else _PREFIX

    @property
    def _fs_token(self) -> str:
        # fsspec's has the process and the thread in it; these do not matter.
        token: str = tokenize(type(self), self.storage_options)
        return token

    @property
    def fsid(self) -> str:
        """The same for all who read the same project."""
        with self.translated():
            project = self._project()
            return f"empirical-{sha256(repr(project.identity).encode()).hexdigest()[:32]}"

    # Finding files

    def ls(self, path: Any, detail: bool = True, *, refresh: bool = False, **_: Any) -> Any:  # noqa: FBT001, FBT002 - as fsspec has it
        """The files, or the one file; with `detail`, what `info` tells of each. `refresh` fetches the list.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the listing could not be fetched.
        """
        if refresh:
            self.invalidate_cache()
        found = self._entries(self._strip_protocol(path))
        return [info(each) for each in found] if detail else [each.name for each in found]

    def info(self, path: Any, **_: Any) -> dict[str, Any]:
        """The name, the size in bytes, the type, the id of the resource, and the times, of a file.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the listing could not be fetched.
        """
        name = self._strip_protocol(path)
        if not name:
            return {"name": "", "size": 0, "type": "directory"}
        return info(self._entry(name))

    def exists(self, path: Any, **_: Any) -> bool:
        """Whether there is such a file.

        Raises:
            OSError: the listing could not be fetched.
        """
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: Any) -> bool:
        """Whether there is such a file.

        Raises:
            OSError: the listing could not be fetched.
        """
        return self._is_a("file", path)

    def isdir(self, path: Any) -> bool:
        """Whether it is the root.

        Raises:
            OSError: the listing could not be fetched.
        """
        return self._is_a("directory", path)

    def walk(
        self,
        path: Any,
        maxdepth: int | None = None,
        topdown: bool = True,  # noqa: FBT001, FBT002 - as fsspec has it
        on_error: Any = "omit",
        **options: Any,
    ) -> Iterator[Any]:
        """As fsspec has it, but a listing that cannot be fetched is not taken for an empty folder.

        Raises:
            OSError: the listing could not be fetched, and `on_error` is no function.
        """
        on_error = _raise_unless_missing if on_error == "omit" else on_error
        return super().walk(path, maxdepth, topdown, on_error, **options)  # type: ignore[no-any-return]

    def find(
        self,
        path: Any,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - as fsspec has it
        detail: bool = False,  # noqa: FBT001, FBT002 - as fsspec has it
        **_: Any,
    ) -> Any:
        """All files below the root, or the one file; with `detail`, what `info` tells of each by its name.

        Raises:
            OSError: the listing could not be fetched.
        """
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        try:
            found = sorted(self._entries(self._strip_protocol(path)), key=lambda each: each.name)
        except FileNotFoundError:
            found = []
        return {each.name: info(each) for each in found} if detail else [each.name for each in found]

    def created(self, path: Any) -> datetime:
        """When the resource was created.

        Raises:
            NotImplementedError: the API does not tell.
        """
        at = created_ns(self._entry(self._strip_protocol(path)))
        if at is None:
            raise NotImplementedError("the API does not tell when this file was created")
        return time(at)

    def modified(self, path: Any) -> datetime:
        """When the resource was changed; 1970 if the API does not tell."""
        name = self._strip_protocol(path)
        if name:
            return time(self._entry(name).resource.updated_ns)
        with self.translated():
            return time(self._project().snapshot().updated_ns)

    def ukey(self, path: Any) -> str:
        """What tells this version of the file from others; it changes with the content or the date."""
        return version_of(self._entry(self._strip_protocol(path)))

    def checksum(self, path: Any) -> int:
        """The `ukey` as a number."""
        return int(self.ukey(path), 16)

    def invalidate_cache(self, path: Any = None) -> None:
        """Have the listing fetched again; the next access waits for it."""
        with self.translated():
            self._project().forget()

    # Reading

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,  # noqa: FBT001, FBT002 - as fsspec has it
        cache_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> "EmpiricalFile":
        check_mode(path, mode)
        return EmpiricalFile(self, path, block_size, cache_options=cache_options, **options)

    def cat_file(self, path: Any, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or of a slice of it."""
        name = self._strip_protocol(path)
        with self.translated(name):
            return read_span(self._project_of(name), name, Span(start, end))

    def tail(self, path: Any, size: int = 1024) -> bytes:
        """The last `size` bytes of a file."""
        return self.cat_file(path, -size) if size > 0 else b""

    def cat_ranges(
        self,
        paths: list[Any],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """The bytes of many slices, each or, with `on_error="return"`, the exception in its place.

        Slices of a file with at most `max_gap` bytes between them are fetched together.
        """
        if not isinstance(paths, list):
            raise TypeError("paths must be a list")
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(starts) == len(ends):
            raise ValueError("paths, starts and ends must have the same length")
        names = [self._strip_protocol(each) for each in paths]
        wanted = [Wanted(*each) for each in zip(names, map(Span, starts, ends), strict=True)]
        found = self._read(wanted, NEAR if max_gap is None else max_gap)
        if on_error != "return":
            _raise_first(found)
        return found

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **_: Any) -> Any:  # noqa: FBT001, FBT002 - as fsspec has it
        """The bytes of a file, or those of several by their names."""
        names = self.expand_path(path, recursive=recursive)
        if len(names) == 1 and not isinstance(path, list) and names[0] == self._strip_protocol(path):
            return self.cat_file(names[0])
        names = [each for each in names if each or len(names) == 1]
        found = self._read([Wanted(each, Span()) for each in names])
        if on_error == "raise":
            _raise_first(found)
        pairs = zip(names, found, strict=True)
        return {name: it for name, it in pairs if on_error == "return" or isinstance(it, bytes)}

    def get_file(
        self,
        rpath: Any,
        lpath: Any = None,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **_: Any,
    ) -> None:
        """Copy a file to a local one, which is replaced once all is there; `callback` is told the bytes."""
        name = self._strip_protocol(rpath)
        if outfile is None and isfilelike(lpath):
            outfile = lpath
        if outfile is not None:
            self._copy(name, outfile, callback)
            return
        target = Path(os.fspath(lpath))
        if not name:
            target.mkdir(parents=True, exist_ok=True)
            return
        self._entry(name)  # if there is none, nothing is made
        with replacing(target) as file:
            self._copy(name, file, callback)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,  # noqa: FBT001, FBT002 - as fsspec has it
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **_: Any,
    ) -> None:
        """Copy files to local ones, several at once; `callback` is told how many are done."""
        pairs = self._pairs(rpath, lpath, recursive=recursive, maxdepth=maxdepth)
        callback.set_size(len(pairs))
        with self.translated():
            small, others = grouped(pairs, self._project().latest.by_name)
        for some in small:
            contents = self._read([Wanted(name, Span()) for name, _ in some])
            _raise_first(contents)
            write_contents(some, contents, callback)

        def one(pair: Pair) -> None:
            with callback.branched(*pair) as child:
                self.get_file(*pair, callback=child)

        for _done in in_parallel(one, others, _FILES_AT_ONCE):
            callback.relative_update(1)

    # The project

    def opened(self, name: str, version: str | None = None) -> tuple[OpenFile, Entry]:
        """Open a file, and what it was when it was opened; with `version`, only that one.

        Raises:
            OSError: it cannot be opened; ESTALE if it is another version by now.
        """
        with self.translated(name):
            project = self._project_of(name)
            entry = project.to_open(name)
            if version not in (None, version_of(entry)):
                raise ContentChanged("it is another version")
            return OpenFile(project, entry), entry

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What makes it in another process: the options, and the listing that this process has fetched."""
        return _made_again, (type(self), self.storage_args, self.storage_options, self._here.to_hand())

    def take_over(self, handed: HandedListing) -> None:
        """Read by a listing that another process has fetched, unless ours is as new."""
        self._here.take_over(handed)

    def translated(self, name: str | None = None) -> AbstractContextManager[None]:
        """As `PerProcess.translated`."""
        return self._here.translated(name)

    def _project(self) -> Project:
        return self._here.project()

    def _project_of(self, name: str) -> Project:
        if not name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), _PREFIX)
        return self._project()

    def _entry(self, name: str) -> Entry:
        with self.translated(name):
            return self._project_of(name).find(name)

    def _is_a(self, kind: str, path: Any) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except FileNotFoundError:
            return False

    def _entries(self, name: str) -> Sequence[Entry]:
        if name:
            return [self._entry(name)]
        with self.translated():
            project = self._project()
            return project.all_sized(project.snapshot().in_order)

    def _read(self, wanted: Sequence[Wanted], gap: int = NEAR) -> list[Any]:
        with self.translated():
            project = self._project()
            found = read_spans(project, wanted, gap)
        return [
            each if isinstance(each, bytes) else self._here.os_error(each, what.name)
            for each, what in zip(found, wanted, strict=True)
        ]

    def _pairs(self, rpath: Any, lpath: Any, *, recursive: bool, maxdepth: int | None) -> list[Pair]:
        if isinstance(rpath, list) and isinstance(lpath, list):
            return destinations(self._strip_protocol(rpath), lpath, is_one=False)
        found = self.expand_path(rpath, recursive=recursive, maxdepth=maxdepth)
        names = [name for name in found if name]
        is_one = not isinstance(rpath, list) and names == [self._strip_protocol(rpath)]
        return destinations(names, lpath, is_one=is_one)

    def _copy(self, name: str, file: BinaryIO, callback: Any) -> None:
        with self.translated(name):
            copy_to(self._project_of(name), name, file, callback)


def _made_again(
    cls: type[EmpiricalFileSystem],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    handed: HandedListing | None,
) -> EmpiricalFileSystem:
    one = cls(*args, **options)
    if handed is not None:
        one.take_over(handed)
    return one


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _raise_first(found: Sequence[Any]) -> None:
    for each in found:
        if isinstance(each, BaseException):
            raise each
