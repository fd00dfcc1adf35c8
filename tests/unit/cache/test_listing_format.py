"""A kept listing is read as it was written, or not at all."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.api.last_good import Known
from empirical_fs.api.resource import Malformed, Resource, parse_resource
from empirical_fs.cache.listing_format import KeptListing, MeasuredSize, Unusable, decoded, encoded

IDENTITY = b"identity"
SIGNED = "https://store.example/a?X-Amz-Signature=1"
PLAIN = {"id": 1, "name": "a", "status": "uploaded", "size_bytes": 5, "url": SIGNED}


def resource(**fields: object) -> Resource:
    found = parse_resource({**PLAIN, **fields})
    assert found is not None
    return found


def listing(resources: Iterable[Resource], **fields: object) -> KeptListing:
    shown = {each.id: each for each in resources}
    known = Known(shown=shown, makeshift=frozenset({7}), gap=-2, troubles={"count": "a line"}, kept=3)
    return KeptListing(known, (MeasuredSize(1, 2, 3, is_final=True),), 1000.5, 1001.5)


def file_of(kept: KeptListing) -> bytes:
    return b"".join(encoded(kept, IDENTITY))


WHOLE = listing(
    [
        resource(id=1, updated_at="2026-01-02T03:04:05Z", description="words"),
        resource(id=2, name="unpaired \ud800, and a number", project_id=2**70),
        resource(id=3, size_bytes=None, url="https://example.org/pä ge"),
        resource(id=4, size_bytes=None),
        resource(id=5, size_bytes=2**62, description=1.5, created_by=True),
    ]
)


def test_all_of_it() -> None:
    """Every kind of resource comes back, with the state of the listing and the measured sizes."""
    assert decoded(file_of(WHOLE), IDENTITY) == WHOLE


def test_nothing_at_all() -> None:
    """A project without resources is a listing, too."""
    assert decoded(file_of(listing([])), IDENTITY) == listing([])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
FIELDS = st.fixed_dictionaries(
    {"id": st.integers(0, 2**63 - 2), "name": st.text(st.characters(codec=None))},
    optional=dict.fromkeys(
        ("size_bytes", "description", "mime_type", "project_id", "updated_at", "created_at"), JSON
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELDS, max_size=5))
def test_whatever_the_api_sends(entries: list[dict[str, object]]) -> None:
    """What is made of any JSON is the same after it was kept."""
    resources = []
    for each in entries:
        try:
            found = parse_resource(json.loads(json.dumps({**PLAIN, **each})))
        except Malformed as error:
            found = error.makeshift
        if found is not None:
            resources.append(found)
    kept = listing(resources)
    assert decoded(file_of(kept), IDENTITY) == kept


def test_many() -> None:
    """More than one section of them, in their order."""
    kept = listing(resource(id=each, name=f"{each}.txt") for each in range(1000))
    found = decoded(file_of(kept), IDENTITY)
    assert found == kept
    assert list(found.known.shown) == list(range(1000))


def test_equal_texts_are_one_object() -> None:
    """As after a listing of the API: most resources share their type and their project."""
    kept = listing(resource(id=each, mime_type="a long/type") for each in range(3))
    found = [each.said for each in decoded(file_of(kept), IDENTITY).known.shown.values()]
    assert len({id(each) for said in found for each in said if each == "a long/type"}) == 1


def test_a_flipped_bit() -> None:
    """Wherever it is, the file is not used."""
    whole = file_of(WHOLE)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        with pytest.raises(Unusable):
            decoded(bytes(damaged), IDENTITY)


def test_a_truncated_file() -> None:
    """Wherever it ends too early, it is not used; nor is one that has more."""
    whole = file_of(WHOLE)
    for length in range(len(whole)):
        with pytest.raises(Unusable):
            decoded(whole[:length], IDENTITY)
    with pytest.raises(Unusable):
        decoded(whole + b"\0", IDENTITY)


def test_another_identity() -> None:
    """A file that was renamed is not used."""
    with pytest.raises(Unusable, match="damaged"):
        decoded(file_of(WHOLE), b"another")
