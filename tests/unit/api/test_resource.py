"""A resource from an answer of the API: every field is checked, and other forms of it are understood."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from empirical_fs.api.resource import Malformed, Resource, parse_resource, readable_id, signed_url
from tests.support.listed import said

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


def meant(**fields: Any) -> Resource:
    """The resource, however it is said."""
    return replace(parsed(**fields), said=said())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in entry().items() if key != name}


def test_an_upload() -> None:
    """An entry as the reference page shows it becomes a resource with all of it."""
    fields = {name: value for name, value in entry().items() if name != "url"}
    expected = Resource(id=7, name="a.txt", size=5, updated_ns=2 * 10**9, link=None, said=said(**fields))
    found = parsed()
    assert found == expected
    assert found.details == {
        "project_id": "1",
        "mime_type": "text/plain",
        "created_by": "x",
        "created_at": "1970-01-01T00:00:01Z",
        "updated_at": "1970-01-01T00:00:02Z",
    }
    assert signed_url(entry(), found) == SIGNED


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
        assert outcome.resource_id == readable_id(value)


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


NOT_THERE = ["pending", "uploading", "processing", "queued", "created", "failed", "error", "aborted"]
NOT_THERE += ["cancelled", "canceled", "expired", "deleted", "deleting", "removed", "archived"]
NOT_THERE += ["PENDING", " Deleted\n", "in-progress", "In Progress", "upload_failed"]


@pytest.mark.parametrize("status", NOT_THERE)
@pytest.mark.parametrize("fields", [{}, {"name": None}, {"id": None}, {"size_bytes": "x"}], ids=str)
def test_only_what_is_uploaded(status: str, fields: dict[str, Any]) -> None:
    """A resource of which its status says that it is not there is none, whatever else is said of it."""
    assert parse_resource(entry(**{**fields, "status": status})) is None


@pytest.mark.parametrize("status", ["uploaded", "UPLOADED", " Uploaded ", "uploaded\n"])
def test_what_is_uploaded(status: str) -> None:
    """The word for what is uploaded may be in any case, with blanks around it."""
    assert meant(status=status) == meant()


@pytest.mark.parametrize("status", ["", "ready", "stored", "uploadedx", "up loaded", None, 1, True, [], {}])
def test_other_words(status: Any) -> None:
    """A status that is no word that is known says nothing, least of all that the resource is gone."""
    with pytest.raises(Malformed, match=r"resource 7 .* status"):
        parse_resource(entry(status=status))


@pytest.mark.parametrize("identity", ["7", 7.0])
def test_ids_in_other_forms(identity: Any) -> None:
    """An id that is a text or a whole float is the number that it shows."""
    assert meant(id=identity) == meant()


HOSTILE_IDS: list[Any] = [
    None,
    True,
    -1,
    2**63 - 1,
    2**70,
    [7],
    {},
    "",
    "x",
    "-7",
    "07",
    "7.0",
    " 7",
    "+7",
    "1_0",
    "0x5",
]
HOSTILE_IDS += ["\u0667", "9" * 5000, 7.5, 2.0**60, float("nan"), float("inf"), 7.0e300]


@pytest.mark.parametrize("identity", HOSTILE_IDS, ids=lambda each: str(each)[:20])
def test_hostile_ids(identity: Any) -> None:
    """An id that no inode number can be made from is malformed, and the error has no id."""
    with pytest.raises(Malformed) as caught:
        parse_resource(entry(id=identity))
    assert (caught.value.resource_id, caught.value.name) == (None, "a.txt")


@pytest.mark.parametrize("value", [None, [], "x", 7, 7.5, True, [entry()]])
def test_no_entry_at_all(value: Any) -> None:
    """What is no object is malformed, and has neither an id nor a name."""
    with pytest.raises(Malformed, match="without an id") as caught:
        parse_resource(value)
    assert (caught.value.resource_id, caught.value.name) == (None, None)


@pytest.mark.parametrize(
    "value",
    [
        without("name"),
        without("status"),
        entry(name=None),
        entry(name=5),
        entry(name=[]),
        entry(status=None),
        entry(size_bytes=""),
        entry(size_bytes="x"),
        entry(size_bytes=" 5"),
        entry(size_bytes="+5"),
        entry(size_bytes="-5"),
        entry(size_bytes="1_0"),
        entry(size_bytes="0x5"),
        entry(size_bytes="5.0"),
        entry(size_bytes="9" * 5000),
        entry(size_bytes=str(2**63)),
        entry(size_bytes=float("nan")),
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


@pytest.mark.parametrize("size", ["5", 5.0])
def test_sizes_in_other_forms(size: Any) -> None:
    """A size that is a text or a whole float is the number that it shows."""
    assert meant(size_bytes=size) == meant()


@pytest.mark.parametrize("project", ["1", 1.0, 1])
def test_projects_in_other_forms(project: Any) -> None:
    """So is the number of the project."""
    assert dict(parsed(project_id=project).details)["project_id"] == "1"


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
        ({"updated_at": 1769949045}, 1769949045),
        ({"updated_at": None, "created_at": None}, 0),
        ({"created_at": None}, 2),
        ({"created_at": "yesterday"}, 2),
    ],
)
def test_moments_fall_back(fields: dict[str, Any], expected: int) -> None:
    """A null `updated_at` falls back to `created_at`, and that to the epoch, never to now."""
    assert parsed(**fields).updated_ns == expected * 10**9


@pytest.mark.parametrize(
    ("fields", "field", "expected"),
    [
        ({"updated_at": "yesterday"}, "updated_at", 1),
        ({"updated_at": True}, "updated_at", 1),
        ({"updated_at": "", "created_at": {"a": 1}}, "updated_at", 0),
        ({"updated_at": "x", "created_at": None}, "updated_at", 0),
        ({"updated_at": None, "created_at": "x"}, "created_at", 0),
    ],
)
def test_bad_moments(fields: dict[str, Any], field: str, expected: int) -> None:
    """A date that cannot be read is told, with the resource as it may be shown all the same."""
    with pytest.raises(Malformed, match=f"{field} is not a date") as caught:
        parse_resource(entry(**fields))
    makeshift = caught.value.makeshift
    assert makeshift is not None
    assert (makeshift.id, makeshift.size, makeshift.updated_ns) == (7, 5, expected * 10**9)


@pytest.mark.parametrize(
    ("url", "size", "kept"),
    [
        (SIGNED, 5, SIGNED),
        (SIGNED, "x", SIGNED),
        (SIGNED, None, SIGNED),
        (PAGE, 5, PAGE),
        (PAGE, None, None),
        (None, 5, None),
        (5, 5, None),
    ],
)
def test_the_url_of_what_cannot_be_read(url: Any, size: Any, kept: str | None) -> None:
    """The URL of an upload is good for reading what is shown as it was last; a page is not to be fetched."""
    with pytest.raises(Malformed) as caught:
        parse_resource(entry(name=None, url=url, size_bytes=size))
    assert caught.value.url == kept
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize("none", [None, 0, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_dates_that_are_none(none: Any) -> None:
    """What programs write that have no date is none: the date of creation counts."""
    found = parsed(updated_at=none, created_at="1970-01-01T00:00:05Z")
    assert (found.updated_ns, found.is_dated) == (5 * 10**9, False)


def test_moments_that_are_missing() -> None:
    """Without both timestamps a resource is as old as the epoch."""
    value = {"id": 1, "name": "a", "status": "uploaded"}
    assert parse_resource(value) == Resource(
        id=1, name="a", size=None, updated_ns=0, is_dated=False, link=None, said=said(**value)
    )


@pytest.mark.parametrize("url", [None, 5, [], {}, True])
def test_an_upload_without_a_url(url: Any) -> None:
    """A URL that is no text is one that has to be signed anew, not a malformed resource."""
    assert signed_url(entry(url=url), parsed(url=url)) is None
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
    found = parsed(url=url, size_bytes=None)
    assert (signed_url(entry(url=url), found), found.link) == (url, None)


@pytest.mark.parametrize("url", [PAGE, "http://intranet/page", "https://x/a?sig=1", "https://x/é?q=ü#f"])
def test_a_link(url: str) -> None:
    """An unsigned URL without a size is a link, whose page is never to be fetched."""
    resource = parsed(url=url, size_bytes=None)
    assert signed_url(entry(url=url), resource) is None
    assert resource.link is not None
    assert resource.link.isascii()


def test_a_sized_resource_is_no_link() -> None:
    """Where there is a size there is an upload, whatever the URL looks like."""
    assert parsed(url=PAGE).link is None
    assert signed_url(entry(url=PAGE), parsed(url=PAGE)) == PAGE


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http:javascript:alert(1)",
        "http:/x",
        "https:///etc/passwd",
        "https://@/x",
        "http://:80/",
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


@given(
    st.sampled_from(["id", "name", "status", "size_bytes", "updated_at", "created_at", "description"]), JSON
)
def test_what_is_known_already(field: str, value: Any) -> None:
    """An entry leads to the resource that is known where it says the same, and is read as ever where not."""
    known = parsed()
    assert parse_resource(entry(url=f"{SIGNED}&again=1"), known) is known
    changed = entry(**{field: value})
    try:
        expected = parse_resource(changed)
    except Malformed as error:
        with pytest.raises(Malformed, match=re.escape(str(error))):
            parse_resource(changed, known)
    else:
        assert parse_resource(changed, known) == expected


def test_a_link_that_is_known_already() -> None:
    """Without a size the URL counts, too: it is what tells a link from an upload."""
    known = parsed(url=PAGE, size_bytes=None)
    assert parse_resource(entry(url=PAGE, size_bytes=None), known) is known
    assert parse_resource(entry(url=SIGNED, size_bytes=None), known) == parsed(url=SIGNED, size_bytes=None)
