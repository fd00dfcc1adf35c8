"""What desktops do with a mount: look for names that nobody has, and ask whether it is remote."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, empirical_mount, environment, run, said, wait_until

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
        (report,) = json.loads(empirical_mount("--status", "--json", mounted.path).stdout)
        assert report["resources"] == 1
        assert os.listdir(mounted.path) == ["a"]  # noqa: PTH208 - as a desktop does
        empirical_mount("-u", mounted.path)


def test_dragged_out(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """What a file manager copies out is the file, with its date."""
    content = os.urandom(300_000)
    moment = project.put("b.bin", content).stat().st_mtime
    with mount() as mounted:
        run("gio", "copy", "--preserve", mounted / "b.bin", tmp_path / "copy.bin")
    assert (tmp_path / "copy.bin").read_bytes() == content
    assert (tmp_path / "copy.bin").stat().st_mtime == pytest.approx(moment, abs=1e-3)


def test_a_link_opens_the_browser(project: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """The page of a link is what the desktop's own opener is asked to open."""
    project.put("Plan.link", b"https://docs.example.org/plan?a=b&c=d")
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text('#!/bin/sh\nprintf "%s" "$*"\n')
    opener.chmod(0o755)
    command = [sys.executable, "-c", "from empirical_fs.cli.open_link import main; main()"]
    with mount() as mounted:
        wanted = environment(PATH=f"{opener.parent}:{os.environ['PATH']}")
        assert (
            run(*command, mounted / "Plan.url", env=wanted).stdout == "https://docs.example.org/plan?a=b&c=d"
        )
        assert "is not a link" in said(run(*command, mounted / "a", env=wanted, check=False))
        assert "cannot read" in said(run(*command, mounted / "missing.url", env=wanted, check=False))
        alone = environment(PATH=str(tmp_path))
        assert "xdg-utils" in said(run(*command, mounted / "Plan.url", env=alone, check=False))
    assert "usage" in said(run(*command, check=False))


def test_a_trash_is_not_made(project: Sandbox, mount: Mount) -> None:
    """What a file manager would make to delete a file, it is told that it cannot."""
    with mount() as mounted:
        with pytest.raises(OSError, match=os.strerror(30)):
            (mounted / ".Trash-0").mkdir()
        done = run("gio", "trash", mounted / "a", check=False)
        assert done.returncode != 0
        assert (mounted / "a").read_bytes() == b"a"
