"""Which answer belongs to which version of a content: served, changed or unusable. Pure rules, no I/O.

A version is known by its validators (RFC 9110, 8.8): the ETag, a version id, Last-Modified and the length.
The first answer gives them, but for the length, which the listing gives. An answer is served if it is tied
to the version: it has the ETag of the first answer, or where that had none, another validator of it; and none
differs. Where a store sends none at all, the length and the listing are all that is left to go by.
"""

from dataclasses import dataclass, fields, replace
from email.utils import parsedate_to_datetime
from enum import Enum, auto

from empirical_fs.errors import BadAnswer, ContentChanged, OtherLength

_WEAK = "W/"
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class Validators:
    """What an answer says of the version that it is of; None for what it does not say."""

    etag: str | None = None
    """As it was sent, in whatever form."""
    version_id: str | None = None
    last_modified: str | None = None
    """A date, to be compared as text."""

    @property
    def if_match(self) -> str | None:
        """The ETag, if a request may demand it: RFC 9110, 13.1.1, compares strong ones only."""
        etag = self.etag
        may_be_sent = etag is not None and etag.startswith('"') and etag.isascii() and etag.isprintable()
        return etag if may_be_sent else None

    def differ_from(self, others: "Validators") -> bool:
        """Whether both have a validator of one kind that is not the same."""
        return any(ours != theirs for ours, theirs in self._beside(others) if None not in (ours, theirs))

    def fit(self, found: "Validators") -> bool:
        """Whether what `found` comes with is of the version that has these.

        RFC 9110, 15.3.7: a part has the ETag that the whole would have.
        """
        shared = [ours for ours, theirs in self._beside(found) if ours is not None and ours == theirs]
        return bool(shared) and (self.etag is None or found.etag is not None)

    @property
    def exact(self) -> "Validators":
        """Those that no two versions share: a second, which Last-Modified tells, may have several."""
        return replace(self, last_modified=None)

    def are_since(self, moment_ns: int) -> bool:
        """Whether the object was made at that moment, in nanoseconds since the epoch, or later."""
        try:
            made_at = parsedate_to_datetime(self.last_modified or "").timestamp()
        except (ValueError, OverflowError):
            return False
        return made_at >= moment_ns // _NANOSECONDS

    @property
    def is_none(self) -> bool:
        """Whether there is no validator at all."""
        return self == Validators()

    def _beside(self, others: "Validators") -> list[tuple[str | None, str | None]]:
        pairs = [(getattr(self, each.name), getattr(others, each.name)) for each in fields(self)]
        # A server between may mark a tag as weak, or not; it is the same tag (RFC 9110, 8.8.3.2).
        return [(_opaque(pairs[0][0]), _opaque(pairs[0][1])), *pairs[1:]]


@dataclass(frozen=True, slots=True)
class Extent:
    """What the body of an answer holds."""

    start: int
    """The offset in the object of the body's first byte."""
    stop: int
    """The offset after its last byte."""
    is_announced: bool = True
    """Whether the answer says how long its body is; if not, only its end tells whether it is the object."""
    is_range: bool = True
    """Whether the answer says where in the object its body lies; else it is all of the object."""

    def is_part(self, start: int, stop: int) -> bool:
        """Whether it begins at `start`, goes no farther than `stop`, and is not a whole of unknown length."""
        return self.start == start and self.stop <= stop and (self.is_announced or self.is_range)


class Refused(Enum):
    """Why an answer that speaks of the object brings no bytes of it."""

    CONDITION = auto()
    """The ETag is not the one that was demanded (412)."""
    PAST_THE_END = auto()
    """The object has no such bytes (416)."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of an answer says of an object."""

    brings: Extent | Refused
    validators: Validators = Validators()
    total: int | None = None
    """The size of the object in bytes; None where the answer does not say."""
    is_html: bool = False
    """Whether the body is a web page by its type."""

    @property
    def brings_range(self) -> bool:
        """Whether its body is a range of the object, by its own word."""
        return isinstance(self.brings, Extent) and self.brings.is_range


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a version before an answer comes."""

    size: int
    """Bytes, by the listing."""
    validators: Validators | None = None
    """Those of the first answer; None before it."""
    is_listed: bool = True
    """Whether the listing still has this version."""
    has_ranges: bool = False
    """Whether the store has sent a range of it before."""

    def fits(self, found: Validators) -> bool:
        """Whether what `found` comes with is of this version, by the validators of the first answer."""
        return self.validators is not None and self.validators.fit(found)


def judge(known: Version, head: Head) -> None:
    """Return if an answer with this head can be served as a part of the version.

    Raises:
        ContentChanged: the version is over, by a validator or by the listing.
        BadAnswer: the answer says nothing of the version: it cannot be tied to it, or makes no sense.
    """
    first, found = known.validators, head.validators
    if isinstance(head.brings, Refused):
        _judge_refusal(known, head)
        return
    if _is_page(known, head):
        raise OtherLength(head.total, known.size)
    if first is not None:
        if first.differ_from(found):
            raise ContentChanged("the object has other validators than before")
        if not known.is_listed and not first.exact.fit(found):
            raise ContentChanged("the listing has another version, and the answer is not tied to this one")
        if not first.fit(found):
            _judge_untied(first, found)
    elif not known.is_listed and found.exact.is_none:
        raise ContentChanged("the listing has another version, and nothing ties the answers of this one")
    if head.total not in (None, known.size):
        raise ContentChanged(f"the object has {head.total} bytes, the listing says {known.size}")


def _is_page(known: Version, head: Head) -> bool:
    """Whether an answer is more likely a page of whoever stands between than another object.

    Such a page is a whole of some other length, from a store that sends ranges, or without a validator.
    """
    is_whole = isinstance(head.brings, Extent) and not head.brings.is_range
    if not is_whole or head.total in (None, known.size) or not known.is_listed:
        return False
    is_likely = known.has_ranges or head.is_html or head.validators.is_none
    return is_likely and not known.fits(head.validators)


def _judge_untied(first: Validators, found: Validators) -> None:
    """An answer that has no validator of the first one's, and none that differs."""
    if not first.is_none:
        raise BadAnswer("the store sent something without the object's validators")
    if not found.is_none:
        # What was served before may be of another version: a store that sends a validator always does.
        raise ContentChanged("the object has a validator that it did not have before")


def _judge_refusal(known: Version, head: Head) -> None:
    if head.brings is Refused.CONDITION:
        if known.fits(head.validators):
            # A tag that a server between has marked as weak meets no condition (RFC 9110, 13.1.1).
            raise BadAnswer("the store refuses a condition that the object meets (HTTP 412)")
        raise ContentChanged("the object has another ETag than before (HTTP 412)")
    if head.total == known.size or (head.total is None and known.fits(head.validators)):
        raise BadAnswer("the store refuses bytes that the object has by its own word (HTTP 416)")
    raise ContentChanged("the object is shorter than the listing says (HTTP 416)")


def _opaque(etag: str | None) -> str | None:
    return None if etag is None else etag.removeprefix(_WEAK)
