"""Which answers belong to the version that is read, which end it, and which are of no use."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.errors import BadAnswer, ContentChanged, OtherLength, StoreError
from empirical_fs.reading.version import Extent, Head, Refused, Validators, Version, judge

SIZE = 100
PART, WHOLE, OPEN = (
    Extent(10, 20),
    Extent(0, SIZE, is_range=False),
    Extent(0, SIZE, is_announced=False, is_range=False),
)
TAG, OTHER = Validators('"v1"'), Validators('"v2"')
WEAK, OTHER_WEAK = Validators('W/"v1"'), Validators('W/"v2"')
ODD = Validators("v1 \xe9")
NOON, LATER = Validators(last_modified="noon"), Validators(last_modified="later")
ID, OTHER_ID = Validators(version_id="1"), Validators(version_id="2")
ALL = Validators('"v1"', "1", "noon")
NONE = Validators()

SERVED = None


def known(validators: Validators | None, *, is_listed: bool = True) -> Version:
    return Version(SIZE, validators, is_listed)


def part(validators: Validators, total: int | None = SIZE) -> Head:
    return Head(PART, validators, total)


def whole(validators: Validators, length: int | None = SIZE) -> Head:
    extent = OPEN if length is None else Extent(0, length, is_range=False)
    return Head(extent, validators, length)


def verdict(what: Version, head: Head) -> type[StoreError] | None:
    """How it is judged: the error, or None for what is served."""
    try:
        judge(what, head)
    except StoreError as error:
        return type(error)
    return SERVED


@pytest.mark.parametrize("found", [NONE, TAG, WEAK, ODD, NOON, ID, ALL])
@pytest.mark.parametrize("is_listed", [True, False])
def test_the_first_answer(found: Validators, *, is_listed: bool) -> None:
    """The first answer is served, unless the listing has another version and no tag ties the next one."""
    expected = SERVED if is_listed or not found.exact.is_none else ContentChanged
    assert verdict(known(None, is_listed=is_listed), part(found)) is expected
    assert verdict(known(None, is_listed=is_listed), whole(found)) is expected


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (TAG, TAG),
        (WEAK, WEAK),
        (ODD, ODD),
        (NOON, NOON),
        (ID, ID),
        (ALL, ALL),
        # A server between marks tags as weak, or takes the mark away.
        (TAG, WEAK),
        (WEAK, TAG),
        # Others than the ETag may come and go, and it may come later if another one ties.
        (ALL, TAG),
        (TAG, ALL),
        (ALL, Validators('"v1"', last_modified="noon")),
        (Validators(version_id="1", last_modified="noon"), ID),
        (Validators(version_id="1", last_modified="noon"), NOON),
        (NOON, ALL),
        (ID, ALL),
    ],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_tied(first: Validators, found: Validators, *, is_listed: bool) -> None:
    """An answer with a validator of the first one is served; by its second alone, as long as it is listed."""
    is_exact = first.exact.fit(found)
    expected = SERVED if is_listed or is_exact else ContentChanged
    assert verdict(known(first, is_listed=is_listed), part(found)) is expected
    assert verdict(known(first, is_listed=is_listed), part(found, None)) is expected
    assert verdict(known(first, is_listed=is_listed), whole(found)) is expected


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (TAG, OTHER),
        (TAG, OTHER_WEAK),
        (WEAK, OTHER),
        (WEAK, OTHER_WEAK),
        (ODD, Validators("v2 \xe9")),
        (ODD, TAG),
        (NOON, LATER),
        (ID, OTHER_ID),
        # A difference in any is a change.
        (ALL, Validators('"v2"', "1", "noon")),
        (ALL, Validators('"v1"', "2", "noon")),
        (ALL, Validators('"v1"', "1", "later")),
        (ALL, LATER),
        # Bytes that were served untied may be of another version than a tag that comes up now.
        (NONE, TAG),
        (NONE, NOON),
        (NONE, ALL),
    ],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_other_validators(first: Validators, found: Validators, *, is_listed: bool) -> None:
    """Another validator than before, or one where there was none, ends the version."""
    assert verdict(known(first, is_listed=is_listed), part(found)) is ContentChanged
    assert verdict(known(first, is_listed=is_listed), whole(found)) is ContentChanged


@pytest.mark.parametrize(
    ("first", "found"),
    [(TAG, NONE), (WEAK, NONE), (NOON, NONE), (ID, NONE), (ALL, NONE), (ALL, NOON), (NOON, TAG)],
)
@pytest.mark.parametrize("head", [part, whole])
def test_validators_that_are_missing(
    first: Validators, found: Validators, head: Callable[[Validators, int], Head]
) -> None:
    """An answer that lacks validators says nothing; if the listing has another version, that one is over."""
    assert verdict(known(first), head(found, SIZE)) is BadAnswer
    assert verdict(known(first, is_listed=False), head(found, SIZE)) is ContentChanged


def test_a_whole_of_a_store_that_has_sent_ranges() -> None:
    """A store that has sent ranges sends no whole of another length in place of one."""
    before = known(TAG)._replace(has_ranges=True)
    assert verdict(before, whole(OTHER, 99)) is OtherLength
    assert verdict(before, whole(OTHER)) is ContentChanged
    assert verdict(before, part(OTHER, 99)) is ContentChanged
    assert verdict(before._replace(is_listed=False), whole(OTHER, 99)) is ContentChanged


def test_a_whole_of_another_length_and_another_listing() -> None:
    """Once the listing has another version, a whole of another length is that one."""
    assert verdict(known(None, is_listed=False), whole(NONE, 99)) is ContentChanged
    assert verdict(known(NONE, is_listed=False), whole(NONE, 99)) is ContentChanged


def test_a_store_without_validators() -> None:
    """Where there are none, answers are served until the listing has another version."""
    assert verdict(known(NONE), part(NONE)) is SERVED
    assert verdict(known(NONE), whole(NONE, None)) is SERVED
    assert verdict(known(NONE, is_listed=False), part(NONE)) is ContentChanged


@pytest.mark.parametrize(
    ("first", "head", "expected"),
    [
        # A part has a total, which is a validator.
        (None, part(NONE, 101), ContentChanged),
        (None, part(TAG, 99), ContentChanged),
        (TAG, part(TAG, 101), ContentChanged),
        (NONE, part(NONE, 101), ContentChanged),
        (TAG, part(NONE, 101), BadAnswer),
        # A whole of another length may be a page of whoever is between.
        (None, whole(NONE, 99), OtherLength),
        (None, whole(TAG, 5), ContentChanged),
        (NONE, whole(NONE, 0), OtherLength),
        (TAG, whole(NONE, 99), OtherLength),
        (TAG, whole(TAG, 99), ContentChanged),
        (TAG, whole(OTHER, 99), ContentChanged),
        (None, whole(TAG, 99)._replace(is_html=True), OtherLength),
        (TAG, whole(OTHER, 99)._replace(is_html=True), OtherLength),
        (TAG, whole(TAG, 99)._replace(is_html=True), ContentChanged),
    ],
)
def test_lengths(first: Validators | None, head: Head, expected: type[StoreError]) -> None:
    """Another total ends the version; a whole that nothing ties to the object says nothing."""
    assert verdict(known(first), head) is expected


@pytest.mark.parametrize(
    ("first", "head", "expected"),
    [
        (TAG, Head(Refused.CONDITION), ContentChanged),
        (TAG, Head(Refused.CONDITION, OTHER), ContentChanged),
        (TAG, Head(Refused.CONDITION, TAG), BadAnswer),
        (TAG, Head(Refused.CONDITION, WEAK), BadAnswer),
        (None, Head(Refused.CONDITION), ContentChanged),
        (TAG, Head(Refused.PAST_THE_END, total=SIZE), BadAnswer),
        (None, Head(Refused.PAST_THE_END, total=SIZE), BadAnswer),
        (None, Head(Refused.PAST_THE_END, total=5), ContentChanged),
        (TAG, Head(Refused.PAST_THE_END), ContentChanged),
        (TAG, Head(Refused.PAST_THE_END, OTHER), ContentChanged),
        (TAG, Head(Refused.PAST_THE_END, TAG), BadAnswer),
        (TAG, Head(Refused.PAST_THE_END, TAG, 5), ContentChanged),
    ],
)
def test_refusals(first: Validators | None, head: Head, expected: type[StoreError]) -> None:
    """A refusal ends the version, unless it says itself that the object is the same."""
    assert verdict(known(first), head) is expected


VALIDATORS = st.builds(
    Validators,
    st.sampled_from([None, '"v1"', '"v2"', 'W/"v1"']),
    st.sampled_from([None, "1", "2"]),
    st.sampled_from([None, "noon", "later"]),
)


@given(
    VALIDATORS,
    VALIDATORS,
    st.sampled_from([None, SIZE, 99]),
)
def test_nothing_is_served_that_differs(first: Validators, found: Validators, total: int | None) -> None:
    """What is served has no validator that differs, one in common, and the ETag that was there before."""
    if verdict(known(first), part(found, total)) is not SERVED:
        return
    assert total in (None, SIZE)
    pairs = [
        ((first.etag or "").removeprefix("W/"), (found.etag or "").removeprefix("W/")),
        (first.version_id or "", found.version_id or ""),
        (first.last_modified or "", found.last_modified or ""),
    ]
    assert all(ours == theirs for ours, theirs in pairs if ours and theirs)
    assert any(ours and theirs for ours, theirs in pairs) or not any(map(any, pairs))
    assert found.etag or not first.etag


@pytest.mark.parametrize(
    ("etag", "sent"), [('"v1"', '"v1"'), ('W/"v1"', None), ("v1", None), ('"\xe9"', None), (None, None)]
)
def test_if_match(etag: str | None, sent: str | None) -> None:
    """A request demands an ETag that is strong and can be sent."""
    assert Validators(etag).if_match == sent
