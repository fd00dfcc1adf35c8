"""The unit under a real service manager: readiness, reload, stop, and what a killed process leaves behind."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import TOP
from tests.support.harness import KEY, Sandbox, environment, run
from tests.support.namespaces import apart

SYSTEMD = Path("/lib/systemd/systemd")
VARIABLES = {"XDG_RUNTIME_DIR": "/run/user/0", "DBUS_SESSION_BUS_ADDRESS": None, "container": "docker"}
"""Of a service manager in a container."""
UNIT = TOP / "scripts/packaging/empirical-mount@.service"

# A user's service manager as the first process of a machine of its own; the arguments are the steps to take.
WITH_SYSTEMD = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs none /run
mkdir -p "$XDG_RUNTIME_DIR" /run/systemd/system
"$1" --user --unit=basic.target --log-target=null --show-status=no >/dev/null 2>&1 &
for _ in $(seq 100); do
    systemctl --user --quiet is-active basic.target 2>/dev/null && break
    sleep 0.1
done
eval "$2"
"""


def is_usable() -> bool:
    """Whether this machine can be given a service manager."""
    if os.getuid() != 0 or not SYSTEMD.exists():
        return False
    steps = _inside("systemctl --user is-active basic.target")
    return run(*steps, check=False, env=environment(**VARIABLES)).returncode == 0


def _inside(steps: str) -> list[str | Path]:
    own = ("--pid", "--cgroup", "--fork", "--kill-child")
    return apart("sh", "-c", WITH_SYSTEMD, "sh", SYSTEMD, steps, also=own)


def test_the_life_of_a_service(sandbox: Sandbox, tmp_path: Path) -> None:
    """Started is mounted, reloaded is up to date, stopped is unmounted; a dead mount is not left behind."""
    if not is_usable():
        pytest.skip("no service manager can be run here")
    sandbox.put("a", b"content")
    home = tmp_path / "home"
    _install(home, sandbox)
    show = "systemctl --user show --value -p ActiveState empirical-mount@work"
    steps = f"""
        cd {shlex.quote(str(home))}
        systemctl --user start empirical-mount@work
        cat empirical/work/a; echo
        {show}
        echo b >{shlex.quote(str(sandbox.folder))}/b
        systemctl --user reload empirical-mount@work
        ls empirical/work
        systemctl --user kill --kill-whom=main --signal=KILL empirical-mount@work
        until [ "$({show})" = activating ]; do sleep 0.1; done
        ls -A empirical/work
        systemctl --user restart empirical-mount@work
        ls empirical/work
        systemctl --user stop empirical-mount@work
        {show}
        ls -A empirical/work
        grep -c empirical/work /proc/self/mountinfo || true
    """
    wanted = environment(HOME=str(home), XDG_CONFIG_HOME=None, **VARIABLES)
    said = run(*_inside(steps), env=wanted).stdout.split()
    assert said == ["content", "active", "a", "b", "a", "b", "inactive", "0"]


def _install(home: Path, sandbox: Sandbox) -> None:
    """The unit, the program and a profile, as a user has them."""
    units, programs, settings = (
        home / place for place in (".config/systemd/user", ".local/bin", ".config/empirical-fs")
    )
    for folder in (units, programs, settings):
        folder.mkdir(parents=True)
    (units / UNIT.name).write_text(UNIT.read_text())
    program = programs / "empirical-mount"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={TOP} exec {sys.executable} -m empirical_fs "$@"\n')
    program.chmod(0o755)
    (settings / "key").write_text(KEY)
    (settings / "key").chmod(0o600)
    profile = f'[profiles.work]\napi_url = "{sandbox.url}"\nkey_file = "key"\n'
    (settings / "config.toml").write_text(profile)
