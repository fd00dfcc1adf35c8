import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.resource import Malformed, Resource, parse_resource

SIGNED = "https://b.r2.cloudflarestorage.com/o?X-Amz-Expires=3600&X-Amz-Signature=abc"
PAGE = "https://docs.google.com/spreadsheets/d/1/edit"
TEXTS = st.text(st.characters(), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MANGLED = st.fixed_dictionaries(
    {"id": st.integers(0, 9) | JSON, "name": TEXTS | JSON, "status": st.just("uploaded") | JSON},
    optional={
        "size_bytes": st.none() | st.integers() | JSON,
        "url": st.sampled_from([SIGNED, PAGE]) | TEXTS.map("https://".__add__) | JSON,
        "updated_at": JSON,
        "created_at": JSON,
    },
)


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "project_id": 1,
        "name": "a.txt",
        "url": SIGNED,
        "description": None,
        "mime_type": "text/plain",
        "size_bytes": 5,
        "status": "uploaded",
        "created_by": "x",
        "created_at": "1970-01-01T00:00:01Z",
        "updated_at": "1970-01-01T00:00:02Z",
        **fields,
    }


def parsed(**fields: Any) -> Resource:
    resource = parse_resource(entry(**fields))
    assert resource is not None
    return resource


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in entry().items() if key != name}


def test_an_upload() -> None:
    """An entry as the reference page shows it becomes a resource with all of it."""
    details = (
        ("project_id", "1"),
        ("mime_type", "text/plain"),
        ("created_by", "x"),
        ("created_at", "1970-01-01T00:00:01Z"),
        ("updated_at", "1970-01-01T00:00:02Z"),
    )
    expected = Resource(
        id=7, name="a.txt", url=SIGNED, size=5, updated_ns=2 * 10**9, link=None, details=details
    )
    assert parse_resource(entry()) == expected


@settings(max_examples=200)
@given(JSON | MANGLED)
def test_nothing_else_comes_out(value: Any) -> None:
    """Any value gives a resource, None, or Malformed, and no other exception."""
    outcome: object
    try:
        outcome = parse_resource(value)
    except Malformed as error:
        outcome = error
    assert isinstance(outcome, Resource | Malformed | None)
    if isinstance(outcome, Malformed):
        assert outcome.resource_id is None or outcome.resource_id == value["id"]


@pytest.mark.parametrize("key", ["\ud800", "status\udc00"])
def test_surrogates_in_a_key_do_no_harm(key: str) -> None:
    """A field that nobody knows, with an unpaired surrogate in its name, costs at most its own resource."""
    value = json.loads(json.dumps({**entry(), key: 1}))
    identity: int | None = 7
    try:
        parse_resource(value)
    except Malformed as error:
        identity = error.resource_id
    assert identity == 7


@pytest.mark.parametrize("status", ["pending", "failed", "", "UPLOADED"])
def test_only_what_is_uploaded(status: str) -> None:
    """A resource of any status but `uploaded` is none."""
    assert parse_resource(entry(status=status)) is None


@pytest.mark.parametrize("identity", [None, "7", 7.0, True, -1, 2**63 - 1, 2**70, [7], {}])
def test_hostile_ids(identity: Any) -> None:
    """An id that no inode number can be made from is malformed, and the error has no id."""
    with pytest.raises(Malformed) as caught:
        parse_resource(entry(id=identity))
    assert caught.value.resource_id is None


@pytest.mark.parametrize("value", [None, [], "x", 7, {}, without("id")])
def test_no_entry_at_all(value: Any) -> None:
    """What has no id is malformed without one."""
    with pytest.raises(Malformed, match="without an id"):
        parse_resource(value)


@pytest.mark.parametrize(
    "value",
    [
        without("name"),
        without("status"),
        entry(name=None),
        entry(name=5),
        entry(status=None),
        entry(size_bytes="5"),
        entry(size_bytes=5.5),
        entry(size_bytes=True),
        entry(size_bytes=-1),
        entry(size_bytes=2**63),
        entry(size_bytes=2**200),
        entry(size_bytes=float("inf")),
    ],
)
def test_malformed_fields(value: dict[str, Any]) -> None:
    """A name, status or size that is none is malformed, and the error names the resource."""
    with pytest.raises(Malformed, match="resource 7 ") as caught:
        parse_resource(value)
    assert caught.value.resource_id == 7


def test_sizes_at_the_ends() -> None:
    """The empty file and the largest that a file system can tell are as listed."""
    assert parsed(size_bytes=0).size == 0
    assert parsed(size_bytes=2**63 - 1).size == 2**63 - 1


@pytest.mark.parametrize("name", ["", "/", "..", "\0", "\ud800", "a" * 5000, "a\r\nb"])
def test_names_are_taken_as_they_are(name: str) -> None:
    """Any text is a name here; what the file is called is decided elsewhere."""
    assert parsed(name=name).name == name


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 2),
        ({"updated_at": None}, 1),
        ({"updated_at": "yesterday"}, 1),
        ({"updated_at": 1769949045}, 1),
        ({"updated_at": None, "created_at": None}, 0),
        ({"updated_at": "", "created_at": {"a": 1}}, 0),
        ({"created_at": None}, 2),
    ],
)
def test_moments_fall_back(fields: dict[str, Any], expected: int) -> None:
    """A null or bad `updated_at` falls back to `created_at`, and that to the epoch, never to now."""
    assert parsed(**fields).updated_ns == expected * 10**9


def test_moments_that_are_missing() -> None:
    """Without both timestamps a resource is as old as the epoch."""
    value = {"id": 1, "name": "a", "status": "uploaded"}
    assert parse_resource(value) == Resource(id=1, name="a", url=None, size=None, updated_ns=0, link=None)


@pytest.mark.parametrize("url", [None, 5, [], {}, True])
def test_an_upload_without_a_url(url: Any) -> None:
    """A URL that is no text is one that has to be signed anew, not a malformed resource."""
    assert parsed(url=url).url is None
    assert parsed(url=url, size_bytes=None).link is None


@pytest.mark.parametrize(
    "url",
    [
        SIGNED,
        "https://dash.empirical.run/api/resources/7/content?sig=a",
        "https://x/o?Expires=1769949045&Signature=abc",
        "https://x/o?exp=1&hmac=b",
    ],
)
def test_an_upload_of_unknown_size(url: str) -> None:
    """A signed URL without a size is an upload whose size has to be measured, never a link."""
    assert (parsed(url=url, size_bytes=None).url, parsed(url=url, size_bytes=None).link) == (url, None)


@pytest.mark.parametrize("url", [PAGE, "http://intranet/page", "https://x/a?sig=1", "https://x/é?q=ü#f"])
def test_a_link(url: str) -> None:
    """An unsigned URL without a size is a link, whose page is never to be fetched."""
    resource = parsed(url=url, size_bytes=None)
    assert resource.url is None
    assert resource.link is not None
    assert resource.link.isascii()


def test_a_sized_resource_is_no_link() -> None:
    """Where there is a size there is an upload, whatever the URL looks like."""
    assert parsed(url=PAGE).link is None
    assert parsed(url=PAGE).url == PAGE


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "smb://host/share",
        "",
        "page",
        "https://[::1",
        "\ud800",
        "https://x/" + "a" * 70_000,
    ],
)
def test_links_to_no_page(url: str) -> None:
    """A link that is no web page is malformed: a click on it must not start anything."""
    with pytest.raises(Malformed, match="resource 7 "):
        parse_resource(entry(url=url, size_bytes=None))


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x85", "\u2028", "\0", "\ud800"])
def test_a_link_stays_on_its_line(end: str) -> None:
    """Nothing in a link's URL can begin a second line of the shortcut: it is escaped, or malformed."""
    try:
        link = parsed(url=f"https://x/{end}IconFile=//evil/x", size_bytes=None).link
    except Malformed:
        return
    assert link is not None
    assert link.isascii()
    assert link.isprintable()
