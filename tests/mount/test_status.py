"""What a mount tells of itself, and the listing that it fetches when it is told to."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import Mounted, Sandbox, empirical_mount, noise, opened, said, wait_until

pytestmark = pytest.mark.both_libraries

MIB = 2**20
STALL = {"type": "stall", "after": 1000, "seconds": 600}


def status(mounted: Mounted) -> dict[str, Any]:
    (report,) = json.loads(empirical_mount("--status", "--json", mounted.path).stdout)
    assert isinstance(report, dict)
    return report


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("a.bin", noise(3 * MIB))
    sandbox.put("b.txt", b"b")
    return sandbox


def _is_at_rest(report: dict[str, Any]) -> bool:
    return bool(report["memory_held"]) and not report["requests_in_flight"]["store"]


def test_for_programs(project: Sandbox, mount: Mount) -> None:
    """The report says what is served, and counts what was read, fetched, signed and refused."""
    with mount() as mounted:
        before = status(mounted)
        assert (before["resources"], before["total_size"]) == (2, 3 * MIB + 1)
        assert (before["pid"], before["mountpoint"]) == (mounted.pid, str(mounted.path))
        assert (before["reads"], before["bytes_fetched"], before["errors"]) == (0, 0, {})
        assert (before["out_of_reach"], before["listing_failure"]) == ({}, None)
        assert 0 <= before["listing_age"] <= before["mounted_for"] + 60
        with (mounted / "a.bin").open("rb") as file:
            content = file.read(MIB)
            # Whether the bytes of a read are here already is a race until nothing is on its way.
            wait_until(lambda: _is_at_rest(status(mounted)), "what was fetched ahead")
            content += file.read()
        assert content == noise(3 * MIB)
        after = status(mounted)
        assert after["bytes_fetched"] == 3 * MIB
        assert after["throughput"] > 0
        assert 0 < after["reads_from_memory"] < after["reads"]
        assert after["requests_in_flight"] == {"api": 0, "store": 0}
        assert after["memory_held"] == 0


@pytest.mark.warns("read /b.txt: the store refused the signed URL")
def test_errors_and_signatures_are_counted(project: Sandbox, mount: Mount) -> None:
    """Each operation that fails counts under its errno, and each URL that is signed again."""
    refused = {"on": "object", "action": {"type": "status", "status": 403}}
    project.plan(faults=[refused])
    with mount() as mounted:
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(5)):
                (mounted / "b.txt").read_bytes()
        report = status(mounted)
        assert report["errors"].keys() == {"EIO"}
        assert report["errors"]["EIO"] >= 2
        assert report["urls_signed"] == project.requests()["get"] > 0


def test_what_is_under_way(project: Sandbox, mount: Mount) -> None:
    """A request that waits, and the memory for its bytes, show while they last."""
    project.plan(faults=[{"on": "object", "action": STALL}])
    with mount() as mounted:
        with subprocess.Popen(["cat", mounted / "a.bin"], stdout=subprocess.DEVNULL) as reader:
            wait_until(lambda: status(mounted)["requests_in_flight"]["store"] > 0, "the request")
            assert status(mounted)["memory_held"] > 0
            reader.kill()
        wait_until(lambda: status(mounted)["requests_in_flight"]["store"] == 0, "its end")


@pytest.mark.by_program
def test_for_people(project: Sandbox, mount: Mount) -> None:
    """The table names the mount, and says whether it is online; without a mountpoint, of all mounts."""
    with mount() as mounted:
        for arguments in ((mounted.path,), ()):
            shown = empirical_mount("--status", *arguments).stdout
            assert str(mounted.path) in shown
            assert "online" in shown
            assert "2, 3.0 MiB" in shown


@pytest.mark.warns(
    "127.0.0.1 is out of reach; reads",
    "the listing could not be refreshed, .*: (.*answer in time|127.0.0.1 is out of reach)",
    "127.0.0.1 answers again",
)
def test_an_outage_shows(project: Sandbox, mount: Mount) -> None:
    """A server that is out of reach is named, and since when."""
    with mount("--refresh", "0", "--timeout", "1") as mounted:
        project.send(signal.SIGSTOP)
        try:
            wait_until(lambda: mounted.names() and status(mounted)["out_of_reach"], "the outage")
            assert status(mounted)["out_of_reach"]["127.0.0.1"] > 0
            assert "127.0.0.1 out of reach for" in empirical_mount("--status", mounted.path).stdout
        finally:
            project.send(signal.SIGCONT)
        wait_until(lambda: not status(mounted)["out_of_reach"], "its end")


def test_a_mount_that_is_dead(project: Sandbox, mount: Mount) -> None:
    """A mount whose process is gone is shown as such, and reloading it says what to do."""
    with mount() as mounted:
        mounted.kill(signal.SIGKILL)
        done = empirical_mount("--status", "--json", mounted.path, check=False)
        (report,) = json.loads(done.stdout)
        assert (done.returncode, "is gone" in report["error"]) == (1, True)
        assert "is gone" in said(empirical_mount("--reload", mounted.path, check=False))


def test_places_without_a_mount(tmp_path: Path) -> None:
    """Where nothing is mounted there is no state."""
    for option in ("--status", "--reload"):
        done = empirical_mount(option, tmp_path, check=False)
        assert (done.returncode, said(done)) == (1, f"empirical-mount: nothing is mounted at {tmp_path}")


def test_reload(project: Sandbox, mount: Mount) -> None:
    """Once it returns, what was changed before is there, whatever the refresh."""
    with mount("--refresh", "1000") as mounted:
        names = mounted.names()
        project.put("new.txt", b"new")
        (project.folder / "b.txt").unlink()
        assert mounted.names() == names
        empirical_mount("--reload", mounted.path)
        assert mounted.names() == {"a.bin", "new.txt"}
        assert (mounted / "new.txt").read_bytes() == b"new"
        assert not (mounted / "b.txt").exists()


def test_reload_waits_for_an_answer_that_is_new(project: Sandbox, mount: Mount) -> None:
    """A refresh that was under way before does not pass for the one that was asked for."""
    with mount("--refresh", "0") as mounted:
        project.plan(api_latency_s=0.5)
        before = project.requests()["list"]
        wait_until(lambda: mounted.names() and project.requests()["list"] > before, "a refresh under way")
        project.put("new.txt", b"new")
        empirical_mount("--reload", mounted.path)
        assert status(mounted)["resources"] == 3


@pytest.mark.warns("the listing could not be refreshed, .*: 127.0.0.1 answered HTTP 50[0-9]")
def test_reload_without_the_api(project: Sandbox, mount: Mount) -> None:
    """It says in one line why there is no new listing, and the last one goes on."""
    with mount("--timeout", "2") as mounted:
        project.plan(faults=[{"on": "list", "action": {"type": "status", "status": 500}}])
        done = empirical_mount("--reload", mounted.path, check=False)
        assert done.returncode == 1
        assert "the listing could not be fetched" in said(done)
        assert mounted.names() == {"a.bin", "b.txt"}


def test_other_commands_are_for_no_device(project: Sandbox, mount: Mount) -> None:
    """A file is no terminal, and does not answer as one."""
    with mount() as mounted, opened(mounted / "b.txt") as descriptor:
        assert not os.isatty(descriptor)
        with pytest.raises(OSError, match=os.strerror(25)):
            os.tcgetpgrp(descriptor)
