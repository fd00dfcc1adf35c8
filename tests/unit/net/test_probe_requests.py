"""What a server is asked to find out whether it answers: one byte of what it answered last."""

import httpx

from empirical_fs.net.probe_requests import ProbeRequest, ProbeRequests
from empirical_fs.server import Server

STORE = Server("https", "store.example", 443)


def url(text: str) -> httpx.URL:
    return httpx.URL(f"https://store.example{text}")


def asked(samples: ProbeRequests) -> list[str]:
    return [str(each.url) for each in samples.of(STORE)]


def test_a_server_that_never_answered() -> None:
    """It is asked for its root."""
    assert list(ProbeRequests().of(STORE)) == [ProbeRequest(url("/"), {})]


def test_what_was_answered_last_comes_first() -> None:
    """Three objects at most, each by its newest signature, and the root at last."""
    samples = ProbeRequests()
    for path in ("/a?s=1", "/b?s=1", "/c?s=1", "/d?s=1", "/b?s=2"):
        samples.answered(STORE, ProbeRequest(url(path), {}))
    root = "https://store.example/"
    assert asked(samples) == [f"{root}b?s=2", f"{root}d?s=1", f"{root}c?s=1", root]
    assert len(list(samples.of(Server("https", "other.example", 443)))) == 1


def test_one_byte_is_asked_for() -> None:
    """Of an object, whatever it was by then; the API, which has no ranges, is asked for the same."""
    samples = ProbeRequests()
    samples.answered(STORE, ProbeRequest(url("/a"), {"Range": "bytes=5-999", "If-Match": '"e"', "X": "y"}))
    assert next(samples.of(STORE)).headers == {"Range": "bytes=0-0", "X": "y"}
    samples.answered(STORE, ProbeRequest(url("/b"), {"Authorization": "Bearer k"}))
    assert next(samples.of(STORE)).headers == {"Authorization": "Bearer k"}


def test_few_are_looked_at() -> None:
    """Of many answered in a moment, only the first ones are recorded; one for the same target is, later."""
    samples = ProbeRequests()
    due = []
    for path in ("/a", "/a", "/b", "/c", "/d", "/a"):
        target = path.encode()
        if is_due := samples.is_due(STORE, target):
            samples.answered(STORE, ProbeRequest(url(path), {}, target))
        due.append(is_due)
    assert due == [True, False, True, True, False, False]
