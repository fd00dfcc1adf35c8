"""The configuration file, and mounting as fstab(5) has it."""

import json
import os
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    processes,
    run,
    said,
    unmount,
    wait_until,
)
from tests.support.namespaces import apart

KEY_FILE_MODE = 0o600


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key of the project"
    path.write_text(KEY)
    path.chmod(KEY_FILE_MODE)
    return path


@pytest.fixture
def config(tmp_path: Path, sandbox: Sandbox, key_file: Path) -> Path:
    """A file with a profile for the sandbox."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'refresh = 7\n[profiles.sandbox]\napi_url = "{sandbox.url}"\nkey_file = "{key_file.name}"\n'
    )
    return path


@contextmanager
def unmounting(path: Path) -> Iterator[None]:
    """What was mounted at `path`, and its process, are gone at the end."""
    try:
        yield
    finally:
        unmount(path)


def settings(path: Path) -> dict[str, dict[str, str]]:
    (report,) = json.loads(empirical_mount("--status", "--json", path).stdout)
    shown: dict[str, dict[str, str]] = report["settings"]
    return shown


def test_a_profile(sandbox: Sandbox, config: Path, key_file: Path, tmp_path: Path) -> None:
    """A profile says everything that a mount needs, and the status says where each setting came from."""
    sandbox.put("a", b"a")
    path = tmp_path / "mnt"
    command = mount_command("--config", config, "--profile", "sandbox", "--timeout", "9", path)
    with unmounting(path):
        run(*command, env=environment())
        assert [each.name for each in path.iterdir()] == ["a"]
        shown = settings(path)
    profile = f"{config} [profiles.sandbox]"
    assert shown["api_url"] == {"value": sandbox.url, "source": profile}
    assert shown["key_file"] == {"value": str(key_file), "source": profile}
    assert shown["refresh"] == {"value": "7.0", "source": str(config)}
    assert shown["timeout"] == {"value": "9.0", "source": "--timeout"}
    assert shown["url_ttl"] == {"value": "3000.0", "source": "default"}


def test_the_environment_before_the_file(sandbox: Sandbox, config: Path, tmp_path: Path) -> None:
    """The address and the key of the environment count before those of the file."""
    variables = environment(EMPIRICALRUN_KEY="revoked", EMPIRICAL_API_URL=sandbox.url)
    command = ("--config", config, "--profile", "sandbox", tmp_path / "mnt")
    line = said(empirical_mount(*command, check=False, env=variables))
    assert "refused the key" in line
    assert (
        f"check EMPIRICALRUN_KEY, which takes precedence over key_file of {config} [profiles.sandbox]" in line
    )


def test_the_default_file(sandbox: Sandbox, config: Path, tmp_path: Path) -> None:
    """It is found without being named; what is wrong in it is said, with the place."""
    folder = tmp_path / "empirical-fs"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"{config.read_text()}key_file = 5\n".replace('key_file = "', 'key = "')
    )
    wanted = environment(XDG_CONFIG_HOME=str(tmp_path))
    line = said(empirical_mount("--profile", "sandbox", tmp_path / "mnt", check=False, env=wanted))
    assert str(folder / "config.toml") in line
    assert "no setting 'key'" in line


def test_several_mounts_at_once(sandbox: Sandbox, mount: Mount, config: Path, tmp_path: Path) -> None:
    """One user has several projects mounted, and the status tells of all of them."""
    sandbox.put("a", b"a")
    other = tmp_path / "other"
    with mount() as mounted, unmounting(other):
        empirical_mount("--config", config, "--profile", "sandbox", other, env=environment())
        reports = json.loads(empirical_mount("--status", "--json").stdout)
        assert {str(mounted.path), str(other)} <= {report["mountpoint"] for report in reports}
        assert {each.name for each in other.iterdir()} == {"a"} == mounted.names()


ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root mounts what is not in /etc/fstab")
OPTIONS = "_netdev,nofail,noauto,x-systemd.automount,noatime,refresh=5,umask=077"
PROGRAM = Path(sysconfig.get_path("scripts")) / "empirical-mount"

# Where mount(8) looks for the program is not ours to change, but for a mount namespace of our own.
BY_TYPE = """
set -e
mount -t tmpfs none /usr/local/sbin && ln -s "$1" /usr/local/sbin/empirical-mount
mount --fstab "$2" "$3"
findmnt --noheadings --output FSTYPE,OPTIONS "$3"
cat "$3/a b.bin"
umount "$3"
"""


@ONLY_ROOT
def test_fstab_with_a_program(sandbox: Sandbox, key_file: Path, tmp_path: Path) -> None:
    """`mount` mounts by a line of fstab, wherever the program is, with the API in the line."""
    content = os.urandom(200_000)
    sandbox.put("a b.bin", content)
    path, fstab = tmp_path / "mnt", tmp_path / "fstab"
    path.mkdir()
    key = str(key_file).replace(" ", "\\040")
    fstab.write_text(f"{PROGRAM}#{sandbox.url} {path} fuse {OPTIONS},key_file={key} 0 0\n")
    with unmounting(path):
        run("mount", "--fstab", fstab, path)
        assert (path / "a b.bin").read_bytes() == content
        assert (path / "a b.bin").stat().st_mode & 0o777 == 0o600
        assert settings(path)["refresh"] == {"value": "5.0", "source": "-o refresh"}
        run("umount", path)


@ONLY_ROOT
def test_fstab_with_a_type(sandbox: Sandbox, config: Path, tmp_path: Path) -> None:
    """The type is the name of the program, the options those that mount programs and systemd expect."""
    sandbox.put("a b.bin", b"content")
    path, fstab = tmp_path / "mnt", tmp_path / "fstab"
    path.mkdir()
    line = f"empirical {path} fuse.empirical-mount {OPTIONS},config={config},profile=sandbox 0 0\n"
    fstab.write_text(line)
    shown = run(*apart("sh", "-c", BY_TYPE, "sh", PROGRAM, fstab, path)).stdout
    assert shown.startswith("fuse.empirical-mount ro,nosuid,nodev,noatime,")
    assert shown.endswith("content")
    wait_until(lambda: not processes(path), "the end of the process")


@pytest.mark.parametrize("places", [["/a", "/b"], ["word", "/a", "/b"], ["./a", "b"]])
def test_mount_points_that_are_too_many(sandbox: Sandbox, places: list[str]) -> None:
    """Two directories are a mistake of the shell's, or of who typed it."""
    done = empirical_mount(*places, check=False, env=environment(EMPIRICALRUN_KEY=KEY))
    assert (done.returncode, "one MOUNTPOINT at a time" in done.stderr) == (2, True)
