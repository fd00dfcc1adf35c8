"""A project that changes under a mount: new names soon, nobody waits, and no two versions are ever mixed."""

import errno
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import Mounted, Sandbox, environment, noise, opened, run, wait_until

pytestmark = pytest.mark.both_libraries

KIB, MIB = 2**10, 2**20
SIZE = MIB + 1
OLD_TIME, NEW_TIME = 1_600_000_000, 1_700_000_000
RESET = {"type": "reset"}


def pread(descriptor: int, size: int, offset: int) -> bytes | int:
    """The bytes that are read, or the errno."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        return error.errno or -1


def assert_old_or_stale(descriptor: int, old: bytes) -> None:
    """Every read through a handle gives the old bytes, all of them, or ESTALE."""
    for offset in (
        0,
        4 * KIB,
        300 * KIB,
        512 * KIB + 1,
        len(old) - 5000,
        len(old) - 1,
        len(old),
        len(old) + 4096,
    ):
        expected = old[offset : offset + 4 * KIB]
        assert pread(descriptor, 4 * KIB, offset) in (expected, errno.ESTALE), offset


def lists(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests for pages of the listing that the mount made; the tests' own ask for compression."""
    log = sandbox.requests()["log"]
    return [each for each in log if each["kind"] == "list" and each["accept_encoding"] == "identity"]


def refreshed(mounted: Mounted, sandbox: Sandbox, times: int = 2) -> None:
    """Look until the listing was fetched that many more times."""
    before = sum(each["status"] == 200 for each in lists(sandbox))

    def look() -> bool:
        mounted.names()
        return bool(sum(each["status"] == 200 for each in lists(sandbox)) >= before + times)

    wait_until(look, f"{times} refreshes")


def test_a_new_file_appears(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is uploaded while the project is mounted can be listed, found and read."""
    sandbox.put("a.txt", b"a")
    with mount("--refresh", "0.2") as mounted:
        assert not (mounted / "b.txt").exists()
        sandbox.put("b.txt", b"new")
        wait_until((mounted / "b.txt").exists, "the new file")
        assert mounted.names() == {"a.txt", "b.txt"}
        assert (mounted / "b.txt").read_bytes() == b"new"


@pytest.mark.warns(r"read /a.txt: the (file changed since|object has \d+ bytes, the listing says \d+)")
def test_attributes_that_the_kernel_keeps(sandbox: Sandbox, mount: Mount) -> None:
    """A refresh shows in sizes and dates at once, which the kernel keeps for a minute here."""
    sandbox.put("a.txt", b"a")
    with (
        mount("--refresh", "1000", "-o", "attr_timeout=60") as mounted,
        opened(mounted / "a.txt") as descriptor,
    ):
        sandbox.put("a.txt", b"longer")
        assert (mounted / "a.txt").stat().st_size == 1
        assert pread(descriptor, 1, 0) == errno.ESTALE
        wait_until(mounted.names, "a look at the directory")
        wait_until(lambda: (mounted / "a.txt").stat().st_size == 6, "the new size")


@pytest.mark.warns("read /a.txt: the (file changed since|object was deleted)")
def test_the_date_of_the_directory_that_the_kernel_keeps(sandbox: Sandbox, mount: Mount) -> None:
    """A new file shows in the date of the directory at once, though nothing else has changed."""
    sandbox.put("a.txt", b"a", OLD_TIME)
    gone = {"on": "object", "action": {"type": "status", "status": 404}}
    with (
        mount("--refresh", "1000", "-o", "attr_timeout=60") as mounted,
        opened(mounted / "a.txt") as descriptor,
    ):
        sandbox.plan(faults=[gone])
        sandbox.put("b.txt", b"b", NEW_TIME)
        assert mounted.path.stat().st_mtime == OLD_TIME
        assert pread(descriptor, 1, 0) == errno.ESTALE
        wait_until(mounted.names, "a look at the directory")
        wait_until(lambda: mounted.path.stat().st_mtime == NEW_TIME, "the new date")


def test_a_deleted_file_vanishes(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is deleted is found no more, by no call, although the kernel knew it well."""
    sandbox.put("a.txt", b"a")
    path = sandbox.put("b.txt", b"b")
    with mount("--refresh", "0.2") as mounted:
        assert (mounted / "b.txt").read_bytes() == b"b"
        path.unlink()
        wait_until(lambda: mounted.names() == {"a.txt"}, "the end of the file")
        # The kernel is told of it right after.
        wait_until(lambda: not (mounted / "b.txt").exists(), "the end of its name")
        with pytest.raises(FileNotFoundError):
            os.open(mounted / "b.txt", os.O_RDONLY)
        space = os.statvfs(mounted.path)
        assert space.f_blocks == 1


def test_a_long_refresh_does_not_keep_names_alive(sandbox: Sandbox, mount: Mount) -> None:
    """What one program's look at the directory brought to light holds for names that the kernel kept."""
    sandbox.put("a.txt", b"a")
    path = sandbox.put("b.txt", b"b")
    with mount("--refresh", "1") as mounted:
        assert (mounted / "b.txt").stat().st_size == 1
        path.unlink()
        wait_until(lambda: mounted.names() == {"a.txt"}, "the end of the file")
        # The kernel is told right after the listing shows it.
        wait_until(lambda: not (mounted / "b.txt").exists(), "the kernel to forget the name")


@pytest.mark.warns(r"read /a.bin: (the (file changed since|object was deleted)|resource \d+ is gone)")
def test_a_file_that_is_deleted_while_open_is_stale(sandbox: Sandbox, mount: Mount) -> None:
    """A handle on a deleted file gives the bytes that the kernel holds, and ESTALE for all others."""
    content = noise(SIZE)
    path = sandbox.put("a.bin", content)
    with mount("--refresh", "0.2") as mounted, opened(mounted / "a.bin") as descriptor:
        assert pread(descriptor, 4 * KIB, 0) == content[: 4 * KIB]
        path.unlink()
        assert pread(descriptor, 4 * KIB, 600 * KIB) == errno.ESTALE
        wait_until(lambda: not mounted.names(), "the end of the file")
        assert pread(descriptor, 4 * KIB, 700 * KIB) == errno.ESTALE
        assert_old_or_stale(descriptor, content)


def test_a_renamed_file_is_the_same_file(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is renamed keeps its inode number and its content, and a handle on it reads on."""
    content = noise(SIZE)
    sandbox.put("a.bin", content)
    with mount("--refresh", "0.2") as mounted:
        inode = (mounted / "a.bin").stat().st_ino
        with opened(mounted / "a.bin") as descriptor:
            assert pread(descriptor, 4 * KIB, 0) == content[: 4 * KIB]
            sandbox.patch(sandbox.id_of("a.bin"), name="b.bin")
            wait_until(lambda: mounted.names() == {"b.bin"}, "the new name")
            # The kernel is told right after the listing shows it.
            wait_until(lambda: not (mounted / "a.bin").exists(), "the kernel to forget the old name")
            assert (mounted / "b.bin").stat().st_ino == inode
            assert (mounted / "b.bin").read_bytes() == content
            for offset in (500 * KIB, 900 * KIB, SIZE - 1, SIZE):
                assert pread(descriptor, 4 * KIB, offset) == content[offset : offset + 4 * KIB]


def test_two_files_that_swap_their_names(sandbox: Sandbox, mount: Mount) -> None:
    """Each of two names shows the other's bytes after they were swapped; handles keep their own."""
    contents = {"a.bin": noise(SIZE, 1), "b.bin": noise(SIZE, 2)}
    for name, content in contents.items():
        sandbox.put(name, content)
    ids = {name: sandbox.id_of(name) for name in contents}
    with mount("--refresh", "0.2") as mounted:
        assert {name: (mounted / name).read_bytes() for name in contents} == contents
        # Before the first one: a refresh may come between what follows.
        inodes = {name: (mounted / name).stat().st_ino for name in contents}

        def is_swapped() -> bool:
            now = {each.name: each.inode() for each in os.scandir(mounted.path)}
            return now == {"a.bin": inodes["b.bin"], "b.bin": inodes["a.bin"]}

        with opened(mounted / "a.bin") as descriptor:
            sandbox.patch(ids["a.bin"], name="b.bin")
            sandbox.patch(ids["b.bin"], name="a.bin")
            wait_until(is_swapped, "the swap")
            assert (mounted / "a.bin").read_bytes() == contents["b.bin"]
            assert (mounted / "b.bin").read_bytes() == contents["a.bin"]
            assert_old_or_stale(descriptor, contents["a.bin"])


@pytest.mark.parametrize("seen_before", [True, False])
@pytest.mark.parametrize("size", [SIZE, 2 * SIZE, SIZE // 2])
def test_a_name_that_passes_to_another_file(
    sandbox: Sandbox,
    mount: Mount,
    seen_before: bool,  # noqa: FBT001 - pytest names it
    size: int,
) -> None:
    """A name that a duplicate takes over shows the duplicate's bytes, and a handle on the first its own."""
    first, second = noise(SIZE, 1), noise(size, 2)
    gone = sandbox.put("1/a.bin", first)
    sandbox.put("2/a.bin", second)
    with mount("--refresh", "0.2") as mounted:
        if seen_before:
            assert (mounted / "a (2).bin").read_bytes() == second
        with opened(mounted / "a.bin") as descriptor:
            assert pread(descriptor, SIZE, 0) == first
            gone.unlink()
            wait_until(lambda: mounted.names() == {"a.bin"}, "the end of the first")
            assert (mounted / "a.bin").read_bytes() == second
            assert_old_or_stale(descriptor, first)
        assert (mounted / "a.bin").read_bytes() == second


@pytest.mark.parametrize("size", [SIZE, 5 * KIB, SIZE + 3 * MIB], ids=["as large", "smaller", "larger"])
@pytest.mark.warns(
    "read /a.bin: the (file changed since|object (changed while others read it|has another ETag))"
)
def test_replaced_content_is_never_mixed(sandbox: Sandbox, mount: Mount, size: int) -> None:
    """New opens read new content, whole; a handle on the old gives its bytes or ESTALE, nothing else."""
    old, new = noise(SIZE, 1), noise(size, 2)
    sandbox.put("a.bin", old, OLD_TIME)
    with mount("--refresh", "0.2") as mounted, opened(mounted / "a.bin") as descriptor:
        assert pread(descriptor, 4 * KIB, 0) == old[: 4 * KIB]
        sandbox.put("a.bin", new, NEW_TIME)
        wait_until(lambda: (mounted / "a.bin").stat().st_mtime == NEW_TIME, "the new version")
        assert (mounted / "a.bin").stat().st_size == size
        assert_old_or_stale(descriptor, old)
        assert (mounted / "a.bin").read_bytes() == new
        assert_old_or_stale(descriptor, old)
        assert (mounted / "a.bin").stat().st_size == size
        run("cmp", mounted / "a.bin", sandbox.folder / "a.bin")
        with opened(mounted / "a.bin") as newer:
            for offset in (0, 4 * KIB, size - 1):
                assert pread(newer, 4 * KIB, offset) == new[offset : offset + 4 * KIB]
            assert_old_or_stale(descriptor, old)
    assert not [line for line in mounted.log_lines() if " ERROR " in line]


@pytest.mark.parametrize("size", [SIZE, 5 * KIB, SIZE + 3 * MIB], ids=["as large", "smaller", "larger"])
def test_replaced_content_under_a_handle_that_read_it_all(sandbox: Sandbox, mount: Mount, size: int) -> None:
    """A handle whose file is in the kernel's cache, and was replaced, gives old bytes or ESTALE as well."""
    old, new = noise(SIZE, 1), noise(size, 2)
    sandbox.put("a.bin", old, OLD_TIME)
    with mount("--refresh", "0.2") as mounted, opened(mounted / "a.bin") as descriptor:
        assert pread(descriptor, SIZE, 0) == old
        sandbox.put("a.bin", new, NEW_TIME)
        wait_until(lambda: (mounted / "a.bin").stat().st_mtime == NEW_TIME, "the new version")
        assert_old_or_stale(descriptor, old)
        assert (mounted / "a.bin").read_bytes() == new
        assert_old_or_stale(descriptor, old)
    assert (mounted.path / "a.bin").exists() is False


@pytest.mark.parametrize("size", [SIZE, 5 * KIB, SIZE + 3 * MIB], ids=["as large", "smaller", "larger"])
@pytest.mark.warns(
    "read /a.bin: the (file changed since|object (changed while others read it|has another ETag))"
)
def test_replaced_content_with_a_long_refresh(sandbox: Sandbox, mount: Mount, size: int) -> None:
    """The same where the kernel trusts attributes for longer than it takes to read."""
    old, new = noise(SIZE, 1), noise(size, 2)
    sandbox.put("a.bin", old, OLD_TIME)
    with mount("--refresh", "2") as mounted, opened(mounted / "a.bin") as descriptor:
        assert pread(descriptor, 4 * KIB, 0) == old[: 4 * KIB]
        sandbox.put("a.bin", new, NEW_TIME)
        wait_until(lambda: (mounted / "a.bin").stat().st_mtime == NEW_TIME, "the new version")
        assert_old_or_stale(descriptor, old)
        assert (mounted / "a.bin").stat().st_size == size
        assert (mounted / "a.bin").read_bytes() == new


@pytest.mark.warns("read /a.bin: the (file changed since|object has another ETag)")
def test_an_object_that_changed_before_the_listing_did(sandbox: Sandbox, mount: Mount) -> None:
    """If-Match finds a replaced object at once: ESTALE, and a new open reads the new version, whole."""
    old, new = noise(SIZE, 1), noise(SIZE, 2)
    sandbox.put("a.bin", old, OLD_TIME)
    with mount("--refresh", "600") as mounted:
        with opened(mounted / "a.bin") as descriptor:
            assert pread(descriptor, 4 * KIB, 0) == old[: 4 * KIB]
            sandbox.put("a.bin", new, NEW_TIME)
            assert pread(descriptor, 4 * KIB, 500 * KIB) == errno.ESTALE
            asked = [each for each in sandbox.requests()["log"] if each["kind"] == "object"]
            assert asked[1]["if_match"]
            assert asked[1]["status"] == 412
            assert_old_or_stale(descriptor, old)
            with (mounted / "a.bin").open("rb", buffering=0) as newer:
                assert newer.read() == new
            assert_old_or_stale(descriptor, old)
        assert (mounted / "a.bin").read_bytes() == new


@pytest.mark.may_warn("read /a.bin: the (file changed since it was opened|object (has|changed) )")
def test_versions_that_come_quickly(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is replaced again and again is read as one of its versions, whole, or not at all."""
    versions = [noise(200_000 + 1000 * turn, turn) for turn in range(12)]
    sandbox.put("a.bin", versions[0], OLD_TIME)
    with mount("--refresh", "0.05") as mounted:

        def read() -> bytes | None:
            try:
                content = (mounted / "a.bin").read_bytes()
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                return None
            assert content in versions
            return content

        for turn, version in enumerate(versions):
            sandbox.put("a.bin", version, OLD_TIME + turn)
            wait_until(lambda wanted=version: read() == wanted, f"version {turn}")  # type: ignore[misc]


@pytest.mark.may_warn(r"read /a.bin: (the (file|object) |resource \d+ is gone)")
def test_a_file_that_is_replaced_while_rsync_copies_it(
    sandbox: Sandbox, mount: Mount, tmp_path: Path
) -> None:
    """What rsync copies is one version, whole; or it says so, and copies the new one when it is run again."""
    old, new = noise(24 * MIB, 1), noise(24 * MIB, 2)
    sandbox.put("a.bin", old, OLD_TIME)
    sandbox.plan(store_latency_s=0.05)
    copy = tmp_path / "copy"
    copy.mkdir()

    def is_copying() -> bool:
        return any(each.name.startswith(".a.bin.") and each.stat().st_size > MIB for each in copy.iterdir())

    with mount("--refresh", "0.2") as mounted:
        command = ("rsync", "-a", "--bwlimit=20m", f"{mounted.path}/", f"{copy}/")
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) as copying:
            wait_until(is_copying, "a copy that has begun")
            sandbox.put("a.bin", new, NEW_TIME)
            _, said = copying.communicate(timeout=60)
        copied = [each.read_bytes() for each in copy.iterdir()]
        assert copied in ([], [old], [new])
        assert copied or copying.returncode != 0, said
        wait_until(lambda: (mounted / "a.bin").stat().st_mtime == NEW_TIME, "the new version")
        run("rsync", "-a", f"{mounted.path}/", f"{copy}/")
        assert (copy / "a.bin").read_bytes() == new


def test_unchanged_content_stays_in_the_page_cache(sandbox: Sandbox, mount: Mount) -> None:
    """Refreshes that find nothing new cost no byte: the kernel's pages stay good."""
    content = noise(SIZE)
    sandbox.put("a.bin", content, OLD_TIME)
    with mount("--refresh", "0.1") as mounted:
        assert (mounted / "a.bin").read_bytes() == content
        sandbox.put("b.bin", b"news")
        sandbox.forget_requests()
        refreshed(mounted, sandbox, 4)
        assert (mounted / "a.bin").read_bytes() == content
        assert [each for each in sandbox.requests()["log"] if each["kind"] == "object"] == []


def test_the_last_snapshot_serves_while_the_api_is_down(sandbox: Sandbox, mount: Mount) -> None:
    """With the API down names, attributes and reads go on as they were, and it is seen when it comes back."""
    contents = {"a.bin": noise(SIZE, 1), "b.bin": noise(SIZE, 2)}
    for name, content in contents.items():
        sandbox.put(name, content)
    with mount("--refresh", "0.2", "--timeout", "2") as mounted:
        assert (mounted / "a.bin").read_bytes() == contents["a.bin"]
        sandbox.plan(faults=[{"on": "list", "action": RESET}, {"on": "get", "action": RESET}])
        wait_until(lambda: mounted.names() and sandbox.requests()["faults"] >= 3, "requests that fail")
        sandbox.put("c.bin", b"new")
        assert run("ls", mounted.path).stdout.split() == ["a.bin", "b.bin"]
        assert (mounted / "b.bin").stat().st_size == SIZE
        assert (mounted / "a.bin").read_bytes() == contents["a.bin"]
        assert (mounted / "b.bin").read_bytes() == contents["b.bin"]
        assert not (mounted / "c.bin").exists()
        sandbox.plan()
        wait_until((mounted / "c.bin").exists, "the file uploaded meanwhile")
        assert (mounted / "c.bin").read_bytes() == b"new"


NO_LISTINGS: dict[str, dict[str, Any]] = {
    "html": {"type": "html"},
    "401": {"type": "status", "status": 401},
    "404": {"type": "status", "status": 404},
    "500": {"type": "status", "status": 500},
    "nothing": {"type": "body", "body": "{}"},
    "nulls": {"type": "body", "body": '{"data":{"resources":null},"pagination":null}'},
    "empty page": {
        "type": "body",
        "body": '{"data":{"resources":[]},"pagination":{"page":1,"total":2,"total_pages":1}}',
    },
    "no pages": {
        "type": "body",
        "body": '{"data":{"resources":[]},"pagination":{"page":1,"total":2,"total_pages":0}}',
    },
    "another page": {
        "type": "body",
        "body": '{"data":{"resources":[]},"pagination":{"page":9,"total":0,"total_pages":0}}',
    },
    "cut": {"type": "cut", "after": 100},
}


@pytest.mark.may_warn(
    "the listing could not be refreshed, .*: ", "the API (refuses the key|accepts the key again)"
)
def test_a_listing_that_is_none_is_not_believed(sandbox: Sandbox, mount: Mount) -> None:
    """An answer that is no listing, or an empty one that counts resources, does not empty the directory."""
    there = {"a.txt", "b.txt"}
    for name in there:
        sandbox.put(name, b"x")
    with mount("--refresh", "0.1", "--timeout", "1") as mounted:
        for what, action in NO_LISTINGS.items():
            sandbox.plan(faults=[{"on": "list", "action": action}])
            sandbox.forget_requests()

            def look(what: str = what) -> bool:
                assert mounted.names() == there, what
                return int(sandbox.requests()["faults"]) >= 2

            wait_until(look, f"such answers: {what}")
            sandbox.plan()
            sandbox.put(f"after {what}", b"x")
            wait_until((mounted / f"after {what}").exists, f"the next good listing after {what}")
            there.add(f"after {what}")
            assert mounted.names() == there, what


def test_a_project_can_become_empty(sandbox: Sandbox, mount: Mount) -> None:
    """An empty listing that counts nothing is believed."""
    path = sandbox.put("a.txt", b"a")
    with mount("--refresh", "0.1") as mounted:
        assert mounted.names() == {"a.txt"}
        path.unlink()
        wait_until(lambda: not mounted.names(), "an empty directory")


def test_no_traffic_while_nobody_asks(sandbox: Sandbox, mount: Mount) -> None:
    """A mount that nobody looks at makes no request, however old its listing gets."""
    sandbox.put("a.txt", b"a")
    with mount("--refresh", "0.05") as mounted:
        refreshed(mounted, sandbox)
        wait_until(lambda: all(each["status"] == 200 for each in lists(sandbox)), "the end of refreshes")
        sandbox.forget_requests()

        def long_enough() -> bool:
            sandbox.listing()
            log = sandbox.requests()["log"]
            return bool(log[-1]["at"] - log[0]["at"] > 1)

        wait_until(long_enough, "twenty times the age at which a listing is old")
        assert lists(sandbox) == []
        refreshed(mounted, sandbox)


def test_one_refresh_at_a_time(sandbox: Sandbox, mount: Mount) -> None:
    """Whoever looks while a listing is being fetched does not start another one."""
    sandbox.put("a.txt", b"a")
    with mount("--refresh", "0.05") as mounted:
        sandbox.plan(api_latency_s=1)
        sandbox.forget_requests()
        wait_until(lambda: mounted.names() and lists(sandbox), "a refresh")
        for _ in range(50):
            assert mounted.names() == {"a.txt"}
        assert sandbox.requests()["in_flight_peak"]["api"] == 1


def test_nobody_waits_for_a_refresh(sandbox: Sandbox, mount: Mount) -> None:
    """`ls`, `stat` and `cat` are answered while the listing is still being fetched, though it is old."""
    sandbox.put("a.txt", b"old")
    with mount("--refresh", "0.05") as mounted:
        assert mounted.names() == {"a.txt"}
        sandbox.plan(api_latency_s=4)
        sandbox.forget_requests()
        wait_until(lambda: mounted.names() and lists(sandbox), "a refresh")
        assert run("ls", mounted.path).stdout == "a.txt\n"
        run("ls", "-l", mounted.path)
        assert run("cat", mounted / "a.txt").stdout == "old"
        (request,) = lists(sandbox)
        assert request["status"] is None, "the refresh was over before ls was"


def test_a_listing_that_moves_misses_nothing(sandbox: Sandbox, mount: Mount) -> None:
    """A deletion between two pages shifts the second; no file is ever missing from what is shown."""
    for number in range(150):
        sandbox.put(f"{number:03}.txt", b"x", OLD_TIME + number)
    lasting = {f"{number:03}.txt" for number in range(140)}
    with mount("--refresh", "0.1") as mounted:
        assert len(mounted.names()) == 150
        for doomed in ("149.txt", "148.txt", "147.txt"):
            sandbox.plan(api_latency_s=0.4)
            sandbox.forget_requests()

            def second_page_is_under_way() -> bool:
                assert lasting <= mounted.names()
                return any(each["page"] == 2 and each["status"] is None for each in lists(sandbox))

            wait_until(second_page_is_under_way, "a walk between its pages")
            (sandbox.folder / doomed).unlink()

            def is_gone(name: str = doomed) -> bool:
                names = mounted.names()
                assert lasting <= names
                return name not in names

            wait_until(is_gone, "the deletion")


@pytest.mark.may_warn(
    r"the API counts \d+ resources and lists \d+$",
    "the listing could not be refreshed, .*: .*changed too fast",
)
def test_a_listing_that_grows_at_its_top_shows_nothing_twice(sandbox: Sandbox, mount: Mount) -> None:
    """Uploads while pages are fetched push entries to the next page; each is still there, and once."""
    lasting = {f"{number:03}.txt" for number in range(250)}
    for number in range(250):
        sandbox.put(f"{number:03}.txt", b"x", OLD_TIME + number)
    with mount("--refresh", "0.05") as mounted:
        sandbox.plan(api_latency_s=0.05)
        sandbox.forget_requests()
        turn = 0

        def look() -> bool:
            nonlocal turn
            turn += 1
            sandbox.put(f"new {turn:04}.txt", b"y", NEW_TIME + turn)
            names = [each.name for each in mounted.path.iterdir()]
            assert lasting <= set(names)
            assert len(names) == len(set(names))
            assert not any("(" in name for name in names)
            return len(lists(sandbox)) > 40

        wait_until(look, "a dozen walks")
        sandbox.plan()
        everything = lasting | {f"new {number:04}.txt" for number in range(1, turn + 1)}
        wait_until(lambda: mounted.names() == everything, "all uploads")


class Churn:
    """Files that are replaced all the time, by one of two sizes, while threads read and look."""

    def __init__(self, sandbox: Sandbox, mounted: Mounted) -> None:
        self.versions = {f"file-{number}": [noise(50_000, number)] for number in range(4)}
        self.wrong: list[str] = []
        self.read = 0
        self.turns = 0
        self._sandbox = sandbox
        self._mounted = mounted
        self._over = threading.Event()

    def go_on_until(self, turns: int, reads: int) -> None:
        works = [self._replace, *[self._read] * 6, *[self._look] * 2]
        with ThreadPoolExecutor(len(works)) as pool:
            futures = [pool.submit(work) for work in works]
            try:
                wait_until(
                    lambda: (self.turns >= turns and self.read >= reads) or self.wrong,
                    f"{turns} turns and {reads} reads",
                    150,
                )
            finally:
                self._over.set()
            for future in futures:
                future.result()

    def _replace(self) -> None:
        # Where files change faster than listings come, no read gets through: there are rests.
        for pause in cycle((0.02, 0.05, 0.2)):
            for number, (name, versions) in enumerate(self.versions.items()):
                versions.append(
                    noise(50_000 + 9000 * ((self.turns + number) % 2), 10 + self.turns * 10 + number)
                )
                self._sandbox.put(name, versions[-1])
            self.turns += 1
            if self._over.wait(pause):
                return

    def _read(self) -> None:
        for name in cycle(self.versions):
            if self._over.is_set():
                return
            try:
                with (self._mounted / name).open("rb") as file:
                    size, content = os.fstat(file.fileno()).st_size, file.read()
            except OSError as error:
                if error.errno != errno.ESTALE:
                    raise
                continue
            self.read += 1
            if size != len(content) or content not in self.versions[name]:
                self.wrong.append(f"{name}: {len(content)} bytes, {size} by its handle")

    def _look(self) -> None:
        while not self._over.is_set():
            for name in self.versions:
                (self._mounted / name).stat()
            self._over.wait(0.001)


@pytest.mark.may_warn(r"read /file-\d+: (the file changed since it was opened|the object (has|changed) )")
def test_a_handle_has_one_version_whatever_goes_on(sandbox: Sandbox, mount: Mount) -> None:
    """Its size and content are one version, though files are replaced, opened and looked at at once."""
    for number in range(4):
        sandbox.put(f"file-{number}", noise(50_000, number))
    with mount("--refresh", "0.05") as mounted:
        churn = Churn(sandbox, mounted)
        churn.go_on_until(turns=12, reads=120)
        assert churn.wrong == []
