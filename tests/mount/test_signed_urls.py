"""Signed URLs on a real mount: free from the listing, signed again when refused, by one request for all."""

import errno
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import Mount
from tests.support import harness
from tests.support.harness import KEY, Sandbox, noise, wait_until

KIB, MIB = 2**10, 2**20
HOURS = 3600.0
SIZE = 4 * MIB
CONTENT = noise(SIZE)
REFUSED = {"type": "status", "status": 403}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A project of one file, `a.bin`, that holds CONTENT."""
    sandbox.put("a.bin", CONTENT)
    return sandbox


@contextmanager
def opened(path: Path) -> Iterator[Callable[[int], bytes]]:
    """A function that reads 4 KiB at an offset through one handle, without the kernel's read-ahead."""
    with harness.opened(path) as descriptor:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        yield lambda offset: os.pread(descriptor, 4 * KIB, offset)


def part(offset: int) -> bytes:
    return CONTENT[offset : offset + 4 * KIB]


def read_until(read: Callable[[int], bytes], done: Callable[[], bool], what: str) -> None:
    """Read pages that were not read before, each checked, until something has happened."""
    pages = random.Random(1).sample(range(SIZE // (4 * KIB)), SIZE // (4 * KIB))

    def step() -> bool:
        offset = pages.pop() * 4 * KIB
        assert read(offset) == part(offset)
        return done()

    wait_until(step, what)


def test_urls_of_the_listing_are_used(sandbox: Sandbox, mount: Mount) -> None:
    """Files that were just listed are read with the URLs of the listing: nothing is signed again."""
    for number in range(5):
        sandbox.put(f"{number}.bin", noise(10_000, number))
    with mount() as mounted:
        for number in range(5):
            assert (mounted / f"{number}.bin").read_bytes() == noise(10_000, number)
        requests = sandbox.requests()
    assert (requests["list"], requests["get"], requests["refused"]) == (1, 0, 0)


@pytest.mark.parametrize("signed_by", ["store", "content-endpoint"])
def test_short_lived_urls_are_replaced_in_time(project: Sandbox, mount: Mount, signed_by: str) -> None:
    """A file that is read for longer than its URLs live is read on, with URLs that are signed anew."""
    project.plan(url_expiry_s=2, signed_by=signed_by)
    with mount() as mounted, opened(mounted / "a.bin") as read:
        read_until(read, lambda: project.requests()["get"] >= 2, "two URLs signed anew")


@pytest.mark.parametrize("signed_by", ["store", "content-endpoint"])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_url_refused_while_a_file_is_read(
    project: Sandbox, mount: Mount, status: int, signed_by: str
) -> None:
    """A URL that the store refuses before its time, with any of its statuses, is signed anew unnoticed."""
    project.plan(signed_by=signed_by, expired_status=status)
    with mount() as mounted, opened(mounted / "a.bin") as read:
        assert read(0) == part(0)
        # The server's clock jumps: every URL of before is over, and we cannot know.
        project.plan(signed_by=signed_by, expired_status=status, clock_offset_s=2 * HOURS)
        for offset in range(MIB, SIZE, MIB):
            assert read(offset) == part(offset)
        requests = project.requests()
    assert requests["refused"] == 1
    assert requests["get"] == 1


def test_a_sequential_read_across_an_expiry(project: Sandbox, mount: Mount) -> None:
    """A copy that is under way when its URL expires ends with the right bytes."""
    project.plan(faults=[{"on": "object", "action": {"type": "cut", "after": 300_000}}])
    with mount() as mounted, (mounted / "a.bin").open("rb", buffering=0) as file:
        first = file.read(100_000)
        project.plan(clock_offset_s=2 * HOURS)
        assert first + file.read() == CONTENT
    assert project.requests()["refused"] >= 1


@pytest.mark.parametrize("by_id", [True, False])
def test_many_readers_after_an_expiry_sign_once(project: Sandbox, mount: Mount, by_id: bool) -> None:  # noqa: FBT001 - pytest names it
    """Sixteen readers whose URL is refused at one moment cause one request for another."""
    with mount() as mounted:
        barrier = threading.Barrier(16)
        project.plan(by_id=by_id, clock_offset_s=2 * HOURS, api_latency_s=0.3)
        project.forget_requests()

        def read_one(number: int) -> bool:
            with opened(mounted / "a.bin") as read:
                barrier.wait()
                offset = number * 128 * KIB
                return read(offset) == part(offset)

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(read_one, range(16)))
        requests = project.requests()
    assert requests["get"] == 1
    assert requests["list"] == (0 if by_id else 1)
    assert requests["object"] <= 2 * 16


def test_an_expired_url_is_not_even_tried(project: Sandbox, mount: Mount) -> None:
    """A URL that says of itself that it is over is signed anew before the store has to refuse it."""
    project.plan(url_expiry_s=2)
    with mount() as mounted:
        for what in ("the end of a URL signed after the mount's", "and of one signed after that"):
            (listed,) = project.listing()
            wait_until(lambda url=listed["url"]: expired(url), what)  # type: ignore[misc]  # a lambda's default
        project.plan()
        project.forget_requests()
        assert (mounted / "a.bin").read_bytes() == CONTENT
        requests = project.requests()
    assert (requests["refused"], requests["get"]) == (0, 1)


def expired(url: str) -> bool:
    """Whether the store refuses the URL."""
    return httpx.get(url, headers={"Range": "bytes=0-0"}, trust_env=False).status_code == 403


def test_a_url_is_not_kept_longer_than_url_ttl(project: Sandbox, mount: Mount) -> None:
    """`--url-ttl` limits how long a URL is used that would live longer."""
    with mount("--url-ttl", "0.5") as mounted, opened(mounted / "a.bin") as read:
        read_until(read, lambda: project.requests()["get"] >= 2, "two URLs signed anew")
        assert project.requests()["refused"] == 0


def test_without_get_by_id_the_listing_signs(project: Sandbox, mount: Mount) -> None:
    """Where no resource is served by its id, a refused URL is replaced from the listing."""
    project.plan(by_id=False)
    with mount() as mounted, opened(mounted / "a.bin") as read:
        assert read(0) == part(0)
        project.plan(by_id=False, clock_offset_s=2 * HOURS)
        project.forget_requests()
        for offset in range(MIB, SIZE, MIB):
            assert read(offset) == part(offset)
        requests = project.requests()
    assert (requests["list"], requests["refused"]) == (1, 1)


@pytest.mark.parametrize("ranges", ["206", "200-with-content-range", "ignored"])
def test_content_endpoint(project: Sandbox, mount: Mount, ranges: str) -> None:
    """URLs of the API's own content endpoint are read without the key, whatever it makes of ranges."""
    project.plan(signed_by="content-endpoint", ranges=ranges)
    with mount() as mounted:
        assert (mounted / "a.bin").read_bytes() == CONTENT
        with opened(mounted / "a.bin") as read:
            for offset in (3 * MIB, 0, SIZE - 4 * KIB):
                assert read(offset) == part(offset)
        requests = project.requests()
    objects = [each for each in requests["log"] if each["kind"] == "object"]
    assert objects
    assert not any(each["authorization"] for each in objects)
    assert (requests["refused"], requests["get"]) == (0, 0)


@pytest.mark.parametrize("signed_by", ["store", "content-endpoint"])
@pytest.mark.parametrize("hours", [5, -5])
def test_another_clock_changes_nothing(project: Sandbox, mount: Mount, hours: int, signed_by: str) -> None:
    """A server whose clock is hours away from ours costs no request and refuses nothing."""
    project.plan(clock_offset_s=hours * HOURS, signed_by=signed_by)
    with mount() as mounted:
        assert (mounted / "a.bin").read_bytes() == CONTENT
        requests = project.requests()
    assert (requests["list"], requests["get"], requests["refused"]) == (1, 0, 0)


@pytest.mark.parametrize("hours", [5, -5])
def test_expiry_is_measured_on_the_signers_clock(project: Sandbox, mount: Mount, hours: int) -> None:
    """URLs of a server with another clock are still replaced in time."""
    project.plan(clock_offset_s=hours * HOURS, url_expiry_s=2)
    with mount() as mounted, opened(mounted / "a.bin") as read:
        read_until(read, lambda: project.requests()["get"] >= 2, "two URLs signed anew")


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.warns("read /a.bin: the store refused the signed URL")
def test_a_url_refused_twice_is_believed(project: Sandbox, mount: Mount, status: int) -> None:
    """A store that refuses the new URL too is asked no more: EIO, and the next read is free to succeed."""
    with mount() as mounted, opened(mounted / "a.bin") as read:
        refusal = {"type": "status", "status": status}
        project.plan(faults=[{"on": "object", "action": refusal}])
        project.forget_requests()
        with pytest.raises(OSError, match="Input/output") as caught:
            read(0)
        assert caught.value.errno == errno.EIO
        requests = project.requests()
        # Twice each for the read, for the kernel's second try of a page that failed, and for read-ahead.
        assert requests["object"] <= 6
        assert requests["get"] <= 3
        project.plan()
        assert read(0) == part(0)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.warns("ERROR .*: the API refuses the key", "the API accepts the key again")
def test_a_key_that_is_refused_when_a_url_is_signed(project: Sandbox, mount: Mount, status: int) -> None:
    """A key that was revoked since the mount is EACCES once a URL has to be signed, and only then."""
    with mount() as mounted, opened(mounted / "a.bin") as read:
        assert read(0) == part(0)
        refusal = {"type": "status", "status": status}
        project.plan(
            clock_offset_s=2 * HOURS,
            faults=[{"on": "get", "action": refusal}, {"on": "list", "action": refusal}],
        )
        with pytest.raises(OSError, match="Permission denied") as caught:
            read(MIB)
        assert caught.value.errno == errno.EACCES
        assert read(0) == part(0)
        assert mounted.names() == {"a.bin"}
        project.plan(clock_offset_s=2 * HOURS)

        def is_read() -> bool:
            # The refusal is remembered for a while, so that a revoked key is not tried with every read.
            try:
                return read(MIB) == part(MIB)
            except PermissionError:
                return False

        wait_until(is_read, "the key accepted again")


def test_the_api_is_asked_again_while_it_is_busy(project: Sandbox, mount: Mount) -> None:
    """Signing survives an API that is busy, resets connections, or answers a page of HTML for a moment."""
    with mount() as mounted, opened(mounted / "a.bin") as read:
        project.plan(
            clock_offset_s=2 * HOURS,
            faults=[
                {"on": "get", "times": 1, "action": {"type": "status", "status": 429, "retry_after": "0"}},
                {"on": "get", "times": 1, "action": {"type": "status", "status": 503}},
                {"on": "get", "times": 1, "action": {"type": "reset"}},
            ],
        )
        assert read(0) == part(0)
        assert project.requests()["faults"] == 3


@pytest.mark.warns("read /a.bin: the store refused the signed URL")
def test_no_url_and_no_key_in_the_log(project: Sandbox, mount: Mount) -> None:
    """What is logged about refused URLs, even with -vv, holds neither a signature nor the key."""
    with mount("-vv") as mounted, opened(mounted / "a.bin") as read:
        project.plan(faults=[{"on": "object", "action": REFUSED}])
        with pytest.raises(OSError, match="Input/output"):
            read(0)
        log = mounted.log.read_text()
    assert log
    assert "X-Amz" not in log
    assert KEY not in log


def test_a_suspended_machine(project: Sandbox, mount: Mount) -> None:
    """A file system that was stopped until its URL and its connections were dead reads on, and is well."""
    project.plan(url_expiry_s=2)
    with mount("--url-ttl", "2") as mounted, opened(mounted / "a.bin") as read:
        assert read(0) == part(0)
        (url,) = (entry["url"] for entry in project.listing())
        os.kill(mounted.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: httpx.get(url, trust_env=False).status_code == 403, "the end of the URL")
        finally:
            os.kill(mounted.pid, signal.SIGCONT)
        assert read(MIB) == part(MIB)
        assert (mounted / "a.bin").read_bytes() == CONTENT
        assert mounted.log_lines() == []
