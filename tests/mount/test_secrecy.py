"""What the real commands do with a key, and with what others say, before and beside a mount."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    PATIENCE,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounts,
    processes,
    run,
    wait_until,
)
from tests.support.namespaces import apart

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
            assert re.search(r"Max core file size +([01]) +\1 ", limits)
            assert KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    wait_until(lambda: not processes(path), "the end of the background process")


AT_THE_END = """
import os, sys
from pathlib import Path
from empirical_fs.cli.main import main
environ, leave = Path("/proc/self/environ"), os._exit
assert b"sandbox-key" in environ.read_bytes()
def end(status):
    print("kept" if b"sandbox-key" in environ.read_bytes() else "wiped", flush=True)
    leave(status)
os._exit = end
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--status", "/nowhere"],
        ["-u", "/nowhere"],
        ["--doctor", "--timeout", "1", "--api-url", "http://127.0.0.1:1"],
        ["--config", "/nowhere/config.toml", "/nowhere/mnt"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_the_variable_is_wiped_in_every_command(arguments: list[str]) -> None:
    """Also where the command has no use for the key, or fails."""
    command = [sys.executable, "-c", AT_THE_END, *arguments]
    done = run(*command, check=False, env=environment(EMPIRICALRUN_KEY=KEY))
    assert done.stdout.splitlines()[-1] == "wiped"


@pytest.mark.parametrize(("libfuse", "is_there"), [("2", True), ("3", False)])
@pytest.mark.parametrize("what", ["mount point", "folder"])
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


ANSWERING = """
import sys
from pathlib import Path
from empirical_fs.fuse import operations
answer = Path(sys.argv.pop(1))
operations.encoded = lambda *_: answer.read_bytes()
from empirical_fs.cli.main import main
main(["--api-url", *sys.argv[1:]])
"""
"""The program, with an answer to every command that is read from a file."""

ANSWERS = {
    "no JSON": b"\x1b]0;owned\x07\x1b[2J<html>\xff\0",
    "deep": b"[" * 15_000,
    "missing keys": b'{"pid": 1, "\\u001b[2J": 5}\0',
    "escapes": b'{"error": "\\u001b[2J\\u202e\\n\\u009b"}\0',
}
"""Others are in tests/unit/control/test_report.py."""


def test_whatever_answers(sandbox: Sandbox, mount: Mount, tmp_path: Path) -> None:
    """A mount of another program's is one line, shows nothing raw, hides no other, and can be unmounted."""
    path, answer = tmp_path / "other", tmp_path / "answer"
    with mount() as mounted:
        program = [sys.executable, "-c", ANSWERING]
        run(*program, answer, sandbox.url, path, env=environment(EMPIRICALRUN_KEY=KEY))
        try:
            for what, text in ANSWERS.items():
                answer.write_bytes(text)
                shown = empirical_mount("--status", path, check=False)
                assert len(shown.stdout.splitlines()) == 2, (what, shown.stdout)
                as_json = empirical_mount("--status", "--json", path, check=False)
                assert (shown.returncode, as_json.returncode) == (1, 1), what
                assert "error" in json.loads(as_json.stdout)[0], what
                reloaded = empirical_mount("--reload", path, check=False)
                assert "Traceback" not in (shown.stderr + as_json.stderr + reloaded.stderr), what
                for output in (shown, as_json, reloaded):
                    lines = (output.stdout + output.stderr).split("\n")
                    assert all(line.isprintable() for line in lines), (what, lines)
            every = empirical_mount("--status", check=False).stdout
            assert f"{path}\n  " in every
            assert f"{mounted.path}\n  state        online" in every
        finally:
            empirical_mount("-u", path, check=False)
        assert str(path) not in mounts()
        wait_until(lambda: not processes(path), "the end of the process")


EACH_COMMAND = """
path=$1; shift
"$@" "$path" || exit
"$@" --status "$path"; "$@" --status --json "$path"; "$@" --doctor --timeout 1 "$path"; "$@" "$path"
"$@" -u "$path"
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can have mounts that nobody else sees")
def test_a_strict_locale(sandbox: Sandbox, tmp_path: Path) -> None:
    """A mount point that is not UTF-8, and escapes in it, break neither a message nor a report."""
    path = tmp_path / os.fsdecode(b"\xff\x1b[2J\xe9")
    strict = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    variables = environment(
        EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, PYTHONIOENCODING="ascii:strict", **strict
    )
    # Other programs that look at the table of mounts, and tests beside this one, need not see such a name.
    alone = apart("sh", "-c", EACH_COMMAND, "sh")
    done = run(*alone, path, *mount_command(), env=variables)
    assert "Traceback" not in done.stderr
    for output in (done.stdout, done.stderr):
        assert all(line.isprintable() and line.isascii() for line in output.split("\n")), output
    assert "\\xff\\x1b[2J\\xe9\n  state        online\n" in done.stdout
    assert "\\udcff\\u001b[2J" in done.stdout
    assert "mounted already" in done.stderr
    wait_until(lambda: not processes(path), "the end of the process")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", ["--status", "-u", "--reload"])
def test_a_mount_of_another_user(sandbox: Sandbox, mount: Mount, command: str) -> None:
    """One line says whose it is, or why it stays, and it stays."""
    somebody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    if run(*somebody, *mount_command("--version"), check=False).returncode != 0:
        pytest.skip("others cannot run this checkout")
    with mount() as mounted_:
        done = run(*somebody, *mount_command(command, mounted_.path), check=False)
        assert str(mounted_.path) in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == (command != "--status")
        assert str(mounted_.path) in mounts()


SECRET = "KEYTEXT-0123456789abcdef"


@pytest.mark.parametrize(
    ("arguments", "libfuse"),
    [
        (["--key-file", SECRET], None),
        (["--config", SECRET], None),
        ([f"--api-key={SECRET}"], None),
        (["-o", f"key={SECRET}"], None),
        ([SECRET, SECRET], None),
        # Only when it mounts is it seen what these are.
        (["-o", f"unknown={SECRET}"], "2"),
        (["-o", f"unknown={SECRET}"], "3"),
        (["-o", SECRET], "2"),
        (["-o", SECRET], "3"),
    ],
    ids=str,
)
def test_values_that_may_be_keys(
    sandbox: Sandbox, tmp_path: Path, arguments: list[str], libfuse: str | None
) -> None:
    """A key that was given in the wrong place is not shown, and what is wrong is."""
    variables = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=sandbox.url, EMPIRICAL_FS_LIBFUSE=libfuse)
    here = partial(os.chdir, tmp_path)
    done = empirical_mount(*arguments, tmp_path / "mnt", check=False, env=variables, first=here)
    assert done.returncode != 0
    assert SECRET not in done.stderr + done.stdout
    line = done.stderr.splitlines()[-1]
    assert line.startswith("empirical-mount: ")
    if "error:" not in line:
        assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "mnt") not in mounts()


@pytest.mark.parametrize("output", [">/dev/full", ">&-", "| :"])
def test_output_that_cannot_be_written(output: str) -> None:
    """One line says so, and no traceback."""
    command = mount_command("--doctor", "--api-url", "http://127.0.0.1:1", "--timeout", "1")
    done = run(
        "sh", "-c", f'"$@" {output}', "sh", *command, check=False, env=environment(EMPIRICALRUN_KEY=KEY)
    )
    lines = done.stderr.splitlines()
    assert lines == [] or (len(lines) == 1 and "cannot write the answer: " in lines[0]), done.stderr
    assert (output == ">/dev/full") <= (len(lines) == 1)
