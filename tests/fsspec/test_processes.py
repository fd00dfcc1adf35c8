"""A file system and its open files work in other processes, however these were started, and end with them."""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from empirical_fs.fsspec import EmpiricalFileSystem
from tests.fsspec.conftest import OpenFs
from tests.support.harness import KEY, Sandbox, environment, noise, wait_until

SIZE = 5 * 2**20
CONTENT = noise(SIZE)
_SECONDS = 60


@pytest.fixture
def one(sandbox: Sandbox, fs: OpenFs) -> Any:
    sandbox.put("data.bin", CONTENT)
    for number in range(20):
        sandbox.put(f"{number}.bin", noise(2000, number))
    return fs()


def in_a_fork(work: Callable[[], bool]) -> bool:
    """Whether `work` succeeds in a forked process, which must end by itself."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    ended = threading.Timer(_SECONDS, os.kill, (pid, 9))
    ended.start()
    try:
        return os.waitpid(pid, 0)[1] == 0
    finally:
        ended.cancel()


def test_a_forked_process_goes_on_where_its_parent_was(one: Any) -> None:
    with one.open("data.bin") as file:
        assert file.read(100) == CONTENT[:100]

        def works() -> bool:
            return bool(
                file.read(100) == CONTENT[100:200] and one.cat("3.bin") == noise(2000, 3) and not file.close()
            )

        assert in_a_fork(works)
        assert in_a_fork(works)
        assert file.read(100) == CONTENT[100:200]


def test_a_fork_in_the_middle_of_reads_hangs_nobody(one: Any) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(4) as pool:

        def read() -> None:
            while not stop.is_set():
                assert one.cat_file("data.bin", 0, 2**20) == CONTENT[: 2**20]

        reading = [pool.submit(read) for _ in range(4)]
        try:
            assert all(in_a_fork(lambda: bool(one.cat("data.bin") == CONTENT)) for _ in range(5))
        finally:
            stop.set()
        for each in reading:
            each.result()


def size_of(one: Any) -> int:
    return int(one.size("data.bin"))


def head_of(file: Any) -> bytes:
    return bytes(file.read(10))


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_a_pool_of_processes_reads(one: Any, way: str) -> None:
    with one.open("data.bin") as file, multiprocessing.get_context(way).Pool(1) as pool:
        file.seek(1000)
        assert pool.map(size_of, [one] * 2) == [SIZE] * 2
        assert pool.map(head_of, [file] * 2) == [CONTENT[1000:1010]] * 2


def test_an_open_file_that_was_replaced_is_not_read_elsewhere(one: Any, sandbox: Sandbox) -> None:
    with one.open("data.bin") as file:
        stored = pickle.dumps(file)
    assert pickle.loads(stored).read(10) == CONTENT[:10]
    sandbox.put("data.bin", noise(SIZE, 1))
    one.invalidate_cache()
    with pytest.raises(OSError, match="replaced"):
        pickle.loads(stored)


def test_threads_share_one_listing(one: Any, sandbox: Sandbox) -> None:
    def names(_: int) -> int:
        return len(EmpiricalFileSystem(api_url=sandbox.url).ls(""))

    sandbox.forget_requests()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(names, range(8))) == {21}
    assert sandbox.requests()["list"] == 1
    assert one == EmpiricalFileSystem(api_url=sandbox.url) == pickle.loads(pickle.dumps(one))


def test_a_file_system_that_nobody_has_ends_its_threads(one: Any) -> None:
    def held(what: str) -> int:
        return len(list(Path("/proc/self", what).iterdir()))

    threads, descriptors = held("task"), held("fd")
    another = EmpiricalFileSystem(api_url=one.storage_options["api_url"], memory="8M")
    assert another.cat("data.bin") == CONTENT
    assert another.open("data.bin").read(10) == CONTENT[:10]
    assert held("task") > threads
    EmpiricalFileSystem.clear_instance_cache()
    del another
    gc.collect()
    wait_until(lambda: held("task") <= threads and held("fd") <= descriptors, "the end of all threads")


PROGRAM = """
import fsspec, multiprocessing
fs = fsspec.filesystem('empirical', api_url={url!r}, cache=True, cache_dir={folder!r})
if __name__ == '__main__':
    way = {way!r}
    if way:
        child = multiprocessing.get_context(way).Process(target=fs.cat_file, args=('old.bin',))
        child.start()
        child.join()
        assert not child.exitcode
    else:
        fs.cat_file('data.bin')
        fs.cat_file('old.bin')
"""


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver", ""])
def test_what_a_short_process_has_read_is_in_the_cache(
    one: Any, sandbox: Sandbox, tmp_path: Path, way: str
) -> None:
    del one
    sandbox.put("old.bin", CONTENT, mtime=1.6e9)
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.format(url=sandbox.url, folder=str(tmp_path / "cache"), way=way))
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(EMPIRICALRUN_KEY=KEY),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    sandbox.forget_requests()
    again = EmpiricalFileSystem(api_url=sandbox.url, cache=True, cache_dir=str(tmp_path / "cache"))
    assert again.cat_file("old.bin") == CONTENT
    # A byte shows whether it is still that version; and a busy disk may not have kept all in time.
    assert sum(stop - start for start, stop in sandbox.spans()) < SIZE // 2


ENDS = {
    "with an open file": "file = fs.open('data.bin'); file.read(10)",
    "with a read under way": "import threading; f = fs.open('data.bin')\n"
    "threading.Thread(target=fs.cat, args=('data.bin',), daemon=True).start()",
}


def test_a_read_while_python_ends_fails_at_once(one: Any, sandbox: Sandbox) -> None:
    program = f"""
import fsspec, time
fs = fsspec.filesystem('empirical', api_url={sandbox.url!r})
file = fs.open('data.bin')
file.read(10)

class Late:
    def __del__(self, clock=time.monotonic, error=OSError, out=print):
        far = lambda: file.seek(2**21) and file.read(10)
        for ask in (lambda: fs.cat_file('data.bin'), far, lambda: fs.ls('')):
            begin = clock()
            try:
                ask()
            except error as caught:
                out(caught.strerror, clock() - begin < 5)
        file.close()

late = Late()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(EMPIRICALRUN_KEY=KEY),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Python is ending, so nothing more can be read True\n" * 3, "")


@pytest.mark.parametrize("work", ENDS.values(), ids=ENDS.keys())
def test_a_process_ends_silently(one: Any, sandbox: Sandbox, work: str) -> None:
    program = f"import fsspec\nfs = fsspec.filesystem('empirical', api_url={sandbox.url!r})\n{work}\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment(EMPIRICALRUN_KEY=KEY),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
