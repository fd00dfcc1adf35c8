"""The plan: how the sandbox misbehaves, as data that is checked when it is read."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
HeaderText = Annotated[str, msgspec.Meta(pattern=r"^[\t -~]*\Z")]
Latin1 = Annotated[str, msgspec.Meta(pattern=r"^[\x00-\xff]*\Z")]


class BadPlan(Exception):
    """The text is no plan; the message says where and why."""


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="status"):
    """Answer with this status; without a body of its own, with JSON or XML as the side asked would."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    retry_after: HeaderText | None = None
    body: str | None = None
    headers: dict[HeaderName, HeaderText] = {}


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="cut"):
    """Close the connection after so many bytes of the body, with headers that promise all of it."""

    after: Count


class Stall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stall"):
    """Send so many bytes of the body, nothing for `seconds`, then the rest."""

    after: Count
    seconds: Seconds


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reset"):
    """Reset the connection before anything is answered."""


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="silence"):
    """Take the request and never answer; the connection stays for as long as the client keeps it."""


class Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="raw"):
    """Send this text, a byte for each character, in place of any HTTP, and close the connection."""

    text: Latin1


class SlowHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="slow-head"):
    """Send the head in so many pieces (of a byte at least), with a pause before each, `seconds` in all."""

    seconds: Seconds
    pieces: Positive = 1


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="resize"):
    """Send a body that is `by` bytes longer than it is to be, or shorter if that is negative.

    Its Content-Length is `kept` as if nothing were wrong, `true` to what is sent, or there is `none` and
    the body is chunked. Whatever is too long ends in `x`. All other headers stay as they are.
    """

    by: int
    length: Literal["kept", "true", "none"] = "kept"


class Gzip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="gzip"):
    """Compress the body, and say so, though nobody asked for it."""


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="whole"):
    """Overlook the `Range` of the request: 200 and everything."""


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="other"):
    """Answer as if the resource with this `id` were asked for, with its ETag, and overlook `If-Match`."""

    id: int | str


class Html(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="html"):
    """Answer 200 with a web page, as a proxy or a sign-in wall does."""


class Redirect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="redirect"):
    """Answer 302 to `location`; an empty one means the URL that was asked for."""

    location: HeaderText


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="body"):
    """Answer 200 with this text, verbatim, so many `times` over."""

    body: str
    times: Positive = 1
    content_type: HeaderText = "application/json"


class Headers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="headers"):
    """Give the normal answer with headers set or removed; names are case-insensitive."""

    set: dict[HeaderName, HeaderText] = {}
    remove: list[str] = []


Action = (
    Status
    | Cut
    | Stall
    | Reset
    | Silence
    | Raw
    | SlowHead
    | Resize
    | Gzip
    | Whole
    | Other
    | Html
    | Redirect
    | Body
    | Headers
)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests meet which action.

    `any` is every request but the sandbox's own, HEAD and PATCH too. `ids` limits it to requests for
    these resources, `pages` to these pages of the listing, `beside` to those that come while so many others
    of the same side are under way, or more. Of those that match, the first `skip` pass,
    then each `every`-th is hit, with `probability`, `times` at most. What passes meets the next fault.
    """

    on: Literal["list", "get", "object", "any"]
    action: Action
    ids: list[int] | None = None
    pages: list[int] | None = None
    beside: Positive | None = None
    skip: Count = 0
    times: Count | None = None
    every: Positive = 1
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that the sandbox does unlike a server on its best day; the defaults are that day.

    `signed_by` and `ranges` pick among the servers of the same API that have been seen; a
    `clock_offset_s` puts the whole server's clock ahead of (or behind) ours.
    """

    url_expiry_s: Seconds = 3600.0
    expired_status: Literal[400, 401, 403] = 403
    api_latency_s: Seconds = 0.0
    store_latency_s: Seconds = 0.0
    ranges: Literal["206", "200-with-content-range", "ignored"] = "206"
    by_id: bool = True
    signed_by: Literal["store", "content-endpoint"] = "store"
    clock_offset_s: float = 0.0
    bytes_per_second: Annotated[float, msgspec.Meta(gt=0)] | None = None
    seed: int = 0
    faults: list[Fault] = []


def parse_plan(text: bytes) -> Plan:
    """The plan that the JSON `text` describes.

    Raises:
        BadPlan: it is not JSON, or not of a plan's shape.
    """
    try:
        return msgspec.json.decode(text, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPlan(str(error)) from error
