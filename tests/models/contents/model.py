"""A plain model of a project that changes under a mount: what may be listed, and what a read may give.

The mount shows a state that the project had since the last one that was seen, never an older one. A handle
is for one version of one file: the listed one or, until its first bytes are read, a newer one of the same
size, which is all that a listing could tell.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from os.path import splitext

_OPEN_TRIES = 2
"""How often Linux tries to open a file that is said to be stale (do_filp_open)."""


@dataclass(frozen=True)
class Version:
    """One content of one resource."""

    resource: int
    number: int
    content: bytes = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class File:
    """A resource as the API lists it."""

    wanted: str
    version: Version
    updated_ns: int


@dataclass(frozen=True)
class Outcome:
    """What a read came to: the bytes, and the errno that ended it before its time."""

    got: bytes
    error: int | None = None

    def __str__(self) -> str:
        return f"{len(self.got)} bytes" + (
            "" if self.error is None else f" and {errno.errorcode[self.error]}"
        )


Attributes = tuple[int, int]
"""The size and the time of the last change in nanoseconds."""


def shown(files: Mapping[int, File]) -> dict[str, File]:
    """The files by the names that they get: the lowest id keeps its name, the others add theirs to it."""
    named: dict[str, File] = {}
    for resource, file in sorted(files.items()):
        stem, extension = splitext(file.wanted)  # noqa: PTH122 - a name and no path
        named[f"{stem} ({resource}){extension}" if file.wanted in named else file.wanted] = file
    return named


def attributes(file: File | None) -> Attributes | None:
    """What `stat` tells of a file; None for one that is not there."""
    return None if file is None else (file.version.size, file.updated_ns)


class Model:
    """The project in all its states, and which of them the mount may still show."""

    def __init__(self) -> None:
        """An empty project."""
        self.files: dict[int, File] = {}
        self.is_broken = False
        self._shown: list[dict[str, File]] = [{}]
        self._oldest = 0
        self._versions: dict[int, list[Version]] = {}

    def write(self, resource: int, wanted: str | None, content: bytes, updated_ns: int) -> None:
        """A file is uploaded as `wanted`, or its content is replaced."""
        versions = self._versions.setdefault(resource, [])
        versions.append(Version(resource, len(versions), content))
        name = self.files[resource].wanted if wanted is None else wanted
        self._become({**self.files, resource: File(name, versions[-1], updated_ns)})

    def rename(self, resource: int, wanted: str, updated_ns: int) -> None:
        """A file gets another name."""
        renamed = replace(self.files[resource], wanted=wanted, updated_ns=updated_ns)
        self._become({**self.files, resource: renamed})

    def delete(self, resource: int) -> None:
        """A file is no more."""
        self._become({each: file for each, file in self.files.items() if each != resource})

    def now(self) -> dict[str, File]:
        """The files by name as they are."""
        return self._shown[-1]

    def names(self) -> list[str]:
        """Every name that the mount may show."""
        return sorted({name for files in self._visible() for name in files})

    def is_settled(self) -> bool:
        """Whether the mount can show nothing but what is."""
        return self._oldest == len(self._shown) - 1

    def was_like_this(self) -> bool:
        """Whether the project looked as it does now in an older state that the mount may still show."""
        return self.now() in self._visible()[:-1]

    def saw_names(self, names: set[str]) -> None:
        """The directory was listed."""
        self._narrow(lambda files: files.keys() == names, f"the directory has {sorted(names)}")

    def saw_file(self, name: str, seen: Attributes | None) -> None:
        """A path was looked up, and found with these attributes or not at all."""
        self._narrow(lambda files: attributes(files.get(name)) == seen, f"{name} is {seen}")

    def saw_space(self, blocks: int, block: int, files: int) -> None:
        """The file system was asked how large it is, in blocks, and how many files it holds."""

        def fits(listed: Mapping[str, File]) -> bool:
            size = sum(file.version.size for file in listed.values())
            return (-(-size // block), len(listed)) == (blocks, files)

        self._narrow(fits, f"the file system has {blocks} blocks of {block} bytes and {files} files")

    def opened(self, name: str) -> "Handle":
        """A handle that was opened by that name just now."""
        listed = {files[name].version for files in self._visible() if name in files}
        assert listed, f"{name} was opened, which has not existed since {self._states()}"
        return Handle(self, name, listed)

    def is_not_opened(self, name: str, error: int) -> bool:
        """Whether an open may fail so now.

        The store is asked for the size of an empty file. And the kernel tries an open twice: so it fails if
        each time the listing comes to another version between the lookup and the open.
        """
        visible = self._visible()
        if error == errno.ESTALE:
            return len({files[name].version if name in files else None for files in visible}) > _OPEN_TRIES
        may_be_empty = any(files[name].version.size == 0 for files in visible if name in files)
        return error == errno.EIO and self.is_broken and may_be_empty

    def later(self, version: Version) -> set[Version]:
        """The newer versions that a listing which is a little old may stand for."""
        newer = self._versions[version.resource][version.number + 1 :]
        return {each for each in newer if each.size == version.size}

    def is_over(self, version: Version) -> bool:
        """Whether a version was replaced or deleted."""
        file = self.files.get(version.resource)
        return file is None or file.version != version

    def _visible(self) -> list[dict[str, File]]:
        return self._shown[self._oldest :]

    def _become(self, files: dict[int, File]) -> None:
        self.files = files
        self._shown.append(shown(files))

    def _narrow(self, fits: Callable[[Mapping[str, File]], bool], what: str) -> None:
        possible = [number for number, files in enumerate(self._shown) if fits(files)]
        newer = [number for number in possible if number >= self._oldest]
        assert newer, f"{what}: as in states {possible}, not as in {self._states()}"
        self._oldest = newer[0]

    def _states(self) -> str:
        states = enumerate(self._visible(), self._oldest)
        return "; ".join(
            f"{number}: { {name: attributes(file) for name, file in files.items()} }"
            for number, files in states
        )


class Handle:
    """An open file, and the versions that it may be for by all that it has shown."""

    def __init__(self, model: Model, name: str, listed: set[Version]) -> None:
        """Opened as `name` when the mount may have shown any of the versions `listed`."""
        self.name = name
        self._model = model
        self._listed = listed
        self._has_read = False
        self._versions: set[Version] = set()

    @property
    def versions(self) -> set[Version]:
        """The versions that the handle may be for."""
        if self._has_read:
            return self._versions
        return self._listed.union(*map(self._model.later, self._listed))

    @property
    def size(self) -> int:
        """The size of the file, or one that it may have."""
        return min(self.versions, key=lambda version: version.number).size

    @property
    def least_size(self) -> int:
        """The size that the file has at least."""
        return min(version.size for version in self.versions)

    def may_fail(self, error: int) -> bool:
        """Whether a read may fail so now. EFAULT is how a mapping fails, for whatever reason."""
        is_stale = any(map(self._model.is_over, self.versions))
        return {
            errno.ESTALE: is_stale,
            errno.EIO: self._model.is_broken,
            errno.EFAULT: is_stale or self._model.is_broken,
        }.get(error, False)

    def gave(self, outcome: Outcome, offset: int, length: int) -> None:
        """A read of `length` bytes from `offset`, repeated until it was all there, came to this.

        Raises:
            AssertionError: it must not.
        """
        versions = self.versions
        if outcome.error is None:
            fitting = {each for each in versions if each.content[offset:][:length] == outcome.got}
        else:
            assert self.may_fail(outcome.error), self._complaint("it must not fail", outcome, offset, length)
            end = offset + len(outcome.got)
            fitting = {each for each in versions if each.content[offset:end] == outcome.got}
        assert fitting, self._complaint("wrong bytes", outcome, offset, length)
        if outcome.got:
            self._has_read = True
        if self._has_read:
            self._versions = fitting

    def _complaint(self, what: str, outcome: Outcome, offset: int, length: int) -> str:
        lines = [f"{what}: {self.name} read from {offset} for {length} is {outcome}"]
        for each in sorted(self.versions, key=lambda version: (version.resource, version.number)):
            expected = each.content[offset:][:length]
            state = "over" if self._model.is_over(each) else "current"
            lines.append(f"{each} ({each.size} bytes, {state}): {_difference(outcome.got, expected)}")
        everything = [each for versions in self._model._versions.values() for each in versions]
        lines += [
            f"the bytes at {at} are those of {each}"
            for at in range(0, len(outcome.got), 4096)
            for each in everything
            if each not in self.versions
            and len(piece := outcome.got[at : at + 4096]) > 8
            and each.content[offset + at :].startswith(piece)
        ][:10]
        return "\n".join(lines)


def _difference(got: bytes, expected: bytes) -> str:
    at = next((at for at, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), None)
    if at is None:
        return "as expected" if len(got) == len(expected) else f"{len(expected)} bytes expected"
    return f"differs from byte {at} of the read on: {got[at : at + 8]!r}, not {expected[at : at + 8]!r}"
