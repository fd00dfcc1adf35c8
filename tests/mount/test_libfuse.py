"""Which libfuse serves, and that the other one serves as well."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.support.harness import (
    KEY,
    PATIENCE,
    Mounted,
    Sandbox,
    environment,
    mount_command,
    mounted,
    mounted_by_program,
    mounts,
    noise,
    run,
    said,
    wait_until,
)

TWO, THREE = find_library("fuse"), find_library("fuse3")
WITHOUT_MFUSEPY = "import sys\nsys.modules['mfusepy'] = None\n"
KIB = 2**10
READERS = 32
KEPT_BY_LIBFUSE = 10
AT_ONCE = 15.0
"""Seconds; who waits for the readers waits much longer."""

pytestmark = pytest.mark.skipif(TWO is None or THREE is None, reason="libfuse 2 and 3 are needed")


def libraries(mount: Mounted) -> set[str]:
    """The libfuse that the process of a mount has loaded."""
    lines = Path(f"/proc/{mount.pid}/maps").read_text().splitlines()
    return {line.rpartition("/")[2] for line in lines if "/libfuse" in line}


def chosen(number: str | None, **others: str | None) -> Mapping[str, str | None]:
    return {"EMPIRICAL_FS_LIBFUSE": number, **others}


def without_mfusepy(path: Path, variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """The variables, of which a PYTHONPATH that begins with `{tmp_path}` hides mfusepy."""
    (path / "sitecustomize.py").write_text(WITHOUT_MFUSEPY)
    known = {"tmp_path": path, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return {name: value and value.format(**known) for name, value in variables.items()}


def is_reading(reader: subprocess.Popen[bytes]) -> bool:
    """Whether a `cat` has opened its file and waits for the kernel, which waits for us."""
    state = Path(f"/proc/{reader.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "D" and Path(f"/proc/{reader.pid}/fd/3").is_symlink()


@pytest.mark.parametrize("number", ["2", "3"])
def test_the_one_that_is_chosen(sandbox: Sandbox, tmp_path: Path, number: str) -> None:
    """Where both are, EMPIRICAL_FS_LIBFUSE says which."""
    sandbox.put("a", b"a")
    with mounted_by_program(tmp_path / "mnt", sandbox.url, variables=chosen(number)) as mount:
        assert (mount / "a").read_bytes() == b"a"
        (library,) = libraries(mount)
        assert library.startswith({"2": "libfuse.so.2", "3": "libfuse3.so."}[number])


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, "libfuse3.so."),
        ({"PYTHONPATH": "{tmp_path}:{PYTHONPATH}"}, "libfuse.so.2"),
        ({"FUSE_LIBRARY_PATH": str(TWO)}, "libfuse.so.2"),
        ({"FUSE_LIBRARY_PATH": str(THREE)}, "libfuse3.so."),
    ],
    ids=["both", "no-mfusepy", "2-alone", "3-alone"],
)
def test_the_one_that_is_taken(
    sandbox: Sandbox, tmp_path: Path, variables: Mapping[str, str], first: str
) -> None:
    """Where nobody chooses, libfuse 3, if it can be bound; fusepy, which it does not fit, never has it."""
    sandbox.put("a", b"a")
    given = without_mfusepy(tmp_path, variables)
    with mounted_by_program(tmp_path / "mnt", sandbox.url, variables=chosen(None, **given)) as mount:
        assert (mount / "a").read_bytes() == b"a"
        assert os.statvfs(mount.path).f_namemax
        (library,) = libraries(mount)
        assert library.startswith(first)


@pytest.mark.parametrize(
    ("variables", "phrase"),
    [
        (chosen(None, FUSE_LIBRARY_PATH="/nowhere/libfuse.so"), "apt install libfuse2, or"),
        (chosen("2", FUSE_LIBRARY_PATH="/nowhere/libfuse.so"), "apt install libfuse2"),
        (chosen("3", FUSE_LIBRARY_PATH="/nowhere/libfuse.so"), "apt install fuse3"),
        (chosen("2", FUSE_LIBRARY_PATH=str(THREE)), "libfuse 2 is not installed"),
        (chosen("3", FUSE_LIBRARY_PATH=str(TWO)), "libfuse 3 is not installed"),
        (chosen("3", PYTHONPATH="{tmp_path}:{PYTHONPATH}"), "'empirical-fs[fuse3]'"),
        (chosen("4"), "EMPIRICAL_FS_LIBFUSE must be 2 or 3"),
    ],
)
def test_what_is_missing(
    sandbox: Sandbox, tmp_path: Path, variables: Mapping[str, str | None], phrase: str
) -> None:
    """One line says what to install, the library or what binds it."""
    given = without_mfusepy(tmp_path, variables)
    wanted = environment(**{"EMPIRICALRUN_KEY": KEY, "EMPIRICAL_API_URL": sandbox.url, **given})
    path = tmp_path / "mnt"
    assert phrase in said(run(*mount_command(path), check=False, env=wanted))
    assert str(path) not in mounts()


@pytest.mark.parametrize("number", ["2", "3"])
@pytest.mark.parametrize(
    "options",
    ["nonempty,big_writes", "max_read=131072,max_readahead=65536", "max_background=20,intr_signal=10"],
)
def test_options_of_libfuse_2(sandbox: Sandbox, tmp_path: Path, number: str, options: str) -> None:
    """What libfuse 3 has lost, or left to the file system, is taken by both."""
    sandbox.put("a", noise(300_000))
    with mounted(tmp_path / "mnt", sandbox.url, "-o", options, variables=chosen(number)) as mount:
        assert (mount / "a").read_bytes() == noise(300_000)


def test_an_option_with_a_bad_value(sandbox: Sandbox, tmp_path: Path) -> None:
    """It is refused by its name, as libfuse 2 does."""
    variables = chosen("3", EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url)
    command = mount_command("-o", "max_background=many", tmp_path / "mnt")
    assert "max_background" in said(run(*command, check=False, env=environment(**variables)))


@pytest.fixture
def small_files(sandbox: Sandbox) -> list[str]:
    """More of them than libfuse 3 has threads by itself, or either keeps; none of them comes."""
    names = [f"{each}.bin" for each in range(READERS)]
    for name in names:
        sandbox.put(name, noise(10_000))
    sandbox.plan(faults=[{"on": "object", "action": {"type": "stall", "after": 0, "seconds": 600}}])
    return names


@contextmanager
def readers_that_wait(paths: Iterable[Path]) -> Iterator[None]:
    readers = [subprocess.Popen(["cat", path], stderr=subprocess.DEVNULL) for path in paths]
    try:
        wait_until(lambda: all(map(is_reading, readers)), "readers that wait")
        yield
    finally:
        for reader in readers:
            reader.kill()
        for reader in readers:
            reader.wait(PATIENCE)


@pytest.mark.parametrize("number", ["2", "3"])
def test_readers_that_wait_hold_nobody_up(
    sandbox: Sandbox, small_files: list[str], tmp_path: Path, number: str
) -> None:
    """Reads wait for the store, and a lookup does not."""
    with (
        mounted(tmp_path / "mnt", sandbox.url, variables=chosen(number)) as mount,
        readers_that_wait(mount / name for name in small_files),
    ):
        begun = time.monotonic()
        assert not (mount / "another").exists()
        assert time.monotonic() - begun < AT_ONCE


@pytest.mark.parametrize("number", ["2", "3"])
def test_threads_stay(sandbox: Sandbox, small_files: list[str], tmp_path: Path, number: str) -> None:
    """Libfuse by itself ends those that are idle but for ten, and Python has to get to know others."""
    with mounted(tmp_path / "mnt", sandbox.url, variables=chosen(number)) as mount:
        tasks = Path(f"/proc/{mount.pid}/task")
        with readers_that_wait(mount / name for name in small_files):
            before = {each.name for each in tasks.iterdir()}
        # Each of them does something again, or ends.
        for _ in range(READERS * 2):
            assert not (mount / "another").exists()
        assert len(before - {each.name for each in tasks.iterdir()}) < (READERS - KEPT_BY_LIBFUSE) / 2


@pytest.mark.skipif(
    not os.access("/sys/class/bdi", os.W_OK), reason="only root has the kernel read further ahead"
)
@pytest.mark.parametrize(
    ("number", "options", "kib"),
    [
        ("2", (), (256, 128)),
        ("3", (), (256, 256)),
        ("3", ("-o", f"max_readahead={64 * KIB}"), (64, 64)),
        ("3", ("-o", f"max_readahead={512 * KIB}"), (512, 512)),
        ("2", ("-o", f"max_readahead={1024 * KIB}"), (1024, 128)),
    ],
)
def test_how_much_the_kernel_asks_for(
    sandbox: Sandbox, tmp_path: Path, number: str, options: tuple[str, ...], kib: tuple[int, int]
) -> None:
    """Whoever reads on has 256 KiB ahead, at a time where libfuse can, unless the user bounds that."""
    window, largest = kib
    content = noise(4_000_000)
    sandbox.put("a", content)
    with mounted(tmp_path / "mnt", sandbox.url, "-vv", *options, variables=chosen(number)) as mount:
        device = mount.path.stat().st_dev
        ahead = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
        wait_until(lambda: ahead.read_text() == f"{window}\n", "the kernel's read-ahead")
        with (mount / "a").open("rb", buffering=0) as file:
            assert b"".join(iter(lambda: file.read(4 * KIB), b"")) == content
        sizes = re.findall(r"read '/a' (\d+) bytes", mount.log.read_text())
        assert max(map(int, sizes)) == largest * KIB
