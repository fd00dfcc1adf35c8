"""Extended attributes on a real mount: what the API says of a resource, read and copied by real programs."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, run

pytestmark = pytest.mark.both_libraries

FIELDS: dict[str, Any] = {
    "mime_type": "text/markdown",
    "description": "Notes: naïve, «quoted»\nand a second line",
    "project_id": 4,
    "created_by": "someone",
    "access_level": "project",
    "name": "notes.md",
}
NAMES = {
    "user.mime_type": "mime_type",
    "user.xdg.comment": "description",
    "user.empirical.project_id": "project_id",
    "user.empirical.created_by": "created_by",
    "user.empirical.created_at": "created_at",
    "user.empirical.updated_at": "updated_at",
    "user.empirical.access_level": "access_level",
    "user.empirical.id": "id",
    "user.empirical.status": "status",
    "user.empirical.name": "name",
}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A described file `notes.md`, and `plain.bin`, of which the API says as little as it may."""
    sandbox.put("notes.md", b"# Notes\n")
    sandbox.put("plain.bin", b"\0")
    silence = dict.fromkeys(("mime_type", "description", "created_by", "project_id"))
    sandbox.override({"notes.md": FIELDS, "plain.bin": silence})
    return sandbox


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_what_the_api_says(project: Sandbox, mount: Mount) -> None:
    """Each field that has a name here has its value, and nothing else is there: no URL."""
    (listed,) = (each for each in project.listing() if each["name"] == "notes.md")
    with mount() as mounted:
        assert attributes(mounted / "notes.md") == {
            name: str(listed[field]).encode() for name, field in NAMES.items()
        }
        assert attributes(mounted / "plain.bin").keys() == {
            f"user.empirical.{field}" for field in ("id", "name", "status", "created_at", "updated_at")
        }
        said = run("getfattr", "--only-values", "-n", "user.mime_type", mounted / "notes.md").stdout
        assert said == "text/markdown"
        dump = run("getfattr", "-d", "-m", "-", mounted / "notes.md", mounted / "plain.bin", mounted.path)
        assert "http" not in dump.stdout


def test_copies_keep_them(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """`rsync -X` and `cp` copy them with the file."""
    with mount() as mounted:
        expected = attributes(mounted / "notes.md")
        run("rsync", "-aX", mounted / "notes.md", tmp_path / "by-rsync")
        run("cp", "--preserve=xattr", mounted / "notes.md", tmp_path / "by-cp")
    for name in ("by-rsync", "by-cp"):
        copied = attributes(tmp_path / name)
        assert {each: value for each, value in copied.items() if each.startswith("user.")} == expected


def test_what_is_not_there(project: Sandbox, mount: Mount) -> None:
    """Other attributes are missing, of other kinds unknown, and none can be changed."""
    with mount() as mounted:
        for path in (mounted / "notes.md", mounted.path):
            for name, number in (
                ("user.other", errno.ENODATA),
                ("security.capability", errno.EOPNOTSUPP),
                ("system.posix_acl_access", errno.EOPNOTSUPP),
                ("trusted.other", errno.EOPNOTSUPP),
            ):
                with pytest.raises(OSError, match=os.strerror(number)):
                    os.getxattr(path, name)
            with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
                os.setxattr(path, "user.other", b"")
            with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
                os.removexattr(path, "user.mime_type")
        assert os.listxattr(mounted.path) == []


def test_what_is_no_text(sandbox: Sandbox, mount: Mount) -> None:
    """Values of other types are left out, too long ones are cut, and the file is well."""
    sandbox.put("a", b"a")
    sandbox.override({"a": {"mime_type": ["x"], "description": "é" * 40_000, "created_by": {"id": 1}}})
    with mount() as mounted:
        found = attributes(mounted / "a")
        assert "user.mime_type" not in found
        assert "user.empirical.created_by" not in found
        assert found["user.xdg.comment"] == ("é" * 2**15).encode()
        assert (mounted / "a").read_bytes() == b"a"
