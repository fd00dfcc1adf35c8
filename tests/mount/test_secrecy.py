"""What the real commands do with a key, and with what others say, before and beside a mount."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import (
    KEY,
    PATIENCE,
    Sandbox,
    environment,
    mount_command,
    mounts,
    processes,
    run,
    wait_until,
)

SILENT = [{"on": "list", "action": {"type": "silence"}}]


@contextmanager
def started(*arguments: str | Path, **variables: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """A command that waits, with as large core files allowed as may be."""
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh", *mount_command(*arguments)],
        env=environment(EMPIRICALRUN_KEY=KEY, **variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("options", [[], ["-f"]])
def test_whoever_waits_for_the_listing(sandbox: Sandbox, tmp_path: Path, options: list[str]) -> None:
    """No process of a mount that begins may dump core, and none shows the key in its environment."""
    sandbox.plan(faults=SILENT)
    path = tmp_path / "mnt"
    with started("--api-url", sandbox.url, "--timeout", "60", *options, path):
        wait_until(lambda: sandbox.requests()["list"], "the first request")
        found = processes(path)
        assert len(found) == (1 if options else 2)
        for pid in found:
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert "Max core file size        1                    1 " in limits
            assert KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    wait_until(lambda: not processes(path), "the end of the background process")


AT_THE_END = """
import atexit, sys
from pathlib import Path
from empirical_fs.cli import main
environ = Path("/proc/self/environ")
assert b"sandbox-key" in environ.read_bytes()
atexit.register(lambda: print("kept" if b"sandbox-key" in environ.read_bytes() else "wiped"))
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--status", "/nowhere"],
        ["-u", "/nowhere"],
        ["--reload", "/nowhere"],
        ["--doctor", "--api-url", "http://127.0.0.1:1", "--key-file", "/nowhere"],
        ["--config", "/nowhere/config.toml", "/nowhere/mnt"],
        ["--version"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_the_variable_is_wiped_in_every_command(arguments: list[str]) -> None:
    """Also where the command has no use for the key, or fails."""
    command = [sys.executable, "-c", AT_THE_END, *arguments]
    done = run(*command, check=False, env=environment(EMPIRICALRUN_KEY=KEY))
    assert done.stdout.splitlines()[-1] == "wiped"


@pytest.mark.parametrize("libfuse", ["2", "3"])
@pytest.mark.parametrize("what", ["mount point", "folder"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_symbolic_link_swapped_in(
    sandbox: Sandbox, tmp_path: Path, libfuse: str, what: str, *, is_there: bool
) -> None:
    """Whoever may write in the folder cannot move the mount elsewhere while the first listing is fetched."""
    folder, other = tmp_path / "folder", tmp_path / "other"
    path = folder / "mnt"
    for each in (path, other / "mnt") if is_there else (folder, other / "mnt"):
        each.mkdir(parents=True)
    sandbox.plan(faults=[{"on": "list", "times": 1, "action": {"type": "slow-head", "seconds": 1}}])
    with started("--api-url", sandbox.url, "--timeout", "10", path, EMPIRICAL_FS_LIBFUSE=libfuse) as process:
        wait_until(lambda: sandbox.requests()["list"], "the first request")
        if what == "folder":
            folder.rename(tmp_path / "moved")
            folder.symlink_to(other)
        else:
            path.rename(folder / "moved")
            path.symlink_to(other / "mnt")
        assert process.wait(PATIENCE) == 1
        assert process.stderr is not None
        (line,) = process.stderr.read().decode().splitlines()
    assert f"what was {path} is " in line
    assert not [each for each in mounts() if each.startswith(str(tmp_path))]
    assert not processes(path)
