"""What the mount does while the network, or one server, is away, and when it comes back."""

import errno
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import Mount
from tests.support.harness import Mounted, Sandbox, locked_in_memory, mounted, noise, run, serving, wait_until
from tests.support.wire import Listening, hang_up

TIMEOUT = 3.0
AT_ONCE = TIMEOUT / 2
RECOVERS_WITHIN = 20.0
BY_THE_DEADLINE = 1.9 * TIMEOUT
"""Less than two deadlines, one after the other."""
CONTENT = noise(300_000)
NAMES = [f"{number}.bin" for number in range(40)]


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """Forty files that nobody has read."""
    for name in NAMES:
        sandbox.put(name, CONTENT)
    return sandbox


@contextmanager
def away(sandbox: Sandbox) -> Iterator[None]:
    """The servers accept connections and never answer: a network that swallows all."""
    sandbox.send(signal.SIGSTOP)
    try:
        yield
    finally:
        sandbox.send(signal.SIGCONT)


def failure(path: Path) -> tuple[int | None, float]:
    """The errno of reading a file, None if it can be read and is right, and the seconds until then."""
    begun = time.monotonic()
    number = None
    try:
        assert path.read_bytes() == CONTENT
    except OSError as error:
        number = error.errno
    return number, time.monotonic() - begun


@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn(r"read /\d+.bin: (.*answer|it could not be had) in time")
def test_while_the_network_is_away(project: Sandbox, mount: Mount) -> None:
    """The first read fails by the deadline, later ones at once; what needs no network works as ever."""
    with mount("--timeout", str(TIMEOUT)) as mounted:
        assert failure(mounted / NAMES[0])[0] is None
        # Tests beside this one drop what is cached.
        with locked_in_memory(mounted / NAMES[0]), away(project):
            number, seconds = failure(mounted / NAMES[1])
            assert number == errno.EIO
            assert TIMEOUT * 0.7 < seconds < BY_THE_DEADLINE
            for name in NAMES[1:11]:
                number, seconds = failure(mounted / name)
                assert number == errno.EIO
                assert seconds < AT_ONCE, f"{name} took {seconds} s"
            begun = time.monotonic()
            assert failure(mounted / NAMES[0])[0] is None, "cached pages"
            assert mounted.names() == set(NAMES)
            assert (mounted / NAMES[20]).stat().st_size == len(CONTENT)
            run("ls", "-l", mounted.path)
            run("df", mounted.path)
            assert time.monotonic() - begun < TIMEOUT
        wait_until(
            lambda: failure(mounted / NAMES[1])[0] is None, "the first read that works", RECOVERS_WITHIN
        )
        assert [failure(mounted / name)[0] for name in NAMES] == [None] * len(NAMES)
        assert said(mounted, "is out of reach") == 1
        assert said(mounted, "answers again") == 1


@pytest.mark.may_warn("127.0.0.1 (is out of reach; reads|answers again)")
def test_opens_of_what_was_read_before(project: Sandbox, mount: Mount) -> None:
    """Each asks the store whether the file is still the same; if that is silent, one waits, not all."""
    with mount("--refresh", "1000") as mounted, ExitStack() as kept:
        for name in NAMES[:4]:
            assert failure(mounted / name)[0] is None
            kept.enter_context(locked_in_memory(mounted / name))
        read_at = time.monotonic()
        wait_until(lambda: time.monotonic() > read_at + 2.5, "the time in which nothing is asked for again")
        with away(project):
            seconds = []
            for name in NAMES[:4]:
                closed_at = time.monotonic()
                wait_until(lambda at=closed_at: time.monotonic() > at + 0.4, "a pause")  # type: ignore[misc]
                number, took = failure(mounted / name)
                assert number is None
                seconds.append(took)
            assert sum(each > 1 for each in seconds) == 1, seconds


@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn(r"read /\d+.bin: (.*answer|it could not be had) in time")
def test_it_recovers_though_nobody_asks(project: Sandbox, mount: Mount) -> None:
    """Whoever comes after the network is back finds that all is well, be it the first."""
    with mount("--timeout", str(TIMEOUT)) as mounted:
        with away(project):
            assert failure(mounted / NAMES[0])[0] == errno.EIO
            wait_until(lambda: said(mounted, "is out of reach"), "the outage in the log")
        wait_until(lambda: said(mounted, "answers again"), "the end of the outage", RECOVERS_WITHIN)
        assert [failure(mounted / name)[0] for name in NAMES] == [None] * len(NAMES)


@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn(r"read /\d+.bin: (.*answer|it could not be had) in time")
def test_many_readers_in_an_outage(project: Sandbox, mount: Mount) -> None:
    """Forty programs that begin to read as the network goes all fail in time, and all can read again."""
    with mount("--timeout", str(TIMEOUT)) as mounted, ThreadPoolExecutor(len(NAMES)) as pool:
        with away(project):
            failures = list(pool.map(lambda name: failure(mounted / name), NAMES))
            assert {number for number, _ in failures} == {errno.EIO}
            assert max(seconds for _, seconds in failures) < BY_THE_DEADLINE
            assert mounted.names() == set(NAMES)
        wait_until(lambda: failure(mounted / NAMES[0])[0] is None, "a read that works", RECOVERS_WITHIN)

        def all_read() -> bool:
            return {number for number, _ in pool.map(lambda name: failure(mounted / name), NAMES)} == {None}

        wait_until(all_read, "that all can read again")


@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn("read /long.bin: (it could not be had|.*answer) in time")
def test_an_open_handle_goes_on_afterwards(project: Sandbox, mount: Mount) -> None:
    """A program that holds its file open through an outage reads on, from the byte where it was."""
    project.put("long.bin", noise(40_000_000, 7))
    with mount("--timeout", str(TIMEOUT)) as mounted:
        with (mounted / "long.bin").open("rb", buffering=0) as file:
            got = bytearray(file.read(1_000_000))
            with away(project):
                wait_until(lambda: reads(file.read, got) == errno.EIO, "the outage", 60)
            wait_until(lambda: reads(file.read, got) is None, "the first bytes", RECOVERS_WITHIN)
            while piece := file.read(2**20):
                got += piece
        assert got == noise(40_000_000, 7)


def reads(read: Callable[[int], bytes | None], got: bytearray) -> int | None:
    """Read some more; the errno if that fails."""
    try:
        got += read(2**20) or b""
    except OSError as error:
        return error.errno
    return None


@pytest.mark.warns(r"read /\d+.bin: (the connection to .* broke off|it could not be had in time)")
def test_one_bad_file_is_no_outage(project: Sandbox, mount: Mount) -> None:
    """A server that is silent about one file alone still serves the others, at once."""
    bad = project.id_of(NAMES[0])
    project.plan(faults=[{"on": "object", "ids": [bad], "action": {"type": "reset"}}])
    with mount("--timeout", str(TIMEOUT)) as mounted, ThreadPoolExecutor(1) as pool:
        failing = pool.submit(failure, mounted / NAMES[0])
        while not failing.done():
            assert failure(mounted / NAMES[1])[0] is None
        assert failing.result()[0] == errno.EIO
        assert failure(mounted / NAMES[3])[0] is None


@pytest.mark.warns(r"read /\d+.bin: .*answer in time")
def test_readers_of_one_silent_file_share_a_deadline(project: Sandbox, mount: Mount) -> None:
    """The kernel has one of those ask who wait for one page: the others have waited as long as that one."""
    bad = project.id_of(NAMES[0])
    readers = 8
    with (
        mount("--timeout", str(TIMEOUT)) as mounted,
        ExitStack() as stack,
        ThreadPoolExecutor(readers) as pool,
    ):
        files = [stack.enter_context((mounted / NAMES[0]).open("rb", buffering=0)) for _ in range(readers)]
        assert failure(mounted / NAMES[1])[0] is None
        project.plan(faults=[{"on": "object", "ids": [bad], "action": {"type": "silence"}}])
        begun = time.monotonic()
        assert list(pool.map(lambda file: reads(file.read, bytearray()), files)) == [errno.EIO] * readers
        assert time.monotonic() - begun < TIMEOUT * readers / 2


@pytest.mark.warns(r"read /\d+.bin: .*answer in time")
def test_one_silent_file_costs_one_deadline(project: Sandbox, mount: Mount) -> None:
    """A read of it fails by the deadline, though the kernel asks for its pages twice; then it can be read."""
    bad = project.id_of(NAMES[0])
    project.plan(faults=[{"on": "object", "ids": [bad], "action": {"type": "silence"}}])
    with mount("--timeout", str(TIMEOUT)) as mounted, (mounted / NAMES[0]).open("rb", buffering=0) as file:
        # Nobody waits for an answer to find that the server is there.
        assert failure(mounted / NAMES[1])[0] is None
        begun = time.monotonic()
        got = bytearray()
        assert reads(file.read, got) == errno.EIO
        assert TIMEOUT * 0.7 < time.monotonic() - begun < BY_THE_DEADLINE
        project.plan()
        assert reads(file.read, got) is None
        assert CONTENT.startswith(bytes(got))


def said(mounted: Mounted, words: str) -> int:
    """How often the log says so."""
    return sum(words in line for line in mounted.log_lines())


@pytest.mark.warns("ERROR .*: the API refuses the key", "the API accepts the key again")
def test_a_key_that_is_revoked(project: Sandbox, mount: Mount) -> None:
    """EACCES, one line in the log, and few requests; put right again, it recovers by itself."""
    refused = {"on": "get", "action": {"type": "status", "status": 401}}
    with mount("--url-ttl", "0.05") as mounted:
        assert failure(mounted / NAMES[0])[0] is None
        project.plan(faults=[refused, {**refused, "on": "list"}])
        unread = iter(NAMES[1:])
        wait_until(lambda: failure(mounted / next(unread))[0] == errno.EACCES, "the refusal")
        project.forget_requests()
        for name in unread:
            assert failure(mounted / name)[0] == errno.EACCES
        assert project.requests()["get"] + project.requests()["list"] <= 2
        assert said(mounted, "refuses the key") == 1
        assert sum("WARNING" in line or "ERROR" in line for line in mounted.log_lines()) <= 2
        project.plan()
        last = mounted / NAMES[-1]
        wait_until(lambda: failure(last)[0] is None, "a read that works", 2 * RECOVERS_WITHIN)
        assert said(mounted, "accepts the key again") == 1


def test_who_asks_to_be_left_alone_is(project: Sandbox, mount: Mount) -> None:
    """After a 429 with Retry-After nobody asks before its time, whoever reads."""
    action = {"type": "status", "status": 429, "retry_after": "2"}
    project.plan(faults=[{"on": "object", "action": action, "times": 1}])
    with mount() as mounted, ThreadPoolExecutor(8) as pool:
        first = pool.submit(failure, mounted / NAMES[0])
        wait_until(lambda: project.requests()["faults"], "the refusal")
        begun, before = time.monotonic(), project.requests()["object"]
        others = pool.map(lambda name: failure(mounted / name), NAMES[1:])
        wait_until(lambda: project.requests()["object"] > before, "the next request")
        assert time.monotonic() - begun > 1.5
        assert {number for number, _ in [first.result(), *others]} == {None}


@pytest.mark.parametrize(
    "refusal",
    [{"status": 429, "retry_after": "1"}, {"status": 503, "retry_after": "1"}, {"status": 503}],
    ids=["429 after 1", "503 after 1", "503"],
)
def test_a_store_that_takes_two_at_once(project: Sandbox, mount: Mount, refusal: dict[str, object]) -> None:
    """However it refuses the rest, all who read get their bytes, and few requests are in vain."""
    action = {"type": "status", **refusal}
    project.plan(bytes_per_second=3_000_000, faults=[{"on": "object", "beside": 2, "action": action}])
    names = NAMES[:24]
    with mount() as mounted, ThreadPoolExecutor(len(names)) as pool:
        failures = list(pool.map(lambda name: failure(mounted / name), names))
        assert {number for number, _ in failures} == {None}
        assert project.requests()["faults"] < 3 * len(names)


@pytest.mark.warns(r"read /\d+.bin: (the store answered HTTP 50[0-9]|it could not be had in time)")
def test_files_that_fail_hold_up_no_others(project: Sandbox, mount: Mount) -> None:
    """Thirty readers whose requests are tried again and again leave room for one whose file is well."""
    bad = NAMES[:30]
    ids = [project.id_of(name) for name in bad]
    project.plan(faults=[{"on": "object", "ids": ids, "action": {"type": "status", "status": 503}}])
    with mount("--timeout", "8") as mounted, ThreadPoolExecutor(len(bad)) as pool:
        failing = [pool.submit(failure, mounted / name) for name in bad]
        wait_until(lambda: project.requests()["faults"] >= len(bad), "that all of them have failed once")
        number, seconds = failure(mounted / NAMES[-1])
        assert number is None
        assert seconds < 7
        assert {each.result()[0] for each in failing} == {errno.EIO}


@pytest.mark.may_warn("mnt is in use; unmounted under its users")
def test_heads_that_drip_hold_up_no_others(project: Sandbox, mount: Mount) -> None:
    """Twelve answers whose heads come byte by byte keep no thread from one that is well."""
    bad = NAMES[:12]
    action = {"type": "slow-head", "seconds": 60, "pieces": 1000}
    project.plan(faults=[{"on": "object", "ids": [project.id_of(name) for name in bad], "action": action}])
    with ThreadPoolExecutor(len(bad)) as pool, mount("--timeout", "30") as mounted:
        failing = [pool.submit(failure, mounted / name) for name in bad]
        wait_until(lambda: project.requests()["faults"] >= len(bad), "that all of them are asked for")
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 1, "some bytes of each")
        number, seconds = failure(mounted / NAMES[-1])
        assert number is None
        assert seconds < 10
        assert not any(each.done() for each in failing)
        mounted.kill(signal.SIGTERM)


@pytest.mark.warns(
    "store.invalid is out of reach; reads", r"read /\d+.bin: the name store.invalid is not known"
)
def test_a_host_that_no_name_server_knows(project: Sandbox, mount: Mount) -> None:
    """A file whose host cannot be resolved fails in time, and no other does."""
    query = "X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600&X-Amz-Signature=0"
    entry = {"url": f"https://store.invalid/o?{query}"}
    (project.folder / ".sandbox.json").write_text(json.dumps({NAMES[0]: entry}))
    with mount("--timeout", str(TIMEOUT)) as mounted:
        number, seconds = failure(mounted / NAMES[0])
        assert number == errno.EIO
        assert seconds < BY_THE_DEADLINE
        number, seconds = failure(mounted / NAMES[0])
        assert number == errno.EIO
        assert seconds < AT_ONCE
        assert [failure(mounted / name)[0] for name in NAMES[1:]] == [None] * (len(NAMES) - 1)


class Front(Listening):
    """What stands before a store: it closes `GET /` without an answer, and everything while it is down."""

    def __init__(self) -> None:
        self.server_port = 0
        self.is_down = False
        self.garbled = b"never asked for"
        super().__init__()
        self.host = self.origin.removeprefix("http://")

    def serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server_port)) as server:
            back = threading.Thread(target=pump, args=(server, connection))
            back.start()
            while asked := connection.recv(2**16):
                if self.is_down or asked.startswith(b"GET / "):
                    break
                if self.garbled in asked.split(b"\r\n", 1)[0]:
                    connection.sendall(b"\x00 no HTTP \r\n\r\n")
                    break
                server.sendall(asked)
            hang_up(server)
            back.join()
        hang_up(connection)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes until the end of either."""
    with suppress(OSError):
        while piece := source.recv(2**16):
            target.sendall(piece)


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front()
    yield front
    front.close()


@pytest.mark.warns("127.0.0.1 (is out of reach; reads|answers again)")
@pytest.mark.may_warn(
    r"WARNING .*: read /\d+.bin: (127.0.0.1 cannot be understood|the connection to 127.0.0.1 broke off)"
)
def test_a_front_that_does_not_answer_for_its_root(front: Front, tmp_path: Path) -> None:
    """What was read before shows that the store is back; an object that is garbled takes no other with it."""
    with serving(tmp_path / "project", tmp_path / "url", "--public-host", front.host) as project:
        front.server_port = int(project.url.rpartition(":")[2])
        for name in NAMES[:4]:
            project.put(name, CONTENT)
        with mounted(tmp_path / "mnt", project.url, "--timeout", str(TIMEOUT)) as mount:
            assert failure(mount / NAMES[0])[0] is None
            front.garbled = NAMES[1].encode()
            assert failure(mount / NAMES[1])[0] == errno.EIO
            assert failure(mount / NAMES[2])[0] is None
            front.is_down = True
            assert failure(mount / NAMES[3])[0] == errno.EIO
            wait_until(lambda: said(mount, "is out of reach"), "that it is known")
            front.is_down = False
            wait_until(lambda: failure(mount / NAMES[3])[0] is None, "the end of the outage", RECOVERS_WITHIN)
            assert said(mount, "answers again") == 1
