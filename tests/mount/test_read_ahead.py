"""What is fetched ahead of a reader: for whom, for how long, in how much memory, and never twice."""

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from empirical_fs.reading.read_ahead import KEPT_BEHIND
from tests.conftest import Mount
from tests.support.harness import Mounted, Sandbox, noise, run, wait_until

KIB, MIB = 2**10, 2**20
STEP = 128 * KIB
BIG = 24 * MIB


@pytest.fixture
def big(sandbox: Sandbox) -> bytes:
    """The content of `big.bin`, of which a store that takes its time sends 20 MB/s a connection."""
    content = noise(BIG)
    sandbox.put("big.bin", content)
    sandbox.plan(store_latency_s=0.03, bytes_per_second=20_000_000)
    return content


def resident(mounted: Mounted) -> int:
    """Bytes of memory that the process of a mount has now."""
    status = Path(f"/proc/{mounted.pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * KIB


def test_a_stream_is_fetched_by_several_requests_at_once(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """A slow connection does not hold up a reader who could have several: each byte comes once."""
    with mount() as mounted:
        assert (mounted / "big.bin").read_bytes() == big
        requests = sandbox.requests()
        asked = sandbox.spans()
    assert requests["in_flight_peak"]["store"] >= 4
    assert requests["object_bytes"] == BIG
    assert (asked[0][0], asked[-1][1]) == (0, BIG)
    assert all(before[1] == after[0] for before, after in pairwise(asked))


def test_a_log_is_read_from_its_end(sandbox: Sandbox, mount: Mount) -> None:
    """tac reads blocks backward: the next ones are foreseen and come side by side, each byte once."""
    lines = [f"line {number:06}\n" for number in range(40_000)]
    sandbox.put("growing.log", "".join(lines).encode())
    sandbox.plan(store_latency_s=0.1)
    with mount() as mounted:
        assert run("tac", mounted / "growing.log").stdout == "".join(reversed(lines))
        requests = sandbox.requests()
        asked = sandbox.spans()
    assert requests["in_flight_peak"]["store"] >= 4
    assert all(before[1] == after[0] for before, after in pairwise(asked))


def test_two_programs_read_one_file(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """Two programs that read a file at the same time download it once, past the kernel's cache too."""
    script = (
        "import os, sys\n"
        "file = os.open(sys.argv[1], os.O_RDONLY)\n"
        "os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)\n"
        "while piece := os.read(file, 1 << 17): os.write(1, piece)\n"
    )
    with mount() as mounted:
        commands = [[sys.executable, "-c", script, str(mounted / "big.bin")]] * 2
        programs = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
        with ThreadPoolExecutor() as pool:
            outputs = list(pool.map(lambda program: program.communicate(timeout=60)[0], programs))
        requests = sandbox.requests()
    assert outputs == [big, big]
    assert requests["object_bytes"] <= BIG * 1.02


@pytest.mark.parametrize("bytes_per_second", [20_000_000, 4_000_000])
def test_several_streams_in_one_file(
    sandbox: Sandbox, mount: Mount, big: bytes, bytes_per_second: int
) -> None:
    """Three places of one file, read on in turn by one handle, are three streams: what is held comes once.

    The slower the store, the farther a stream is read ahead: into where the next one began, in the end.
    """
    sandbox.plan(store_latency_s=0.03, bytes_per_second=bytes_per_second)
    begins, length = [0, 8 * MIB, 16 * MIB], 4 * MIB
    with mount() as mounted, (mounted / "big.bin").open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for offset in range(0, length, STEP):
            for begin in begins:
                start = begin + offset
                assert os.pread(file.fileno(), STEP, start) == big[start : start + STEP]
        asked = sandbox.spans()
    times = Counter(block for start, stop in asked for block in range(start, stop, STEP))
    assert set(times) <= set(range(0, BIG, STEP))
    assert max(times.values()) <= 2
    # Nothing is held any more of what a stream has left well behind.
    left = {block for begin in begins[1:] for block in range(begin, begin + length - KEPT_BEHIND, STEP)}
    assert {block for block in times if times[block] == 2} <= left
    assert len(asked) <= 3 * length // STEP // 2


def test_backward(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """A file that is read from its end to its start is foreseen, and no byte comes twice."""
    with mount() as mounted:
        with (mounted / "big.bin").open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for start in range(8 * MIB - STEP, -1, -STEP):
                assert os.pread(file.fileno(), STEP, start) == big[start : start + STEP]
        requests = sandbox.requests()
    assert requests["object_bytes"] <= 8 * MIB + STEP
    assert requests["in_flight_peak"]["store"] >= 4


def test_bytes_are_handed_over_as_they_arrive(sandbox: Sandbox, mount: Mount) -> None:
    """The first bytes of a long part are read while its rest is still to come, which takes seconds more."""
    content = noise(4 * MIB)
    sandbox.put("slow.bin", content)
    sandbox.plan(faults=[{"on": "object", "action": {"type": "stall", "after": 200_000, "seconds": 8}}])
    with mount() as mounted, (mounted / "slow.bin").open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        begin = time.monotonic()
        # The second read begins a part of which the store sends 200,000 bytes, then nothing for long.
        assert os.pread(file.fileno(), 64 * KIB, 0) == content[: 64 * KIB]
        assert os.pread(file.fileno(), 64 * KIB, 64 * KIB) == content[64 * KIB : 128 * KIB]
        assert os.pread(file.fileno(), 64 * KIB, 128 * KIB) == content[128 * KIB : 192 * KIB]
        assert time.monotonic() - begin < 7


def test_reading_stops_when_nobody_reads(sandbox: Sandbox, mount: Mount, big: bytes) -> None:
    """Soon after the last handle is closed no request is under way, and no memory is held."""
    with mount() as mounted:
        with (mounted / "big.bin").open("rb", buffering=0) as file:
            for _ in range(16):
                file.read(STEP)

        def is_quiet() -> bool:
            sandbox.forget_requests()
            return bool(sandbox.requests()["in_flight_peak"]["store"] == 0)

        wait_until(is_quiet, "the end of all requests", patience=10)
        sandbox.forget_requests()
        assert (mounted / "big.bin").read_bytes() == big
        assert sandbox.requests()["object_bytes"] <= BIG


@pytest.mark.parametrize("memory", [1, 16])
def test_many_files_at_once_stay_in_the_budget(sandbox: Sandbox, mount: Mount, memory: int) -> None:
    """However many files are read at once, what is held for them stays in `--memory`, and all are right."""
    count, size = 14, 6 * MIB
    contents = {f"{number}.bin": noise(size, number) for number in range(count)}
    for name, content in contents.items():
        sandbox.put(name, content)
    with mount("--memory", f"{memory}M") as mounted:
        run("ls", "-l", mounted.path)
        before = resident(mounted)
        with ThreadPoolExecutor(count) as pool:
            reading = {name: pool.submit((mounted / name).read_bytes) for name in contents}
            peak = wait_until_done(mounted, list(reading.values()))
        assert all(reading[name].result() == content for name, content in contents.items())
    # Threads, connections and the buffers of libfuse come on top: far less than the files hold together.
    assert peak - before <= memory * MIB + 64 * MIB
    assert count * size > memory * MIB + 64 * MIB


def wait_until_done(mounted: Mounted, reading: list[Future[bytes]]) -> int:
    """The most memory that the mount had until all was read."""
    peak = 0

    def is_done() -> bool:
        nonlocal peak
        peak = max(peak, resident(mounted))
        return all(each.done() for each in reading)

    wait_until(is_done, "all files", patience=60)
    return peak
