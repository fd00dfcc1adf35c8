"""What a process is made before it holds a key, each in a process of its own."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import environment, mount_command, run

REPORT = """
import os, resource, sys
from empirical_fs.privacy import guard
guard()
assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)
with open("/dev/null") as file:
    assert file.fileno() > 2, file.fileno()
assert [os.fstat(descriptor).st_mode for descriptor in range(3)]
print("snow\\u2603 \\udcff", flush=True)
print("snow\\u2603 \\udcff", file=sys.stderr, flush=True)
"""


def test_descriptors_and_dumps() -> None:
    """Whatever was closed when it started, 0 to 2 are open, and no core file is written."""
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"):
        script = f'ulimit -c unlimited 2>/dev/null; exec "$0" -c "$1" {closed}'
        done = subprocess.run(["sh", "-c", script, sys.executable, REPORT], capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), (closed, done.stderr)


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1", "utf-8:strict", "utf-16"])
def test_output_that_no_locale_breaks(encoding: str) -> None:
    """A character that cannot be written is written as an escape."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0, done.stderr
    assert "\\udcff".encode(encoding.partition(":")[0])[-2:] in done.stdout
    assert "Traceback" not in done.stderr.decode(errors="replace")


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, reason="core dumps are forbidden here")
def test_a_crash_while_it_starts(tmp_path: Path) -> None:
    """A signal that dumps core does so nowhere, from the first import on."""
    program = "import empirical_fs.guarded, os, signal; os.kill(os.getpid(), signal.SIGQUIT)"
    done = subprocess.run(
        [
            "sh",
            "-c",
            'ulimit -c "$(ulimit -H -c)"; cd "$1" && "$0" -c "$2"',
            sys.executable,
            tmp_path,
            program,
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "EMPIRICALRUN_KEY": "secret"},
    )
    assert done.returncode != 0
    assert b"core dumped" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["0", "1", "unlimited"])
def test_whatever_limit_there_is(limit: str) -> None:
    """Where core dumps are forbidden already, or half, every command runs as ever."""
    command = ["sh", "-c", f'ulimit -c {limit} 2>/dev/null; exec "$@"', "sh", *mount_command("--version")]
    done = run(*command, env=environment())
    assert done.stdout.startswith("empirical-mount ")
