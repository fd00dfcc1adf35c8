"""A mount whose process cannot see its callers: it is in another PID namespace."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mount.test_inodes import ONLY_ROOT, library
from tests.support.harness import (
    KEY,
    PATIENCE,
    Mounted,
    Sandbox,
    environment,
    mount_command,
    mounts,
    noise,
    run,
    wait_until,
)

__all__ = ["library"]

CONTENT = noise(300_000)
AT_ONCE = 10.0
READER = """
import ctypes, mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
if not os.fork():
    sys.stdin.readline()
    os.close(file)
    print("closed", flush=True)
    os._exit(0)
# Python's own begins anew when it is interrupted.
page, pread = mmap.mmap(-1, 4096), ctypes.CDLL(None, use_errno=True).pread
count = pread(file, (ctypes.c_char * 4096).from_buffer(page), ctypes.c_size_t(4096), ctypes.c_long(0))
print(count, ctypes.get_errno(), page[:10].hex(), flush=True)
os.wait()
"""


@contextmanager
def mounted_apart(sandbox: Sandbox, path: Path, variables: dict[str, str | None]) -> Iterator[Mounted]:
    """A mount whose process is the first of a PID namespace; /proc is still that of the others."""
    path.mkdir()
    log = path.with_name("mnt.log")
    command: Sequence[str | Path] = [
        *("unshare", "--pid", "--fork", "--kill-child"),
        *mount_command("-f", "--api-url", sandbox.url, "--log-file", log, "--refresh", "1000", path),
    ]
    with subprocess.Popen(command, env=environment(EMPIRICALRUN_KEY=KEY, **variables)) as process:
        try:
            wait_until(lambda: str(path) in mounts(), "the mount")
            yield Mounted(path, log)
        finally:
            run("umount", "-l", path)
            assert process.wait(PATIENCE) == 0


@ONLY_ROOT
def test_readers_that_cannot_be_seen(
    sandbox: Sandbox, tmp_path: Path, library: dict[str, str | None]
) -> None:
    """Nobody's read ends because somebody else closed a copy of the descriptor; killed ones do, soon."""
    sandbox.put("a", CONTENT)
    with mounted_apart(sandbox, tmp_path / "mnt", library) as mount:
        sandbox.plan(store_latency_s=1.5)
        command: list[str | Path] = [sys.executable, "-c", READER, mount / "a"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        ) as process:
            wait_until(lambda: sandbox.requests()["object"], "the read")
            said, _ = process.communicate("go on\n", timeout=PATIENCE)
        assert said.split() == ["closed", "4096", "0", CONTENT[:10].hex()]
        sandbox.forget_requests()
        sandbox.plan(faults=[{"on": "object", "action": {"type": "silence"}}])
        with subprocess.Popen(
            ["dd", f"if={mount / 'a'}", "of=/dev/null", "iflag=direct", "skip=400"]
        ) as killed:
            wait_until(lambda: sandbox.requests()["object"], "the read")
            begun = time.monotonic()
            killed.kill()
            killed.wait(PATIENCE)
        assert time.monotonic() - begun < AT_ONCE
        assert mount.names() == {"a"}
