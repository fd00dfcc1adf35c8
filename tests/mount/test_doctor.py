"""What --doctor finds on this machine, of real mounts, and of an API and a store that are not well."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.mount.test_command_line import WITHOUT_FUSE_DEVICE
from tests.support.harness import KEY, Sandbox, empirical_mount, environment, mount_command, mounts, run
from tests.support.namespaces import apart, go_apart

ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can have a mount namespace")
HOURS = 3600

Findings = dict[str, dict[str, Any]]


def doctor(
    url: str,
    *arguments: str | Path,
    inside: Sequence[str | Path] = (),
    mine: Path | None = None,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command, with no mount of ours to be seen but `mine`."""
    wanted = environment(**{"EMPIRICALRUN_KEY": KEY, "EMPIRICAL_API_URL": url, **variables})
    command: list[str | Path] = ["--doctor", "--timeout", "5", *arguments]
    if inside:
        done = run(*inside, *mount_command(*command), check=False, env=wanted)
    else:
        first = partial(go_apart, mine) if os.getuid() == 0 else None
        done = empirical_mount(*command, check=False, env=wanted, first=first)
    assert done.returncode in (0, 1), done.stderr
    for secret in (KEY, variables.get("EMPIRICALRUN_KEY"), "Signature", "X-Amz"):
        assert not secret or secret not in done.stdout + done.stderr
    return done


def findings(url: str, *arguments: str | Path, **options: Any) -> Findings:
    """What the command finds, by name; its exit status fits."""
    done = doctor(url, "--json", *arguments, **options)
    assert done.stderr == ""
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert done.returncode == any(each["verdict"] == "failed" for each in found.values())
    assert all(each["advice"] for each in found.values() if each["verdict"] in ("warning", "failed"))
    return found


def unwell(found: Findings) -> dict[str, str]:
    return {name: each["verdict"] for name, each in found.items() if each["verdict"] != "ok"}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("empty", b"")
    sandbox.put("a.txt", b"content")
    sandbox.put("page.link", b"https://example.org/page")
    return sandbox


def test_all_is_well(project: Sandbox, tmp_path: Path) -> None:
    """A line for each check, and a byte of a file was read, by one request for the list and one for it."""
    done = doctor(project.url, tmp_path / "mnt")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in lines} == {"ok"}
    assert len({line.index(line[9:].split("  ")[0]) for line in lines}) == 1
    assert f"{project.url}: a page in 0." in done.stdout
    assert "3 resources in all" in done.stdout
    assert f"1 byte of resource {project.id_of('a.txt')} in 0." in done.stdout
    assert not (tmp_path / "mnt").exists()


def test_what_it_asks_for(project: Sandbox) -> None:
    """One page and one byte, and nothing else."""
    assert unwell(findings(project.url)) == {}
    asked = project.requests()
    assert (asked["list"], asked["get"], asked["object"]) == (1, 0, 1)


def test_a_key_that_is_refused(project: Sandbox) -> None:
    """The key fails, the API is well, and what needs the key is left."""
    found = findings(project.url, EMPIRICALRUN_KEY="another-key-of-this-test")
    assert unwell(found) == {"key": "failed", "clock": "skipped", "store": "skipped"}
    assert "HTTP 401" in found["key"]["seen"]
    assert project.requests()["object"] == 0


@pytest.mark.parametrize("mode", [None, 0o644])
def test_no_key(project: Sandbox, tmp_path: Path, mode: int | None) -> None:
    """Without a key, or with one that others can read, nothing is asked of the API."""
    options: list[str | Path] = []
    if mode is not None:
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "key").chmod(mode)
        options = ["--key-file", tmp_path / "key"]
    found = findings(project.url, *options, EMPIRICALRUN_KEY="")
    assert unwell(found) == {"key": "failed", "API": "skipped", "clock": "skipped", "store": "skipped"}
    assert ("chmod 600" if mode else "EMPIRICALRUN_KEY") in found["key"]["advice"]
    assert project.requests()["list"] == 0


def test_an_api_that_is_not_there(tmp_path: Path) -> None:
    """A closed port fails the API, within the time that was given, and leaves what needs it."""
    found = findings("http://127.0.0.1:9", "--timeout", "1")
    assert unwell(found) == {"key": "skipped", "API": "failed", "clock": "skipped", "store": "skipped"}
    assert "refused" in found["API"]["seen"]
    assert "EMPIRICAL_API_URL" in found["API"]["advice"]


def test_a_server_that_is_silent(project: Sandbox) -> None:
    """Each check has its time, and the others go on."""
    project.plan(faults=[{"on": "list", "action": {"type": "silence"}}])
    found = findings(project.url, "--timeout", "1")
    assert unwell(found) == {"key": "skipped", "API": "failed", "clock": "skipped", "store": "skipped"}


@pytest.mark.parametrize(
    ("action", "seen"),
    [
        ({"type": "status", "status": 503}, "HTTP 503"),
        ({"type": "status", "status": 403}, "refused the signed URL"),
        ({"type": "silence"}, "did not answer in time"),
        ({"type": "html"}, "the listing says 7"),
    ],
    ids=["busy", "refusing", "silent", "another"],
)
def test_a_store_that_fails(project: Sandbox, action: dict[str, Any], seen: str) -> None:
    """The store fails, and nothing else."""
    project.plan(faults=[{"on": "object", "action": action}])
    found = findings(project.url, "--timeout", "4")
    assert unwell(found) == {"store": "failed"}
    assert found["store"]["seen"].startswith("127.0.0.1")
    assert seen in found["store"]["seen"]


def test_a_store_without_ranges(project: Sandbox) -> None:
    """A server that sends whole files is told of, and is none the worse."""
    project.plan(ranges="ignored")
    found = findings(project.url)
    assert unwell(found) == {}
    assert "ignores ranges" in found["store"]["seen"]


@pytest.mark.parametrize("seconds", [-2 * HOURS, 90])
def test_a_clock_that_is_off(project: Sandbox, seconds: int) -> None:
    """A clock that is off is a warning, which says by how much and which way."""
    project.plan(clock_offset_s=seconds)
    found = findings(project.url)
    assert unwell(found) == {"clock": "warning"}
    assert found["clock"]["seen"].endswith("ahead of the API's" if seconds < 0 else "behind the API's")


def test_a_small_difference_of_clocks(project: Sandbox) -> None:
    """A difference that costs nothing is none."""
    project.plan(clock_offset_s=30)
    assert unwell(findings(project.url)) == {}


def test_nothing_to_read(sandbox: Sandbox) -> None:
    """A project without an upload cannot show that the store is well."""
    assert unwell(findings(sandbox.url)) == {"store": "skipped"}


def test_mounted_and_alive(project: Sandbox, mount: Mount) -> None:
    """A mount that serves is well, at the mount point too."""
    with mount() as mounted:
        found = findings(project.url, mounted.path, mine=mounted.path)
        assert unwell(found) == {}
        assert "is mounted, and answers" in found["mount point"]["seen"]


@pytest.mark.warns("ERROR .*: the API refuses the key")
@pytest.mark.may_warn("the listing could not be refreshed, .*: the API refused the key")
def test_the_mount_is_asked_where_there_is_no_key(project: Sandbox, mount: Mount) -> None:
    """Without variables, a mount that lives says where its key is from, and fetches its listing by it."""
    with mount() as mounted:
        nothing: dict[str, str] = {"EMPIRICALRUN_KEY": "", "EMPIRICAL_API_URL": ""}
        found = findings(project.url, mounted.path, mine=mounted.path, **nothing)
        assert unwell(found) == {"clock": "skipped", "store": "skipped"}
        assert "EMPIRICALRUN_KEY, and the API accepts it" in found["key"]["seen"].replace(")", "")
        assert found["API"]["seen"].startswith(f"{project.url}: the mount has fetched its listing")
        project.plan(faults=[{"on": "list", "action": {"type": "status", "status": 401}}])
        found = findings(project.url, mounted.path, mine=mounted.path, **nothing)
        assert unwell(found)["API"] == "failed"
        assert "refused the key" in found["API"]["seen"]


def test_a_stale_mount(project: Sandbox, mount: Mount) -> None:
    """A mount whose process is gone is named, with the command that mends it."""
    with mount() as mounted:
        mounted.kill(signal.SIGKILL)
        found = findings(project.url, mounted.path, mine=mounted.path)
        assert unwell(found) == {"stale mounts": "failed"}
        assert str(mounted.path) in found["stale mounts"]["seen"]
        assert "whose process is gone (see stale mounts)" in found["mount point"]["seen"]
        assert found["mount point"]["advice"] is None
        assert str(mounted.path) in mounts()
        command = found["stale mounts"]["advice"].removeprefix("run: ")
        assert command == f"empirical-mount -u {mounted.path}"
        empirical_mount(*command.split()[1:])
        assert str(mounted.path) not in mounts()
        assert unwell(findings(project.url, mounted.path)) == {}


def test_a_mount_that_hangs(project: Sandbox, mount: Mount) -> None:
    """A process that is stopped holds nobody up for longer than was given."""
    with mount() as mounted:
        pid = mounted.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            found = findings(project.url, "--timeout", "3", mounted.path, mine=mounted.path)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert unwell(found) == {"stale mounts": "warning", "mount point": "failed"}
        assert str(mounted.path) in found["stale mounts"]["seen"]


def test_a_mount_point_that_is_not_empty(project: Sandbox, tmp_path: Path) -> None:
    """The directory is looked at as mounting does, by the options that are given."""
    (tmp_path / "file").touch()
    assert unwell(findings(project.url, tmp_path)) == {"mount point": "failed"}
    assert unwell(findings(project.url, "-o", "nonempty", tmp_path)) == {}


def test_a_configuration_that_cannot_be_read(project: Sandbox, tmp_path: Path) -> None:
    """What cannot be understood is said, and the machine is looked at all the same."""
    config = tmp_path / "config.toml"
    config.write_text(f'[profiles.p]\napi_url = "{project.url}"\nrefresh = "soon"\n')
    found = findings(project.url, "--config", config, "--profile", "p")
    skipped = dict.fromkeys(["key", "API", "clock", "store"], "skipped")
    assert unwell(found) == {"configuration": "failed", **skipped}
    assert "soon" in found["configuration"]["seen"]
    config.write_text(config.read_text().replace("soon", "7"))
    found = findings(project.url, "--config", config, "--profile", "p")
    assert unwell(found) == {}
    assert f"refresh by {config} [profiles.p]" in found["configuration"]["seen"]


@pytest.mark.parametrize("option", ["rw", "uid=me"])
def test_options_that_do_not_fit(project: Sandbox, option: str) -> None:
    """Mount options are read too."""
    assert findings(project.url, "-o", option)["configuration"]["verdict"] == "failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSL_CERT_FILE", "/nowhere/certificates.pem"), ("https_proxy", "nonsense://user:password@host")],
    ids=["certificates", "proxy"],
)
def test_what_is_needed_to_connect(project: Sandbox, name: str, value: str) -> None:
    """Certificates and proxies that are none are told by the name of the variable, and no password."""
    found = findings(project.url, **{"SSL_CERT_DIR": "", name: value})
    assert found["API"]["verdict"] == "failed"
    assert name in found["API"]["seen"]
    assert "password" not in str(found)


def test_no_libfuse(project: Sandbox) -> None:
    """A missing library is said, with what to install."""
    found = findings(
        project.url, inside=apart("env"), FUSE_LIBRARY_PATH="/nowhere/libfuse.so", EMPIRICAL_FS_LIBFUSE=""
    )
    assert unwell(found) == {"libfuse": "failed"}
    assert "install libfuse2" in found["libfuse"]["advice"]


@ONLY_ROOT
def test_no_fuse_device(project: Sandbox) -> None:
    """A missing device is said, with what to do in a container."""
    found = findings(project.url, inside=apart("sh", "-c", WITHOUT_FUSE_DEVICE, "sh"))
    assert found["/dev/fuse"]["verdict"] == "failed"
    assert "--device /dev/fuse" in found["/dev/fuse"]["advice"]


@ONLY_ROOT
def test_as_another_user(project: Sandbox) -> None:
    """A user needs fusermount, set-uid with effect, and a device that may be opened; allow_other a line."""
    somebody = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if run(*somebody, *mount_command("--version"), check=False).returncode != 0:
        pytest.skip("others cannot run this checkout")
    variables = {"PATH": "/nowhere", "EMPIRICAL_FS_LIBFUSE": ""}
    found = findings(project.url, "-o", "allow_other", inside=somebody, **variables)
    assert found["libfuse"]["seen"] == "libfuse 2 is there"  # 3 has but fusermount3
    assert found["fusermount"]["verdict"] == "failed"
    assert "install fuse" in found["fusermount"]["advice"]
    found = findings(project.url, inside=[*somebody, "--no-new-privs"])
    assert "has no effect here" in found["fusermount"]["seen"]


def test_usage() -> None:
    """It is a command of its own."""
    done = empirical_mount("--doctor", "--status", check=False)
    assert (done.returncode, "not allowed with" in done.stderr) == (2, True)
