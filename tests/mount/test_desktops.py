"""What desktops do with a mount: look for names that nobody has, and ask whether it is remote."""

import json
import os

import pytest

from tests.conftest import Mount
from tests.harness import Sandbox, mount_command, run, wait_until

PROBES = (".Trash", ".Trash-1000", ".hidden", "autorun.inf", ".~lock.Plan.odt#", ".DS_Store", "._a", ".git")


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("a", b"a")
    return sandbox


def test_probes_cost_no_request(project: Sandbox, mount: Mount) -> None:
    """What file managers look for everywhere is not there, which costs nothing; nor does `df`."""
    with mount() as mounted:
        project.forget_requests()
        for name in PROBES * 10:
            with pytest.raises(FileNotFoundError):
                (mounted / name).stat()
        run("df", mounted.path)
        assert project.requests()["log"] == []


def test_an_idle_desktop(project: Sandbox, mount: Mount) -> None:
    """Who asks for the free space again and again, as desktops do, keeps no listing up to date."""
    with mount("--refresh", "0.05") as mounted:
        begun = project.requests()["list"]
        for _ in range(200):
            os.statvfs(mounted.path)
        assert project.requests()["list"] == begun
        mounted.names()
        wait_until(lambda: project.requests()["list"] > begun, "a refresh for who looks")


def test_a_resource_with_such_a_name(project: Sandbox, mount: Mount) -> None:
    """A resource that is called so is there like any other."""
    project.put("autorun.inf", b"[autorun]")
    project.patch(project.id_of("a"), name=".DS_Store")
    with mount() as mounted:
        assert (mounted / "autorun.inf").read_bytes() == b"[autorun]"
        assert (mounted / ".DS_Store").read_bytes() == b"a"


def test_remote(project: Sandbox, mount: Mount) -> None:
    """A mount that goes as one of sshfs, which desktops take for remote, is ours in every other way."""
    with mount("-o", "remote") as mounted:
        line = run("findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", mounted.path).stdout.split()
        assert line[0] == "fuse.sshfs"
        assert line[1].startswith("empirical:127.0.0.1")
        (report,) = json.loads(run(*mount_command("--status", "--json", mounted.path)).stdout)
        assert report["resources"] == 1
        assert os.listdir(mounted.path) == ["a"]  # noqa: PTH208 - as a desktop does
        run(*mount_command("-u", mounted.path))


def test_a_trash_is_not_made(project: Sandbox, mount: Mount) -> None:
    """What a file manager would make to delete a file, it is told that it cannot."""
    with mount() as mounted:
        with pytest.raises(OSError, match=os.strerror(30)):
            (mounted / ".Trash-0").mkdir()
        done = run("gio", "trash", mounted / "a", check=False)
        assert done.returncode != 0
        assert (mounted / "a").read_bytes() == b"a"
