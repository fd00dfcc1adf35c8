"""Decides whether an answer belongs to a version of a content, shows a change, or is unusable. No I/O.

A version is identified by its validators (RFC 9110, 8.8): the ETag, a version id, Last-Modified and the
length. The first answer gives them, except the length, which the listing gives. An answer is used if it is
tied to the version: it has the ETag of the first answer, or, if that had none, another of its validators; and
no validator differs. If a store sends no validators, only the length and the listing identify a version.
"""

from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import NamedTuple

from empirical_fs.errors import BadAnswer, ContentChanged, OtherLength

_WEAK = "W/"
_NANOSECONDS = 10**9


class Validators(NamedTuple):
    """The validators in an answer, which identify a version; None for each that the answer lacks."""

    etag: str | None = None
    """As the store sent it, weak or strong."""
    version_id: str | None = None
    last_modified: str | None = None
    """A date, compared as text."""

    @property
    def if_match(self) -> str | None:
        """The ETag, if usable as If-Match, which compares strong tags only (RFC 9110, 13.1.1)."""
        etag = self.etag
        may_be_sent = etag is not None and etag.startswith('"') and etag.isascii() and etag.isprintable()
        return etag if may_be_sent else None

    def differ_from(self, others: "Validators") -> bool:
        """Whether both have a validator of the same kind with different values."""
        return any(ours != theirs for ours, theirs in self._beside(others) if None not in (ours, theirs))

    def fit(self, found: "Validators") -> bool:
        """Whether an answer with the validators `found` is of the version with these validators.

        A partial answer has the ETag that the whole would have (RFC 9110, 15.3.7).
        """
        shared = [ours for ours, theirs in self._beside(found) if ours is not None and ours == theirs]
        return bool(shared) and (self.etag is None or found.etag is not None)

    @property
    def exact(self) -> "Validators":
        """Without Last-Modified, which two versions may share: it counts seconds."""
        return self._replace(last_modified=None)

    def are_since(self, moment_ns: int) -> bool:
        """Whether Last-Modified is at or after `moment_ns`, in ns since the epoch; False without one."""
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
        return [
            # A proxy may mark a tag as weak or not; it is the same tag (RFC 9110, 8.8.3.2).
            (_opaque(self.etag), _opaque(others.etag)),
            (self.version_id, others.version_id),
            (self.last_modified, others.last_modified),
        ]


class Extent(NamedTuple):
    """The bytes of the object that the body of an answer holds."""

    start: int
    """The offset in the object of the body's first byte."""
    stop: int
    """The offset after its last byte."""
    is_announced: bool = True
    """Whether the answer gives its body's length; if not, only the end shows if it is complete."""
    is_range: bool = True
    """Whether the answer says which range of the object its body is; if not, it is the whole object."""

    def is_part(self, start: int, stop: int) -> bool:
        """Whether it begins at `start`, ends at or before `stop`, and is not a whole of unknown length."""
        return self.start == start and self.stop <= stop and (self.is_announced or self.is_range)


class Refused(Enum):
    """Why an answer about the object has no bytes of it."""

    CONDITION = auto()
    """The ETag is not that of If-Match (HTTP 412)."""
    PAST_THE_END = auto()
    """The object does not have the requested bytes (HTTP 416)."""


class Head(NamedTuple):
    """What the head (status and headers) of an answer says about an object."""

    brings: Extent | Refused
    validators: Validators = Validators()
    total: int | None = None
    """The size of the object in bytes; None if the answer does not say."""
    is_html: bool = False
    """Whether the Content-Type says that the body is a web page."""

    @property
    def brings_range(self) -> bool:
        """Whether the answer says that its body is a range of the object."""
        return isinstance(self.brings, Extent) and self.brings.is_range


class Version(NamedTuple):
    """What is known about a version before an answer arrives."""

    size: int
    """The size in bytes, from the listing."""
    validators: Validators | None = None
    """The validators of the first answer; None before it."""
    is_listed: bool = True
    """Whether the listing still has this version."""
    has_ranges: bool = False
    """Whether the store has sent a range of it before."""

    def fits(self, found: Validators) -> bool:
        """Whether an answer with the validators `found` is of this version, by those of the first answer."""
        return self.validators is not None and self.validators.fit(found)


def judge(known: Version, head: Head) -> None:
    """Return if the bytes of an answer with this head can be used as bytes of the version.

    Raises:
        ContentChanged: a validator or the listing shows that the version is over.
        BadAnswer: the answer shows nothing about the version: it cannot be tied to it, or makes no sense.
    """
    first, found = known.validators, head.validators
    is_same = first == found and not found.is_none
    if is_same and known.is_listed and head.brings_range and head.total == known.size:
        return  # as nearly all answers are; all that follows would find the same
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
    """Whether an answer is more likely a proxy's or a sign-in page than another object.

    Such a page is a whole body of another length, without validators, as HTML, or where the store has sent
    ranges before.
    """
    is_whole = isinstance(head.brings, Extent) and not head.brings.is_range
    if not is_whole or head.total in (None, known.size) or not known.is_listed:
        return False
    is_likely = known.has_ranges or head.is_html or head.validators.is_none
    return is_likely and not known.fits(head.validators)


def _judge_untied(first: Validators, found: Validators) -> None:
    """Judge an answer that shares no validator with the first answer, while none differs."""
    if not first.is_none:
        raise BadAnswer("the store sent something without the object's validators")
    if not found.is_none:
        # The earlier bytes may be of another version, since a store that sends a validator sends it always.
        raise ContentChanged("the object has a validator that it did not have before")


def _judge_refusal(known: Version, head: Head) -> None:
    if head.brings is Refused.CONDITION:
        if known.fits(head.validators):
            # A tag that a proxy has marked as weak never satisfies If-Match (RFC 9110, 13.1.1).
            raise BadAnswer("the store refuses a condition that the object meets (HTTP 412)")
        raise ContentChanged("the object has another ETag than before (HTTP 412)")
    if head.total == known.size or (head.total is None and known.fits(head.validators)):
        raise BadAnswer("the store refuses bytes that it says the object has (HTTP 416)")
    raise ContentChanged("the object is shorter than the listing says (HTTP 416)")


def _opaque(etag: str | None) -> str | None:
    return None if etag is None else etag.removeprefix(_WEAK)
