"""The table of calls on a mount, beside the same table on ext4 that is mounted `-o ro`."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.models.calls.table import FILES
from tests.support.harness import Mounted, Sandbox, environment, run, wait_until

NOBODY = 65534
USERS = (0, NOBODY)
Outcomes = Mapping[int, Mapping[str, str]]
UMASKS = ("022", "077")
"""With the second one, only the owner may read."""

_TOP = Path(__file__).parents[3]
_DATE = 1_600_000_000
_IMAGE_MIB = 4


@dataclass(frozen=True)
class Deliberate:
    """Calls that come to something else here, as patterns, and why that is right."""

    call: str
    kind: str
    here: str
    why: str


DELIBERATE = (
    Deliberate(
        "getxattr (security|trusted|system[.]posix_acl).*",
        ".*",
        "ENOTSUP",
        "there are attributes of users alone, and this tells programs to ask for no others",
    ),
    Deliberate("get(flags|version)", ".*", "ENOTTY", "no file has flags that lsattr shows, or a version"),
    Deliberate(
        "lseek .* 4611686018427387904", ".*", "OK.*", "a resource may have 2^63-1 bytes, an ext4 file 2^44"
    ),
    Deliberate(
        "lseek SEEK_(END|DATA|HOLE) .*",
        "the root.*",
        "OK|EINVAL|ENXIO",
        "places in this directory are its files', and it is 0 bytes large; in ext4 they are hashes",
    ),
)


@dataclass(frozen=True)
class Difference:
    """One call that comes to something else here than there."""

    call: str
    kind: str
    user: int
    here: str
    there: str

    @property
    def is_deliberate(self) -> bool:
        return any(
            re.fullmatch(each.call, self.call)
            and re.fullmatch(each.kind, self.kind)
            and re.fullmatch(each.here, self.here)
            for each in DELIBERATE
        )

    def __str__(self) -> str:
        return f"{self.call} | {self.kind} | uid {self.user}: {self.here:.70}, on ext4 {self.there:.70}"


def why_not() -> str | None:
    """Why ext4 cannot be mounted beside; None if it can."""
    if os.getuid() != 0:
        return "only root mounts an image"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is missing (e2fsprogs)"
    if subprocess.run(["losetup", "--find"], capture_output=True, check=False).returncode != 0:
        return "there are no loop devices"
    return None


def fill(sandbox: Sandbox) -> None:
    """Upload what the calls are made on."""
    for number, (name, content) in enumerate(FILES.items()):
        sandbox.put(os.fsdecode(name), content, _DATE + number)


def options(umask: str) -> tuple[str, ...]:
    """Those of a mount that every user may look into."""
    return ("-o", f"allow_other,umask={umask}", "--refresh", "1000")


@contextmanager
def ext4_like(mount: Mounted, folder: Path) -> Iterator[Path]:
    """An ext4 that holds what `mount` holds, mounted read-only below `folder`, where nothing is left."""
    with ext4_image(folder) as (image, path):
        with image_mounted(image, path, "loop"):
            (path / "lost+found").rmdir()
            _copy(mount.path, path)
        with image_mounted(image, path, "loop,ro,nosuid,nodev"):
            yield path


@contextmanager
def ext4_image(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An image of an empty ext4 file system, and a directory to mount it on; nothing is left of either."""
    image, path = folder / "ext4.img", folder / "ext4"
    with image.open("wb") as file:
        file.truncate(_IMAGE_MIB * 2**20)
    path.mkdir()
    run("mkfs.ext4", "-q", "-O", "^has_journal", "-I", "256", image)
    try:
        yield image, path
    finally:
        path.rmdir()
        image.unlink()


def outcomes(directory: Path, most_flags: int) -> Outcomes:
    """What all calls come to in a directory, for each user."""
    return {user: _outcomes(directory, user, most_flags) for user in USERS}


def differences(here: Outcomes, there: Outcomes) -> tuple[int, list[Difference]]:
    """How many outcomes were compared, and those that are not the same although they should be."""
    compared, found = 0, []
    for user in USERS:
        ours, theirs = here[user], there[user]
        assert ours.keys() == theirs.keys()
        compared += len(ours)
        for what in ours:
            if ours[what] != theirs[what]:
                call, kind = what.split(" | ")
                found.append(Difference(call, kind, user, ours[what], theirs[what]))
    return compared, [each for each in found if not each.is_deliberate]


def _outcomes(directory: Path, user: int, most_flags: int) -> Mapping[str, str]:
    command = (sys.executable, "-m", "tests.models.calls.table", directory, str(user), str(most_flags))
    said: dict[str, str] = json.loads(run(*command, cwd=_TOP, timeout=1200).stdout)
    return said


@contextmanager
def image_mounted(image: Path, path: Path, options: str) -> Iterator[None]:
    """Mount the image, and unmount it in the end."""
    command = ("mount", "-t", "ext4", "-o", options, image, path)

    def is_mounted() -> bool:
        # Two programs that look for a free loop device at once may choose the same one.
        done = run(*command, check=False, env=environment())
        assert done.returncode == 0 or "already mounted or mount point busy" in done.stderr, done.stderr
        return done.returncode == 0

    wait_until(is_mounted, f"{image} on a loop device")
    try:
        yield
    finally:
        run("umount", path)


def _copy(source: Path, target: Path) -> None:
    """Contents, attributes and extended attributes, of the directory too."""
    for each in source.iterdir():
        copy = target / each.name
        copy.write_bytes(each.read_bytes())
        shutil.copystat(each, copy)
    shutil.copystat(source, target)
