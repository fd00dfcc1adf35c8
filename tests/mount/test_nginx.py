"""The same reads from a web server that nobody here wrote: nginx, by URLs that it checks and lets expire."""

import errno
import gzip
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import harness
from tests.support.harness import KEY, noise, run, wait_until
from tests.support.nginx_project import Project, nginx_project

KIB, MIB = 2**10, 2**20
CONTENT = noise(3_000_000, 1)
SECOND = "2026-01-02T00:00:00Z"
NAMES = [
    "a b.bin",
    "100%.bin",
    "a+b&c=d.bin",
    "ünïcödé.bin",
    "q?#.bin",
    "empty.bin",
    "'quoted'.bin",
    "~;.bin",
]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of one file, `data.bin`, that holds CONTENT."""
    with nginx_project(tmp_path) as project:
        project.publish("data.bin", CONTENT)
        yield project


@contextmanager
def opened(path: Path) -> Iterator[Callable[[int], bytes]]:
    """A function that reads 4 KiB at an offset through one handle, without the kernel's read-ahead."""
    with harness.opened(path) as descriptor:
        yield lambda offset: os.pread(descriptor, 4 * KIB, offset)


def part(offset: int, content: bytes = CONTENT) -> bytes:
    return content[offset : offset + 4 * KIB]


def assert_reads(path: Path, content: bytes) -> None:
    """Pages here and there, then all of it by another program, are those of `content`."""
    with opened(path) as read:
        for offset in random.Random(1).sample(range(len(content)), 20):
            assert read(offset) == part(offset, content)
    digest = run("sha256sum", path).stdout.split()[0].removeprefix("\\")
    assert digest == sha256(content).hexdigest()


def assert_fails(read: Callable[[int], bytes], number: int) -> None:
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        read(MIB)
    assert caught.value.errno == number


def test_reads(project: Project) -> None:
    """At any place and whole, a file reads from nginx as it was uploaded, by the URL that was listed."""
    with project.mount() as mounted:
        assert_reads(mounted / "data.bin", CONTENT)
    project.assert_answered(206)
    assert project.api.signed_by_id == []
    assert not any(request["key"] for request in project.requests())


def test_a_url_that_has_expired(project: Project) -> None:
    """A listed URL that nginx says is over (410) is signed again by one request, and nobody notices."""
    project.signer.life_s = -60
    with project.mount() as mounted:
        project.signer.life_s = 3600
        assert_reads(mounted / "data.bin", CONTENT)
    project.assert_answered(206, 410)
    assert project.api.signed_by_id == ["data.bin"]


def test_urls_that_expire_while_a_file_is_read(project: Project) -> None:
    """A file that is read for longer than its URLs live, which they do not tell, is read on unnoticed."""
    project.signer.life_s = 2
    offsets = [page * 4 * KIB for page in range(len(CONTENT) // (4 * KIB))]
    random.Random(1).shuffle(offsets)
    with project.mount() as mounted, opened(mounted / "data.bin") as read:

        def signed_twice() -> bool:
            offset = offsets.pop()
            assert read(offset) == part(offset)
            return len(project.api.signed_by_id) == 2

        wait_until(signed_twice, "two URLs signed anew")
    project.assert_answered(206, 410)


def test_a_secret_that_is_replaced(project: Project) -> None:
    """When nginx no longer takes the signatures of before (403), the URL is signed again unnoticed."""
    with project.mount() as mounted, opened(mounted / "data.bin") as read:
        assert read(0) == part(0)
        project.signer.secret = "the second secret"
        project.reload()
        for offset in range(MIB, len(CONTENT), 500_000):
            assert read(offset) == part(offset)
    project.assert_answered(206, 403)
    assert project.api.signed_by_id == ["data.bin"]


@pytest.mark.warns("read /data.bin: something in between answers for the store .HTTP 403")
@pytest.mark.may_warn("read /data.bin: it could not be had in time")
def test_signatures_that_are_wrong(project: Project) -> None:
    """While the API signs with a secret that is not nginx's, reads are EIO, and right thereafter."""
    right, project.signer.secret = project.signer.secret, "a wrong secret"
    with project.mount("--timeout", "8") as mounted, opened(mounted / "data.bin") as read:
        assert_fails(read, errno.EIO)
        project.assert_answered(403)
        project.signer.secret = right
        assert read(MIB) == part(MIB)
        log = mounted.log.read_text()
    assert "Traceback" not in log
    assert "seal" not in log


def test_rsync_of_files_whose_urls_have_expired(project: Project, tmp_path: Path) -> None:
    """rsync copies files of difficult names and expired URLs right, and each is signed again once."""
    contents = {name: noise(200_000 * bool(name != "empty.bin"), seed) for seed, name in enumerate(NAMES)}
    for name, content in contents.items():
        project.publish(name, content)
    project.signer.life_s = -60
    with project.mount() as mounted:
        project.signer.life_s = 3600
        run("rsync", "-r", f"{mounted.path}/", tmp_path / "copy")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert copied == {**contents, "data.bin": CONTENT}
    assert sorted(project.api.signed_by_id) == sorted(copied.keys())


def test_tls_by_a_private_authority(tmp_path: Path) -> None:
    """A certificate of a private authority is accepted where SSL_CERT_FILE names that."""
    with nginx_project(tmp_path, scheme="https") as project:
        project.publish("data.bin", CONTENT)
        with project.mount(trust=True) as mounted:
            assert_reads(mounted / "data.bin", CONTENT)
        project.assert_answered(206)


@pytest.mark.parametrize(("host", "trust"), [("IP:127.0.0.1", False), ("DNS:store.example", True)])
@pytest.mark.warns(
    "read /data.bin: .*(the certificate of 127.0.0.1 is not trusted|has a certificate for another name)"
)
def test_tls_that_cannot_be_trusted(tmp_path: Path, host: str, trust: bool) -> None:  # noqa: FBT001 - pytest names it
    """A certificate of an unknown authority, or for another host, is EIO at once; the log says why."""
    with nginx_project(tmp_path, scheme="https", host=host) as project:
        project.publish("data.bin", CONTENT)
        with project.mount(trust=trust) as mounted:
            begun = time.monotonic()
            with opened(mounted / "data.bin") as read:
                assert_fails(read, errno.EIO)
            assert time.monotonic() - begun < 15
            lines = mounted.log_lines()
        assert project.requests() == []
    reads = [line for line in lines if "read /data.bin: " in line]
    # The kernel tries a page that failed once more.
    assert 1 <= len(reads) <= 2
    assert (
        "has a certificate for another name" if trust else "certificate of 127.0.0.1 is not trusted"
    ) in reads[0]
    for line in lines:
        assert re.match(r"[0-9: ,-]+ WARNING empirical_fs\.", line), "one line each, and no traceback"
        assert not re.search(f"seal|objects|https?:|{KEY}", line)


def test_a_reload_and_a_restart(project: Project) -> None:
    """nginx is reloaded and restarted, which ends every kept connection, and a reader notices nothing."""
    with project.mount() as mounted, opened(mounted / "data.bin") as read:
        for offset, disturb in ((0, project.reload), (500_000, project.restart), (MIB, project.reload)):
            assert read(offset) == part(offset)
            disturb()
        assert read(2_500_000) == part(2_500_000)
        assert_reads(mounted / "data.bin", CONTENT)


@pytest.mark.parametrize("ranges", ["", "max_ranges 0;"], ids=["ranges", "no-ranges"])
def test_a_restart_in_the_midst_of_bodies(tmp_path: Path, ranges: str) -> None:
    """A read whose bodies are cut off waits for nginx to come back, and ends with the right bytes."""
    with nginx_project(tmp_path, f"limit_rate 500k; {ranges}") as project:
        project.publish("data.bin", CONTENT)
        with (
            project.mount() as mounted,
            (mounted / "data.bin").open("rb") as file,
            ThreadPoolExecutor(1) as pool,
        ):
            first = file.read(300_000)
            rest = pool.submit(file.read)
            project.stop()
            with pytest.raises(TimeoutError):
                rest.result(timeout=1)
            project.start()
            assert first + rest.result() == CONTENT


@pytest.mark.may_warn("read /data.bin: (no answer|it could not be had) in time")
def test_a_slow_store(tmp_path: Path) -> None:
    """A store that sends a body for longer than --timeout is read to the end."""
    with nginx_project(tmp_path, "limit_rate 200k;") as project:
        project.publish("data.bin", CONTENT[:1_500_000])
        # The kernel's own reads, of 256 KiB at most, take half of it.
        with project.mount("--timeout", "3") as mounted:
            assert (mounted / "data.bin").read_bytes() == CONTENT[:1_500_000]


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize(
    ("in_http", "in_location"),
    [
        ("limit_req_zone $server_port zone=z:1m rate=20r/s;", "limit_req zone=z burst=1 nodelay;"),
        ("limit_conn_zone $server_port zone=z:1m;", "limit_conn z 2; limit_rate 1m;"),
    ],
    ids=["requests", "connections"],
)
def test_a_store_that_limits(tmp_path: Path, in_http: str, in_location: str, status: int) -> None:
    """Files are read right, side by side, while nginx refuses what goes over its limits."""
    directives = f"{in_location} limit_req_status {status}; limit_conn_status {status};"
    with nginx_project(tmp_path, directives, in_http) as project:
        contents = {f"{number}.bin": noise(400_000, number) for number in range(6)}
        for name, content in contents.items():
            project.publish(name, content)
        with project.mount() as mounted, ThreadPoolExecutor(6) as pool:
            read = pool.map(lambda name: (mounted / name).read_bytes(), contents)
            assert dict(zip(contents, read, strict=True)) == contents
        project.assert_answered(206, status)


def test_a_store_without_ranges(tmp_path: Path) -> None:
    """With `max_ranges 0`, by which nginx sends everything each time, a file reads right at any place."""
    with nginx_project(tmp_path, "max_ranges 0;") as project:
        project.publish("data.bin", CONTENT)
        with project.mount() as mounted:
            assert_reads(mounted / "data.bin", CONTENT)
        project.assert_answered(200)


@pytest.mark.parametrize(
    ("directives", "status"),
    [
        ("gzip on; gzip_types *; gzip_min_length 1;", 206),
        # Stored compressed, and decompressed on the way: chunked, with a weak ETag, of no known length.
        ("gzip_static always; gunzip on;", 200),
    ],
    ids=["gzip", "gunzip"],
)
def test_compression(tmp_path: Path, directives: str, status: int) -> None:
    """What nginx could compress, or keeps compressed, is read as it was uploaded."""
    text = "".join(f"line {number}\n" for number in range(100_000)).encode()
    with nginx_project(tmp_path, directives) as project:
        project.put("data.txt.gz", gzip.compress(text))
        project.publish("data.txt", text)
        with project.mount() as mounted:
            assert_reads(mounted / "data.txt", text)
        project.assert_answered(status)


@pytest.mark.warns("read /data.bin: the store sent a compressed body, which was not asked for")
def test_compression_that_nobody_asked_for(tmp_path: Path) -> None:
    """Compressed bytes that nginx sends unasked are EIO, and never taken for those of the file."""
    with nginx_project(tmp_path, "gzip_static always;") as project:
        project.put("data.bin.gz", gzip.compress(CONTENT))
        project.publish("data.bin", CONTENT)
        with project.mount("--timeout", "2") as mounted, opened(mounted / "data.bin") as read:
            assert_fails(read, errno.EIO)


@pytest.mark.parametrize("size", [3_000_000, 2_000_000, 4_000_000])
@pytest.mark.warns("read /data.bin: the (file changed since|object has another ETag)")
def test_a_replaced_object(project: Project, size: int) -> None:
    """A handle on a replaced object gets ESTALE (nginx: 412), and a new one the new bytes once listed."""
    newer = noise(size, 2)
    with project.mount("--refresh", "0.2") as mounted, opened(mounted / "data.bin") as old:
        assert old(0) == part(0)
        project.put("data.bin", newer)
        assert_fails(old, errno.ESTALE)
        project.assert_answered(206, 412)
        project.api.publish("data.bin", size, SECOND)
        wait_until(lambda: (mounted / "data.bin").stat().st_size == size, "the new size")
        wait_until(lambda: (mounted / "data.bin").read_bytes() == newer, "the new bytes")
        assert_fails(old, errno.ESTALE)
        assert_reads(mounted / "data.bin", newer)


@pytest.mark.warns("read /data.bin: the (file changed since|object was deleted)")
def test_a_removed_object(project: Project) -> None:
    """A handle on a removed object (nginx: 404) gets ESTALE, and the file is gone once it is not listed."""
    with project.mount("--refresh", "0.2") as mounted, opened(mounted / "data.bin") as old:
        assert old(0) == part(0)
        (project.objects / "data.bin").unlink()
        assert_fails(old, errno.ESTALE)
        project.assert_answered(206, 404)
        project.api.withdraw("data.bin")
        wait_until(lambda: not mounted.names(), "the end of the file")
        assert_fails(old, errno.ESTALE)
