"""Debian's package has all that it should, and runs without what is installed elsewhere."""

import sys
from pathlib import Path

import pytest

import empirical_fs
from tests.packaging.conftest import Built
from tests.support.harness import environment, run

_MODULES = "usr/lib/empirical-fs"


@pytest.mark.parametrize(
    ("mode", "path"),
    [
        ("-rwxr-xr-x", "usr/bin/empirical-mount"),
        ("-rwxr-xr-x", "usr/bin/empirical-open-link"),
        ("-rwxr-xr-x", "usr/bin/empirical-sandbox"),
        ("-rw-r--r--", "usr/share/applications/empirical-open-link.desktop"),
        ("-rw-r--r--", f"{_MODULES}/empirical_fs/cli/main.py"),
        ("-rw-r--r--", f"{_MODULES}/fuse.py"),
        ("-rw-r--r--", f"{_MODULES}/mfusepy.py"),
        ("-rw-r--r--", "usr/share/man/man1/empirical-mount.1.gz"),
        ("-rw-r--r--", "usr/share/bash-completion/completions/empirical-mount"),
        ("-rw-r--r--", "usr/share/zsh/vendor-completions/_empirical-mount"),
        ("-rw-r--r--", "usr/share/fish/vendor_completions.d/empirical-mount.fish"),
        ("-rw-r--r--", "usr/lib/systemd/user/empirical-mount@.service"),
        ("-rw-r--r--", "usr/share/doc/empirical-fs/copyright"),
    ],
)
def test_contents(built: Built, mode: str, path: str) -> None:
    """Each file is where the system looks for it, root's, with the mode that it needs."""
    (line,) = (line for line in built.listed if line.endswith(f" ./{path}"))
    assert line.startswith(f"{mode} root/root ")


def test_nothing_else(built: Built) -> None:
    """No file is anywhere else, and none is left of building."""
    files = [line.split()[-1] for line in built.listed if not line.startswith("d")]
    places = ("./usr/bin/empirical-", f"./{_MODULES}/", "./usr/share/", "./usr/lib/systemd/user/")
    assert [file for file in files if not file.startswith(places)] == []
    assert [file for file in files if file.endswith((".pyc", "direct_url.json"))] == []


@pytest.mark.parametrize("python", ["311", "312", "313", "314"])
def test_every_python(built: Built, python: str) -> None:
    """Each Python that the package depends on finds its compiled modules."""
    compiled = [line for line in built.listed if f"/msgspec/_core.cpython-{python}-" in line]
    assert len(compiled) == 1


def test_one_release_of_each(built: Built) -> None:
    """All Pythons get the same release of every module."""
    folders = {Path(line.split()[-1]).name for line in built.listed if line.endswith(".dist-info/")}
    names = [folder.split("-")[0] for folder in folders]
    assert sorted(names) == sorted(set(names))


def test_control(built: Built) -> None:
    """The package depends on FUSE and on the Pythons that it serves, and has the version of the project."""
    assert run("dpkg-deb", "-f", built.deb, "Version").stdout.strip() == empirical_fs.__version__
    depends = run("dpkg-deb", "-f", built.deb, "Depends").stdout.strip().split(", ")
    assert {
        "python3 (>= 3.11)",
        "python3 (<< 3.15)",
        "libfuse2t64 | libfuse2 | libfuse3-4 | libfuse3-3",
        "fuse3 | fuse",
    } <= set(depends)


def test_runs_by_itself(built: Built, tmp_path: Path) -> None:
    """The commands run with the modules of the package alone."""
    run("dpkg-deb", "-x", built.deb, tmp_path)
    for name, option, expected in (
        ("empirical-mount", "--version", f"empirical-mount {empirical_fs.__version__}\n"),
        ("empirical-open-link", "--help", "usage: empirical-open-link "),
        ("empirical-sandbox", "--help", "usage: empirical-sandbox "),
    ):
        command = (tmp_path / "usr/bin" / name).read_text()
        assert command.startswith("#!/usr/bin/python3 -I\n")
        moved = command.replace("/usr/lib/empirical-fs", str(tmp_path / _MODULES))
        # -S leaves out what is installed for this Python.
        done = run(sys.executable, "-I", "-S", "-c", moved, option, env=environment())
        assert expected in done.stdout
