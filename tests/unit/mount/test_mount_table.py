"""The table of mounts is read whatever the paths in it."""

import errno
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.mount.mount_table import HeldTable, Mount, mount_at, parse_mountinfo

LINE = "36 35 98:0 /mnt1 {path} rw,noatime master:1 - {kind} /dev/root rw,errors=continue\n"
PATHS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(
    "/".__add__
)


def escaped(path: str) -> str:
    """As the kernel writes it: space, tab, newline and backslash as octal digits, the rest as it is."""
    return "".join(f"\\{ord(c):03o}" if c in " \t\n\\" else c for c in path)


@given(st.lists(st.tuples(PATHS, st.sampled_from(["ext4", "fuse.empirical-mount"])), max_size=4))
def test_every_path(mounts: list[tuple[str, str]]) -> None:
    """Whatever a mount point is called, also somebody else's, the table is read right."""
    text = "".join(LINE.format(path=escaped(path), kind=kind) for path, kind in mounts)
    assert parse_mountinfo(text) == [Mount(path, kind, "/dev/root", "98:0") for path, kind in mounts]


@pytest.mark.parametrize("character", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_line_separators_in_a_path(character: str) -> None:
    """What Python takes for the end of a line but the kernel does not is a part of the path."""
    text = LINE.format(path=f"/a{character}b", kind="ext4")
    assert parse_mountinfo(text) == [Mount(f"/a{character}b", "ext4", "/dev/root", "98:0")]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/a\\040b", "/a b"),
        ("/a\\134040", "/a\\040"),
        ("/a\\134134", "/a\\134"),
        ("/\\011\\012", "/\t\n"),
        ("/a-b", "/a-b"),
    ],
)
def test_escapes(written: str, path: str) -> None:
    """An escape stands for its character, and an escaped backslash begins no other escape."""
    assert parse_mountinfo(LINE.format(path=written, kind="x")) == [Mount(path, "x", "/dev/root", "98:0")]


def test_optional_fields() -> None:
    """The optional fields before the dash may be none or several."""
    text = (
        "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "26 25 0:5 / /m rw shared:2 master:1 propagate_from:3 - fuse.empirical-mount empirical:x ro\n"
    )
    assert parse_mountinfo(text) == [
        Mount("/", "ext4", "/dev/sda1", "8:1"),
        Mount("/m", "fuse.empirical-mount", "empirical:x", "0:5"),
    ]


@pytest.mark.parametrize(
    ("kind", "source", "is_ours"),
    [
        ("fuse.empirical-mount", "x=y", True),
        ("fuse.sshfs", "empirical:dash.empirical.run", True),
        ("fuse.sshfs", "me@host:/", False),
        ("ext4", "empirical:x", False),
    ],
)
def test_whose_mount_it_is(kind: str, source: str, is_ours: bool) -> None:  # noqa: FBT001
    """Ours by its type, or by its source where it goes as one of sshfs."""
    assert Mount("/m", kind, source, "0:5").is_ours == is_ours


def test_the_machines_own_table() -> None:
    """The root of this machine is a mount that is not ours, and a fresh directory is none."""
    root = mount_at(Path("/"))
    assert root is not None
    assert not root.is_ours


def test_no_descriptor_is_left() -> None:
    """A table that was opened in time is read all the same, as it is by then."""
    mount, table = mount_at(Path("/proc")), HeldTable()
    assert mount is not None
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            mount_at(Path("/proc"))
        assert [table.has(mount), table.has(replace(mount, device="0:0")), table.has(mount)] == [
            True,
            False,
            True,
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
