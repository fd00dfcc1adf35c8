"""Signed URLs: the example that Amazon publishes, how long they live, and what is refused."""

import pytest

from empirical_fs.sandbox.signing import (
    Credentials,
    SignatureMismatch,
    Target,
    UrlExpired,
    presigned_query,
    verify,
)

# The worked example of "Authenticating Requests: Using Query Parameters" in the S3 API reference.
PUBLISHED = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
TARGET = Target("examplebucket.s3.amazonaws.com", "/test.txt")
AT = 1369353600.0  # 20130524T000000Z
DAY = 86400.0


def test_published_example() -> None:
    """The query is, to the letter, the one that AWS publishes for its example."""
    assert presigned_query(PUBLISHED, TARGET, AT, DAY) == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_valid_until_the_last_moment() -> None:
    """A URL opens its object from the signing until just before its time is over, and not after."""
    query = presigned_query(PUBLISHED, TARGET, AT, 60)
    verify(PUBLISHED, TARGET, query, AT)
    verify(PUBLISHED, TARGET, query, AT + 59.9)
    with pytest.raises(UrlExpired):
        verify(PUBLISHED, TARGET, query, AT + 60)


def test_spans_are_rounded_up() -> None:
    """A span that is not of whole seconds is rounded up, as the URL has no fractions."""
    assert "X-Amz-Expires=2&" in presigned_query(PUBLISHED, TARGET, AT, 1.2)


@pytest.mark.parametrize(
    "target",
    [
        Target("elsewhere.example", TARGET.path),
        Target(TARGET.host, "/test.txt2"),
        Target(TARGET.host, TARGET.path, "HEAD"),
    ],
)
def test_other_requests_are_refused(target: Target) -> None:
    """A signature opens nothing but the host, the path and the method that it was made for."""
    with pytest.raises(SignatureMismatch):
        verify(PUBLISHED, target, presigned_query(PUBLISHED, TARGET, AT, DAY), AT)


@pytest.mark.parametrize(
    ("old", "new"), [("86400", "86401"), ("20130524T", "20130525T"), ("X-Amz-Signature", "x")]
)
def test_altered_queries_are_refused(old: str, new: str) -> None:
    """No part of the query can be changed, and the signature cannot be left out."""
    query = presigned_query(PUBLISHED, TARGET, AT, DAY).replace(old, new)
    with pytest.raises(SignatureMismatch):
        verify(PUBLISHED, TARGET, query, AT)


def test_escapes_do_not_matter() -> None:
    """The same path with more escapes is the same path, but an escaped slash is no slash."""
    query = presigned_query(PUBLISHED, Target("h", "/a/%C3%BC~x"), AT, DAY)
    verify(PUBLISHED, Target("h", "/a/%c3%bc%7Ex"), query, AT)
    with pytest.raises(SignatureMismatch):
        verify(PUBLISHED, Target("h", "/a%2F%C3%BC~x"), query, AT)
