"""A store that misbehaves, on a real mount: the reader gets the right bytes, or an error that passes."""

import errno
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, mounted, noise, opened, run
from tests.support.ports import listening

KIB, MIB = 2**10, 2**20
SIZE = MIB + 4321
CONTENT = noise(SIZE)
FAILURES = {errno.EIO, errno.ESTALE}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    """A project of one file, `a.bin`, that holds CONTENT."""
    sandbox.put("a.bin", CONTENT)
    return sandbox


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that must never be called: `accept` finds whether it was."""
    with listening() as server:
        server.settimeout(0)
        yield server


def objects(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests to the store, in order."""
    return [each for each in sandbox.requests()["log"] if each["kind"] == "object"]


def span(request: dict[str, Any]) -> tuple[int, int]:
    """The first byte and the one after the last that a request asked for."""
    match = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", request["range"])
    assert match is not None, request
    return int(match[1]), int(match[2]) + 1


def fault(action: dict[str, Any], **limits: Any) -> dict[str, Any]:
    return {"on": "object", "action": action, **limits}


def failure(descriptor: int, size: int, offset: int) -> int:
    """The errno with which a read fails; 0 if it succeeded with the right bytes, which else it must not."""
    try:
        content = os.pread(descriptor, size, offset)
    except OSError as error:
        return error.errno or -1
    assert content == CONTENT[offset : offset + size]
    return 0


@pytest.mark.parametrize("ranges", ["200-with-content-range", "ignored"])
def test_servers_with_other_manners(project: Sandbox, mount: Mount, ranges: str) -> None:
    """A 200 in place of a 206, with a part or with everything, gives the right bytes everywhere."""
    project.put("small.bin", b"12345")
    project.put("empty.bin", b"")
    project.plan(ranges=ranges)
    with mount() as mounted_:
        with opened(mounted_ / "a.bin") as descriptor:
            for offset in (700_000, 0, SIZE - 10, 300_001):
                assert failure(descriptor, 5000, offset) == 0
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert (mounted_ / "small.bin").read_bytes() == b"12345"
        assert (mounted_ / "empty.bin").read_bytes() == b""
        run("cmp", mounted_ / "a.bin", project.folder / "a.bin")


@pytest.mark.parametrize("first", ["sequential", "random"])
def test_a_server_without_ranges_sends_a_file_once(sandbox: Sandbox, mount: Mount, first: str) -> None:
    """From a server that ignores ranges a file is downloaded once for all reads of one handle."""
    content = noise(5 * MIB)
    sandbox.put("b.bin", content)
    sandbox.plan(ranges="ignored")
    offsets = [4 * MIB + 1, 100, 3 * MIB, MIB + 7, 5 * MIB - 50]
    with mount() as mounted_, (mounted_ / "b.bin").open("rb", buffering=0) as file:
        if first == "sequential":
            assert b"".join(iter(lambda: file.read(100_000), b"")) == content
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for offset in offsets:
            assert os.pread(file.fileno(), 9000, offset) == content[offset : offset + 9000]
        assert b"".join(iter(lambda: file.read(100_000), b"")) == (b"" if first == "sequential" else content)
        requests = sandbox.requests()
    assert requests["object"] <= 2
    # The second request may have been under way when the first showed what the server does.
    assert requests["object_bytes"] <= 2 * len(content)


def test_a_server_without_ranges_that_breaks_off(project: Sandbox, mount: Mount) -> None:
    """A whole body that breaks off is fetched again, and the reader gets the right bytes."""
    project.plan(ranges="ignored", faults=[fault({"type": "cut", "after": 700_000}, times=2)])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("after", [0, 1, 50_000, 100_000, 300_000])
def test_bodies_that_break_off_are_resumed(project: Sandbox, mount: Mount, after: int) -> None:
    """A body that breaks off is asked for again from the byte that it reached, and none comes twice."""
    project.plan(faults=[fault({"type": "cut", "after": after}, every=2)])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        requests = project.requests()
    assert requests["faults"] >= 1
    assert requests["object_bytes"] <= SIZE * 1.02
    spans = [span(each) for each in objects(project)]
    for broken in (each for each in objects(project) if each["fault"]):
        begin, end = span(broken)
        if begin + after < end:
            assert (begin + after, end) in spans


def test_every_body_breaks_off(project: Sandbox, mount: Mount) -> None:
    """A store that sends no more than 100 kB of any body still delivers the file, each byte once."""
    project.plan(faults=[fault({"type": "cut", "after": 100_000})])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert project.requests()["object_bytes"] <= SIZE * 1.02


def test_a_short_pause_is_waited_for(project: Sandbox, mount: Mount) -> None:
    """A body that stands still for a moment is waited for, not asked for again."""
    project.plan(faults=[fault({"type": "stall", "after": 100_000, "seconds": 1}, times=1)])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert project.requests()["object_bytes"] <= SIZE


def test_a_stalled_body_is_given_up_and_resumed(project: Sandbox, mount: Mount) -> None:
    """A body that stands still for good is resumed on another connection within one read's deadline."""
    project.plan(faults=[fault({"type": "stall", "after": 100_000, "seconds": 60}, times=1)])
    with mount("--timeout", "6") as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        begins = [span(each)[0] for each in objects(project) if not each["fault"]]
        (stalled,) = (span(each)[0] for each in objects(project) if each["fault"])
        assert stalled + 100_000 in begins


@pytest.mark.parametrize(
    "action",
    [
        {"type": "reset"},
        {"type": "status", "status": 500},
        {"type": "status", "status": 502},
        {"type": "status", "status": 503, "retry_after": "1"},
        {"type": "status", "status": 503, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"type": "status", "status": 429, "retry_after": "0"},
        {"type": "status", "status": 429},
        {"type": "status", "status": 408},
    ],
    ids=lambda action: "-".join(str(value) for value in action.values()),
)
def test_busy_stores_are_asked_again(project: Sandbox, mount: Mount, action: dict[str, Any]) -> None:
    """A store that is busy or drops connections, twice in a row, is asked again and nobody notices."""
    project.plan(faults=[fault(action, times=2)])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert project.requests()["faults"] == 2


def test_every_third_request_fails_in_some_way(project: Sandbox, mount: Mount) -> None:
    """A file is read right although resets, statuses and broken bodies come all the time."""
    project.plan(
        faults=[
            fault({"type": "reset"}, every=5),
            fault({"type": "status", "status": 503}, every=4),
            fault({"type": "status", "status": 403}, every=6),
            fault({"type": "cut", "after": 80_000}, every=3),
        ]
    )
    with mount() as mounted_:
        for name in ("a.bin", "a.bin"):
            with (mounted_ / name).open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                assert file.read() == CONTENT


@pytest.mark.warns("read /a.bin: the store answered HTTP 50[0-9]")
def test_a_retry_that_is_asked_for_too_late_is_an_error(project: Sandbox, mount: Mount) -> None:
    """A store that asks to come back in an hour makes the read fail with EIO, and works again after."""
    project.plan(faults=[fault({"type": "status", "status": 503, "retry_after": "3600"})])
    with mount("--timeout", "5") as mounted_, opened(mounted_ / "a.bin") as descriptor:
        assert failure(descriptor, 4096, 0) == errno.EIO
        project.plan()
        assert failure(descriptor, 4096, 0) == 0


def test_a_redirect_is_followed(project: Sandbox, mount: Mount) -> None:
    """A store that redirects to another place of this machine is followed there, range and all."""
    project.put("same.bin", CONTENT)
    target = next(each["url"] for each in project.listing() if each["name"] == "same.bin")
    source = project.id_of("a.bin")
    project.plan(faults=[fault({"type": "redirect", "location": target}, ids=[source])])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        requests = objects(project)
    followed = [each for each in requests if each["id"] != source]
    assert followed
    assert all(each["range"] and not each["authorization"] for each in followed)
    redirected = [each["range"] for each in requests if each["id"] == source]
    assert sorted(each["range"] for each in followed) == sorted(redirected)


def test_a_relative_redirect_is_followed(project: Sandbox, mount: Mount) -> None:
    """A redirect whose location has no host is followed on the same one."""
    project.put("same.bin", CONTENT)
    target = next(each["url"] for each in project.listing() if each["name"] == "same.bin")
    location = target.removeprefix(project.url)
    assert location.startswith("/")
    action = {"type": "redirect", "location": location}
    project.plan(faults=[fault(action, ids=[project.id_of("a.bin")])])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.warns("read /a.bin: the store redirects too often")
def test_redirects_in_a_circle_are_an_error(project: Sandbox, mount: Mount) -> None:
    """A redirect to itself is followed a few times, and then it is EIO."""
    (listed,) = project.listing()
    project.plan(faults=[fault({"type": "redirect", "location": listed["url"]})])
    with mount() as mounted_, opened(mounted_ / "a.bin") as descriptor:
        project.forget_requests()
        assert failure(descriptor, 4096, 0) == errno.EIO
        # A few for the read, for the kernel's second try of the page, and for read-ahead.
        assert 2 <= project.requests()["object"] <= 3 * 6
        project.plan()
        assert failure(descriptor, 4096, 0) == 0


@pytest.mark.parametrize(
    "location",
    [
        "http://example.com/object",
        "http://169.254.169.254/latest/meta-data/",
        "ftp://example.com/object",
        "file:///etc/passwd",
        "https://user@example.com/object",
        "//example.com/object",
        "http://[",
        "",
    ],
)
@pytest.mark.warns("read /a.bin: (a URL (that is neither|without a host)|the store redirects too often)")
def test_a_redirect_that_is_not_safe_is_not_followed(
    project: Sandbox, tmp_path: Path, listener: socket.socket, location: str
) -> None:
    """A redirect to anything but https or this machine is EIO, and no request leaves for it."""
    # Whatever would leave this machine would go through the proxy, which is ours.
    proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    variables = {"http_proxy": proxy, "https_proxy": proxy, "all_proxy": proxy}
    project.plan(faults=[fault({"type": "redirect", "location": location})])
    with (
        mounted(tmp_path / "mnt", project.url, "--timeout", "5", variables=variables) as mounted_,
        opened(mounted_ / "a.bin") as descriptor,
    ):
        assert failure(descriptor, 4096, 0) == errno.EIO
        with pytest.raises(BlockingIOError):
            listener.accept()
        project.plan()
        assert failure(descriptor, 4096, 0) == 0


@pytest.mark.warns("read /a.bin: 127.0.0.1 redirects elsewhere .*, and the key is not sent there")
@pytest.mark.may_warn("read /a.bin: it could not be had in time")
def test_the_api_is_not_followed_with_the_key(
    project: Sandbox, mount: Mount, listener: socket.socket
) -> None:
    """Where the API redirects, the key is not taken: the read that needs a new URL is EIO."""
    elsewhere = f"http://127.0.0.1:{listener.getsockname()[1]}/api/resources"
    redirect = {"type": "redirect", "location": elsewhere}
    with mount("--timeout", "5") as mounted_, opened(mounted_ / "a.bin") as descriptor:
        project.plan(
            clock_offset_s=7200,
            faults=[{"on": "get", "action": redirect}, {"on": "list", "action": redirect}],
        )
        assert failure(descriptor, 4096, 0) == errno.EIO
        with pytest.raises(BlockingIOError):
            listener.accept()
        project.plan(clock_offset_s=7200)
        assert failure(descriptor, 4096, 0) == 0


LIES: dict[str, dict[str, Any]] = {
    "other bytes": {"set": {"content-range": f"bytes 8192-12287/{SIZE}"}},
    "one byte late": {"set": {"content-range": f"bytes 4097-8192/{SIZE}"}},
    "larger object": {"set": {"content-range": f"bytes 4096-8191/{SIZE + 1}"}},
    "smaller object": {"set": {"content-range": "bytes 4096-8191/8192"}},
    "range without total": {"set": {"content-range": "bytes 4096-8191/8000"}},
    "garbage range": {"set": {"content-range": "bites"}},
    "no range at all": {"remove": ["content-range"]},
    "compressed": {"set": {"content-encoding": "gzip", "content-range": "bytes 4096-8191/*"}},
    "short length": {"set": {"content-length": "1000"}},
    "long length": {"set": {"content-length": "5000"}},
    "no number": {"set": {"content-length": "-1"}},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.warns(
    "read /a.bin: (the (store sent|object has|file changed|connection to .* broke off)|it could not)"
)
def test_answers_that_do_not_fit_are_errors(project: Sandbox, mount: Mount, lie: str) -> None:
    """Headers that contradict the request, the listing or the body are an errno, never wrong bytes."""
    with mount("--timeout", "3") as mounted_:
        project.plan(faults=[fault({"type": "headers", **LIES[lie]})])
        with opened(mounted_ / "a.bin") as descriptor:
            assert failure(descriptor, 4096, 4096) in FAILURES
        project.plan()
        with opened(mounted_ / "a.bin") as descriptor:
            assert failure(descriptor, 4096, 4096) == 0
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "action",
    [
        {"type": "html"},
        {"type": "body", "body": "x" * 4096, "content_type": "application/octet-stream"},
        {"type": "body", "body": "", "content_type": "application/octet-stream"},
        {"type": "status", "status": 204},
        {"type": "status", "status": 206, "body": "x" * 4096},
        {"type": "status", "status": 304},
        {"type": "status", "status": 416},
        {"type": "status", "status": 418},
    ],
    ids=lambda action: "-".join(str(value)[:8] for value in action.values()),
)
@pytest.mark.warns(
    "read /a.bin: (the (store (sent|answered)|object is shorter than the listing says|file changed)"
    "|it could not be had in time)"
)
def test_answers_that_are_no_objects_are_errors(
    project: Sandbox, mount: Mount, action: dict[str, Any]
) -> None:
    """A web page, a body of nobody's or a strange status is an errno, and harms no later read."""
    with mount("--timeout", "3") as mounted_:
        project.plan(faults=[fault(action)])
        with opened(mounted_ / "a.bin") as descriptor:
            assert failure(descriptor, 4096, 4096) in FAILURES
        project.plan()
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("is_tied", [True, False])
def test_fewer_bytes_than_asked_for_are_completed(project: Sandbox, mount: Mount, *, is_tied: bool) -> None:
    """A server that answers a range with its first part only is asked for the rest, or for all."""
    content = b"A" * 1000 + CONTENT[1000:]
    project.put("a.bin", content)
    (listed,) = project.listing()
    whole = httpx.get(listed["url"], trust_env=False)
    tag = {"etag": whole.headers["etag"]} if is_tied else {}
    headers = {"content-range": f"bytes 0-999/{SIZE}", "content-length": "1000", **tag}
    shortened = {"type": "status", "status": 206, "body": "A" * 1000, "headers": headers}
    project.forget_requests()
    with mount() as mounted_:
        project.plan(faults=[fault(shortened, times=1)])
        with opened(mounted_ / "a.bin") as descriptor:
            assert os.pread(descriptor, 4096, 0) == content[:4096]
        rest = (1000 if is_tied else 0, 4096)
        assert [span(each) for each in objects(project)][:2] == [(0, 4096), rest]


@pytest.mark.parametrize(
    "action",
    [{"type": "status", "status": 500}, {"type": "reset"}, {"type": "status", "status": 418}],
    ids=["500", "reset", "418"],
)
@pytest.mark.warns("read /a.bin: (the store answered HTTP|the connection to .* broke off|.* in time)")
def test_a_broken_handle_works_again(project: Sandbox, mount: Mount, action: dict[str, Any]) -> None:
    """A handle whose read failed reads on, once the store is well again, from the same place."""
    with mount("--timeout", "3") as mounted_, opened(mounted_ / "a.bin") as descriptor:
        project.plan(faults=[fault(action)])
        assert failure(descriptor, 4096, 300 * KIB) == errno.EIO
        project.plan()
        assert failure(descriptor, 4096, 300 * KIB) == 0
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.warns("read /a.bin: the store refused the signed URL")
def test_one_broken_file_does_not_hold_up_others(project: Sandbox, mount: Mount) -> None:
    """While one object cannot be had, the other files are read as ever."""
    project.put("b.bin", CONTENT[::-1])
    project.plan(faults=[fault({"type": "status", "status": 403}, ids=[project.id_of("a.bin")])])
    with mount() as mounted_:
        with opened(mounted_ / "a.bin") as descriptor:
            assert failure(descriptor, 4096, 0) == errno.EIO
        assert (mounted_ / "b.bin").read_bytes() == CONTENT[::-1]


@pytest.mark.warns("read /a.bin: the (file changed since|object was deleted)")
def test_an_object_that_is_gone_is_stale(project: Sandbox, mount: Mount) -> None:
    """A listed file whose object the store does not have is ESTALE, and not for longer than that lasts."""
    project.plan(faults=[fault({"type": "status", "status": 404})])
    with mount() as mounted_:
        with opened(mounted_ / "a.bin") as descriptor:
            assert failure(descriptor, 4096, 0) == errno.ESTALE
        project.plan()
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.may_warn("read /a.bin: it could not be had in time")
def test_a_slow_store_delivers(project: Sandbox, mount: Mount) -> None:
    """A body that takes far longer than --timeout is delivered as long as bytes come."""
    project.plan(bytes_per_second=200_000)
    with mount("--timeout", "2") as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n<html>sign in</html>",
    ],
    ids=["chunked", "to the end"],
)
def test_a_page_without_a_length_is_no_beginning(project: Sandbox, mount: Mount, answer: str) -> None:
    """What a proxy says in place of the object, once, is not taken for its first bytes."""
    project.plan(faults=[fault({"type": "raw", "text": answer}, times=1)])
    with mount() as mounted_:
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert project.requests()["faults"] == 1


@pytest.mark.may_warn("read /a.bin: a URL without a host")
def test_an_unusable_url_is_replaced(project: Sandbox, mount: Mount) -> None:
    """A URL that must not be fetched, signed once by mistake, does not stay."""
    (resource,) = (each for each in project.listing() if each["name"] == "a.bin")
    body = json.dumps({"data": {"resource": {**resource, "url": "file:///etc/passwd?X-Amz-Expires=1"}}})
    once = {"on": "get", "times": 1, "action": {"type": "body", "body": body}}
    with mount() as mounted_:
        project.plan(faults=[fault({"type": "status", "status": 403}, times=1), once])
        assert (mounted_ / "a.bin").read_bytes() == CONTENT
        assert project.requests()["get"] == 2
