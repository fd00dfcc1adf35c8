"""Who is interrupted while it waits for bytes ends at once, and takes its request along."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import Mount
from tests.support.harness import PATIENCE, Mounted, Sandbox, environment, noise, run, wait_until

pytestmark = pytest.mark.both_libraries

CONTENT = noise(3_000_000)
AT_ONCE = 4.0
"""Seconds: after five, what stalls is asked for again, and after thirty it fails."""
"""Seconds; without an interruption, a stalled body is left alone for five."""

_ESTABLISHED = "01"


@pytest.fixture
def stalled(sandbox: Sandbox) -> Sandbox:
    """A project whose store sends a little of each body and then nothing for long."""
    sandbox.put("a.bin", CONTENT)
    sandbox.put("b.bin", CONTENT)
    action = {"type": "stall", "after": 1000, "seconds": 600}
    sandbox.plan(faults=[{"on": "object", "action": action}])
    return sandbox


def reader(path: Path, *, program: str) -> subprocess.Popen[bytes]:
    """A process that waits for the first bytes of a file."""
    handled = "import signal, os; signal.signal(signal.SIGUSR1, lambda *_: os._exit(7));"
    commands: dict[str, list[str | Path]] = {
        "cat": ["cat", path],
        "dd direct": ["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"],
        "handler": [
            *(sys.executable, "-c"),
            f"{handled} file = os.open({str(path)!r}, os.O_RDONLY | os.O_DIRECT); os.pread(file, 4096, 0)",
        ],
    }
    return subprocess.Popen(
        commands[program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    )


def connections(sandbox: Sandbox, mounted: Mounted) -> int:
    """How many connections the mount has to the sandbox."""
    port = f":{urlsplit(sandbox.url).port:04X}"
    held = set()
    for each in Path(f"/proc/{mounted.pid}/fd").iterdir():
        try:
            held.add(str(each.readlink()))
        except OSError:
            continue  # closed meanwhile
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        1
        for line in lines
        if line[2].endswith(port) and line[3] == _ESTABLISHED and f"socket:[{line[9]}]" in held
    )


@pytest.mark.parametrize(
    ("program", "number"),
    [
        ("cat", signal.SIGINT),
        ("cat", signal.SIGTERM),
        ("cat", signal.SIGKILL),
        ("dd direct", signal.SIGINT),
        ("dd direct", signal.SIGKILL),
        ("handler", signal.SIGUSR1),
    ],
)
def test_a_reader_that_is_interrupted_ends_at_once(
    stalled: Sandbox, mount: Mount, program: str, number: signal.Signals
) -> None:
    """The program is gone long before any deadline, and so is its request."""
    with mount() as mounted:
        idle = connections(stalled, mounted)
        with reader(mounted / "a.bin", program=program) as process:
            wait_until(lambda: stalled.requests()["object"], "the request")
            wait_until(lambda: connections(stalled, mounted) >= idle, "its connection")
            during = connections(stalled, mounted)
            begun = time.monotonic()
            process.send_signal(number)
            process.wait(PATIENCE)
            assert time.monotonic() - begun < AT_ONCE
        wait_until(lambda: connections(stalled, mounted) < during, "the end of the request", AT_ONCE)
        assert [line for line in mounted.log_lines() if "WARNING" in line or "ERROR" in line] == []


def test_who_waits_for_the_same_bytes_goes_on(stalled: Sandbox, mount: Mount) -> None:
    """Of two programs that wait for one page, the death of one does not fail the other."""
    with mount() as mounted:
        with reader(mounted / "a.bin", program="cat") as first:
            wait_until(lambda: stalled.requests()["object"], "the request")
            with subprocess.Popen(
                ["sha256sum", mounted / "a.bin"], stdout=subprocess.PIPE, env=environment()
            ) as second:
                wait_until(lambda: _is_waiting(second.pid), "the second reader's wait")
                first.kill()
                first.wait(PATIENCE)
                stalled.plan()
                output, _ = second.communicate(timeout=PATIENCE)
        assert second.returncode == 0
        wanted = subprocess.run(["sha256sum"], input=CONTENT, capture_output=True, check=True).stdout
        assert output.split()[0] == wanted.split()[0]


@pytest.mark.by_program
def test_the_file_is_well_after_an_interruption(stalled: Sandbox, mount: Mount) -> None:
    """What an interrupted read left undone is read by the next one, and not page by page."""
    with mount() as mounted:
        with reader(mounted / "a.bin", program="cat") as process:
            wait_until(lambda: stalled.requests()["object"], "the request")
            process.kill()
            process.wait(PATIENCE)
        stalled.plan()
        stalled.forget_requests()
        assert (mounted / "a.bin").read_bytes() == CONTENT
        # The kernel would ask for each page alone that it has of a read which came to nothing.
        assert 4096 not in {stop - start for start, stop in stalled.spans()}


def test_a_hundred_killed_readers_hold_up_nobody(stalled: Sandbox, mount: Mount) -> None:
    """Readers that are killed leave no request behind that others would have to wait for."""
    with mount() as mounted:
        readers = [reader(mounted / "a.bin", program="cat") for _ in range(100)]
        wait_until(lambda: stalled.requests()["object"], "the request")
        for process in readers:
            process.kill()
        for process in readers:
            process.wait(PATIENCE)
        stalled.plan()
        begun = time.monotonic()
        assert (mounted / "b.bin").read_bytes() == CONTENT
        assert time.monotonic() - begun < 2 * AT_ONCE


def test_a_direct_read_that_is_interrupted_says_so(stalled: Sandbox, mount: Mount) -> None:
    """The read itself fails with EINTR, as POSIX has it, where a handler returns."""
    script = """if True:
        import os, signal, sys
        def interrupted(*_): raise InterruptedError
        signal.signal(signal.SIGUSR1, interrupted)
        file = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
        try: os.pread(file, 4096, 0)
        except InterruptedError: sys.exit(42)
    """
    with mount() as mounted:
        command = [sys.executable, "-c", script, str(mounted / "a.bin")]
        with subprocess.Popen(command, env=environment()) as process:
            wait_until(lambda: stalled.requests()["object"], "the request")
            begun = time.monotonic()
            process.send_signal(signal.SIGUSR1)
            assert process.wait(PATIENCE) == 42
            assert time.monotonic() - begun < AT_ONCE


MAPPER = """if True:
    import mmap, os, signal, sys
    handled = []
    file = os.open(sys.argv[1], os.O_RDONLY | (os.O_DIRECT if sys.argv[2] == "direct" else 0))
    mapped = mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    # What the runtime of Go does to its threads.
    signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.11, 0.11)
    for offset in (0, 1_000_000):
        if sys.argv[2] == "direct":
            found = os.pread(file, 4096, offset - offset % 4096)[offset % 4096 :][:10]
        else:
            found = mapped[offset : offset + 10]
        print(found.hex(), flush=True)
    signal.setitimer(signal.ITIMER_REAL, 0)  # as it ends, Python hears no signal any more
    assert handled
"""


@pytest.mark.parametrize("how", ["mapped", "direct"])
def test_a_reader_whose_signals_come_faster_than_answers(sandbox: Sandbox, mount: Mount, how: str) -> None:
    """Each signal interrupts what it waits for, and it gets on, by no more requests than without signals."""
    sandbox.put("a.bin", CONTENT)
    sandbox.plan(store_latency_s=1.2)
    with mount() as mounted:
        done = run(sys.executable, "-c", MAPPER, mounted / "a.bin", how, timeout=PATIENCE)
        assert done.stdout.split() == [CONTENT[at : at + 10].hex() for at in (0, 1_000_000)]
        assert sandbox.requests()["object"] <= 4


def test_a_reader_that_is_killed_after_signals_that_it_handled(stalled: Sandbox, mount: Mount) -> None:
    """What went on for it ends with it."""
    with mount() as mounted:
        idle = connections(stalled, mounted)
        command: list[str | Path] = [sys.executable, "-c", MAPPER, mounted / "a.bin", "mapped"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
            wait_until(lambda: stalled.requests()["object"], "the request")
            begun = time.monotonic()
            wait_until(lambda: time.monotonic() > begun + 1.2, "some signals")
            assert connections(stalled, mounted) > idle
            process.kill()
            process.wait(PATIENCE)
        wait_until(lambda: connections(stalled, mounted) <= idle, "the end of the request", AT_ONCE)


def _is_waiting(pid: int) -> bool:
    """Whether the process sleeps in the kernel for a page or an answer."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state in "DS"
