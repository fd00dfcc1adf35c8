"""The sandbox's object store: what a signed URL opens, under which conditions, and what is refused."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.served import KEY, Served, receive


@pytest.fixture(params=["store", "content-endpoint"])
def signer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an XML error."""
    found = re.search("<Code>(.*?)</Code>", answer.text)
    assert answer.headers["content-type"].startswith("application/xml")
    assert found is not None
    return answer.status_code, found[1]


def test_shape_of_store_urls(sandbox: Served) -> None:
    """A URL of the store looks as R2's do: the bucket's path, and the six parameters of a presigned GET."""
    sandbox.write("a b ü.txt", b"x")
    sandbox.plan(url_expiry_s=90)
    url = urlsplit(sandbox.url("a b ü.txt"))
    assert re.fullmatch(r"/project-resources/\d+/a%20b%20%C3%BC\.txt", url.path)
    parameters = parse_qs(url.query)
    assert sorted(parameters) == [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ]
    assert parameters["X-Amz-Expires"] == ["90"]


def test_names_that_need_quoting(sandbox: Served, signer: str) -> None:
    """A name with any of the characters that mean something in a URL is served by either signer."""
    sandbox.plan(signed_by=signer)
    names = [
        "a b.txt",
        "100%.txt",
        "a%2Fb",
        "q?x=1&y#z",
        "plus+plus",
        "概要.txt",
        "+;=:@$,'()~*!",
        "new\nline",
    ]
    for name in names:
        sandbox.write(name, name.encode())
    assert {r["name"]: sandbox.store.get(r["url"]).content.decode() for r in sandbox.resources()} == {
        name: name for name in names
    }


def test_name_that_is_not_utf8(sandbox: Served) -> None:
    """A file whose name is not UTF-8 is listed with the replacement character, and served."""
    Path(sandbox.folder, "bad\udcff.txt").write_bytes(b"content")
    assert sandbox.store.get(sandbox.url("bad\ufffd.txt")).content == b"content"


def test_object_headers(sandbox: Served, signer: str) -> None:
    """An object comes with type, length, date and a strong ETag, and never compressed."""
    sandbox.write("a.csv", b"x" * 5000, mtime=1774000000)
    sandbox.plan(signed_by=signer)
    answer = sandbox.store.get(sandbox.url("a.csv"), headers={"accept-encoding": "gzip, br"})
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["content-length"] == "5000"
    assert answer.headers["last-modified"] == "Fri, 20 Mar 2026 09:46:40 GMT"
    assert re.fullmatch('"[0-9a-f]{32}"', answer.headers["etag"])
    assert "content-encoding" not in answer.headers


def test_head_is_refused(sandbox: Served, signer: str) -> None:
    """A presigned GET does not answer HEAD."""
    sandbox.write("a", b"x")
    sandbox.plan(signed_by=signer)
    assert sandbox.store.head(sandbox.url("a")).status_code == 403
    assert sandbox.report()["head"] == 1


@pytest.mark.parametrize("query", ["?", "?X-Amz-Signature=00", "?expires=1&sig=00", "?expires=x"])
def test_unsigned_urls_are_refused(sandbox: Served, signer: str, query: str) -> None:
    """Without a signature, or with another, either signer says SignatureDoesNotMatch."""
    sandbox.write("a", b"x")
    sandbox.plan(signed_by=signer)
    url = sandbox.url("a").partition("?")[0]
    assert code(sandbox.store.get(url + query)) == (403, "SignatureDoesNotMatch")


def test_signature_is_of_one_object(sandbox: Served, signer: str) -> None:
    """A signature does not open another object."""
    sandbox.write("a", b"x")
    sandbox.write("b", b"y")
    sandbox.plan(signed_by=signer)
    of_a, of_b = urlsplit(sandbox.url("a")), urlsplit(sandbox.url("b"))
    mixed = of_b._replace(query=of_a.query).geturl()
    assert code(sandbox.store.get(mixed)) == (403, "SignatureDoesNotMatch")


def test_key_beside_signature(sandbox: Served, signer: str) -> None:
    """An Authorization header beside the signature is an error, so that a leaked key does not pass unseen."""
    sandbox.write("a", b"x")
    sandbox.plan(signed_by=signer)
    answer = sandbox.store.get(sandbox.url("a"), headers={"authorization": f"Bearer {KEY}"})
    assert code(answer) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("status", "name"), [(403, "AccessDenied"), (400, "ExpiredRequest"), (401, "Unauthorized")]
)
def test_expired(sandbox: Served, signer: str, status: int, name: str) -> None:
    """An expired URL is refused with the status of the plan, and says why."""
    sandbox.write("a", b"x")
    sandbox.plan(signed_by=signer, url_expiry_s=60)
    url = sandbox.url("a")
    assert sandbox.store.get(url).status_code == 200
    sandbox.plan(expired_status=status, clock_offset_s=61)
    answer = sandbox.store.get(url)
    assert code(answer) == (status, name)
    assert "Request has expired" in answer.text


def test_object_gone(sandbox: Served, signer: str) -> None:
    """A URL whose file has gone answers NoSuchKey."""
    file = sandbox.write("a", b"x")
    sandbox.plan(signed_by=signer)
    url = sandbox.url("a")
    file.unlink()
    assert code(sandbox.store.get(url)) == (404, "NoSuchKey")


def test_if_match(sandbox: Served, signer: str) -> None:
    """If-Match lets through the ETag it names, and answers 412 once the file was replaced."""
    sandbox.write("a", b"old", mtime=1)
    sandbox.plan(signed_by=signer)
    url = sandbox.url("a")
    etag = sandbox.store.get(url).headers["etag"]
    for condition in (etag, f'"x", {etag}', "*"):
        assert sandbox.store.get(url, headers={"if-match": condition}).content == b"old"
    sandbox.write("a", b"new", mtime=2)
    assert code(sandbox.store.get(url, headers={"if-match": etag})) == (412, "PreconditionFailed")
    assert sandbox.store.get(url).headers["etag"] != etag


def test_replaced_while_it_is_sent(sandbox: Served) -> None:
    """A body goes on with the content that its headers promised when the file is replaced by renaming."""
    sandbox.write("a", b"o" * 4_000_000)
    sandbox.plan(bytes_per_second=40_000_000)
    with sandbox.store.stream("GET", sandbox.url("a")) as answer:
        sandbox.write(".unfinished", b"new").rename(sandbox.folder / "a")
        received = bytearray()
        receive(answer, received)
    assert received == b"o" * 4_000_000
    sandbox.plan()
    assert sandbox.store.get(sandbox.url("a")).content == b"new"


def test_cut_short_while_it_is_sent(sandbox: Served) -> None:
    """A body whose file is truncated in place breaks off: it is never filled up."""
    file = sandbox.write("a", b"o" * 4_000_000)
    sandbox.plan(bytes_per_second=40_000_000)
    with sandbox.store.stream("GET", sandbox.url("a")) as answer:
        file.write_bytes(b"short")
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            receive(answer, bytearray())


def test_symlink_in_place_of_a_file(sandbox: Served) -> None:
    """A symbolic link is no resource, and is not followed when it takes the place of one."""
    outside = sandbox.folder.parent / "outside"
    outside.write_bytes(b"secret")
    file = sandbox.write("a", b"x")
    url = sandbox.url("a")
    file.unlink()
    file.symlink_to(outside)
    assert code(sandbox.store.get(url)) == (404, "NoSuchKey")
    assert sandbox.resources() == []
