"""Those who read while all else goes wrong, and what they saw."""

import errno
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path

from tests.soak.project import KIB, Contents
from tests.support.harness import Mounted, environment

_ALLOWED = (errno.EIO, errno.ESTALE)
_PIECES = (4 * KIB, 16 * KIB, 128 * KIB)
_PIECE = _PIECES[-1]
_RSYNC_PARTIAL = (0, 23, 24)
"""All is there, or rsync has said what is not (rsync(1))."""

_RSYNC_SECONDS = 300
_BESIDE, _STAY_SECONDS = 4, 10.0
"""Readers of a mount that comes and goes, and how long it stays."""
_REFUSAL = "this is not the Empirical API"
"""Why a mount does not start, if the first answer that it gets is a page of HTML."""


class Seen:
    """What came of all reads. The lock guards all of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reads = 0
        self.bytes = 0
        self.wrong: list[str] = []
        self.errors = Counter[str]()
        self.longest = 0.0
        self.longest_end = 0.0
        """Seconds that a killed program took to end, at most."""
        self.work = Counter[str]()

    def read(self, size: int, seconds: float) -> None:
        with self._lock:
            self.reads += 1
            self.bytes += size
            self.longest = max(self.longest, seconds)

    def ended(self, seconds: float) -> None:
        with self._lock:
            self.longest_end = max(self.longest_end, seconds)

    def failed(self, error: OSError, seconds: float) -> None:
        with self._lock:
            self.errors[errno.errorcode.get(error.errno or 0, str(error))] += 1
            self.longest = max(self.longest, seconds)
            if error.errno not in _ALLOWED:
                self.wrong.append(f"an error that no file system gives here: {error}")

    def found_wrong(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)

    def did(self, work: str) -> None:
        with self._lock:
            self.work[work] += 1


class _Counted(Exception):
    """A read that failed, which was taken note of."""


class Readers:
    """Threads that read until told to stop."""

    def __init__(self, root: Path, contents: Contents, copy: Path, seen: Seen) -> None:
        self._root = root
        self._contents = contents
        self._copy = copy
        self._seen = seen
        self._stop = threading.Event()
        self._broken: list[BaseException] = []

    @contextmanager
    def reading(self, count: int, seed: int) -> Iterator[None]:
        """Have `count` threads read, one more rsync, and one replace files, for the block."""
        works: list[Callable[[random.Random], None]] = [self._read_something] * count
        works += [self._rsync, self._replace]
        threads = [
            threading.Thread(target=self._repeat, args=(work, random.Random(f"{seed}-{number}")))
            for number, work in enumerate(works)
        ]
        self._stop.clear()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._broken:
            raise self._broken[0]

    def _repeat(self, work: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            while not self._stop.is_set():
                work(chance)
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits for this one
            self._broken.append(error)

    def _read_something(self, chance: random.Random) -> None:
        name = chance.choice(self._contents.names)
        work = chance.choices([self._whole, self._here_and_there, self._killed], [6, 3, 1])[0]
        self._seen.did(work.__name__.strip("_"))
        begun = time.monotonic()
        try:
            work(name, chance)
        except _Counted:
            pass
        except OSError as error:
            self._seen.failed(error, time.monotonic() - begun)

    def _whole(self, name: str, chance: random.Random) -> None:
        with self._opened(name) as descriptor:
            got = bytearray()
            size = chance.choice(_PIECES)
            while (piece := self._pread(descriptor, size, len(got))) and not self._stop.is_set():
                got += piece
        versions = self._contents.versions(name)
        if not any(version.startswith(got) and (piece or len(version) == len(got)) for version in versions):
            self._seen.found_wrong(f"{name}, {len(got)} bytes that it never had")

    def _here_and_there(self, name: str, chance: random.Random) -> None:
        with self._opened(name) as descriptor:
            got: list[tuple[int, int, bytes]] = []
            longest = max(len(version) for version in self._contents.versions(name))
            for _ in range(chance.randrange(1, 20)):
                start, size = chance.randrange(longest + 10), chance.randrange(1, _PIECE)
                got.append((start, size, self._pread(descriptor, size, start)))
        if not any(
            all(version[start : start + size] == piece for start, size, piece in got)
            for version in self._contents.versions(name)
        ):
            self._seen.found_wrong(f"{name}, pieces that no version had all of")

    def _killed(self, name: str, chance: random.Random) -> None:
        """A program that is killed while it reads."""
        with subprocess.Popen(
            ["cat", self._root / name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        ) as process:
            try:
                process.wait(chance.random() / 2)
            except subprocess.TimeoutExpired:
                process.kill()
            begun = time.monotonic()
            process.wait()
            self._seen.ended(time.monotonic() - begun)

    def _rsync(self, _chance: random.Random) -> None:
        """Small files and those that are replaced; what is in the copy is always a whole version."""
        self._seen.did("rsync")
        done = subprocess.run(
            ["rsync", "-a", "--exclude=large.bin", "--delete", f"{self._root}/", self._copy],
            capture_output=True,
            timeout=_RSYNC_SECONDS,
            env=environment(),
            check=False,
        )
        if done.returncode not in _RSYNC_PARTIAL:
            self._seen.found_wrong(f"rsync ended with {done.returncode}: {done.stderr[-200:]!r}")
        for each in self._copy.iterdir():
            content = each.read_bytes()
            if content not in self._contents.versions(each.name):
                self._seen.found_wrong(f"rsync's copy of {each.name}, which it never was")

    def _replace(self, chance: random.Random) -> None:
        self._contents.replace(chance.choice(self._contents.moving))
        self._stop.wait(1)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptor = os.open(self._root / name, os.O_RDONLY)
        try:
            # What the kernel has of it needs no request; what another program uses just now stays.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            yield descriptor
        finally:
            os.close(descriptor)

    def _pread(self, descriptor: int, size: int, start: int) -> bytes:
        """So many bytes, fewer only at the end: one call may also bring what came before an error."""
        whole = bytearray()
        while len(whole) < size:
            begun = time.monotonic()
            try:
                piece = os.pread(descriptor, size - len(whole), start + len(whole))
            except OSError as error:
                self._seen.failed(error, time.monotonic() - begun)
                raise _Counted from error
            self._seen.read(len(piece), time.monotonic() - begun)
            if not piece:
                break
            whole += piece
        return bytes(whole)


@contextmanager
def coming_and_going(
    mounted: Callable[[], AbstractContextManager[Mounted]], readers_of: Callable[[Path], Readers], seen: Seen
) -> Iterator[None]:
    """Have something mounted, read for a few seconds, and unmounted, again and again, for the block."""
    stop = threading.Event()

    def come_and_go() -> None:
        for number in count():
            if stop.is_set():
                return
            with ExitStack() as stack:
                try:
                    mount = stack.enter_context(mounted())
                except AssertionError as error:
                    if _REFUSAL not in str(error):
                        raise
                    seen.did("refused")
                    continue
                stack.enter_context(readers_of(mount.path).reading(_BESIDE, number))
                stop.wait(_STAY_SECONDS)
            seen.did("remount")

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(come_and_go)
        try:
            yield
        finally:
            stop.set()
            work.result()
