"""The plan: which faults the sandbox has, as data that is validated when it is read."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
HeaderText = Annotated[str, msgspec.Meta(pattern=r"^[\t -~]*\Z")]
Latin1 = Annotated[str, msgspec.Meta(pattern=r"^[\x00-\xff]*\Z")]


class BadPlan(Exception):
    """The text is not a valid plan; the message says where and why."""


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="status"):
    """Answer with this status; the default body is an error in JSON (API) or XML (store)."""

    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    retry_after: HeaderText | None = None
    body: str | None = None
    headers: dict[HeaderName, HeaderText] = {}


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="cut"):
    """Close the connection after so many bytes of the body, although the headers promise all of it."""

    after: Count


class Stall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stall"):
    """Send so many bytes of the body, pause for `seconds`, then send the rest."""

    after: Count
    seconds: Seconds


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="reset"):
    """Reset the connection without an answer."""


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="silence"):
    """Accept the request and never answer; the connection stays open until the client closes it."""


class Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="raw"):
    """Send this text, a byte per character, in place of an HTTP answer, and close the connection."""

    text: Latin1


class SlowHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="slow-head"):
    """Send the head in `pieces` of at least a byte, with a pause before each, `seconds` in all."""

    seconds: Seconds
    pieces: Positive = 1


class Resize(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="resize"):
    """Send a body that is `by` bytes too long, or too short if `by` is negative.

    `length` says what happens to Content-Length: `kept` keeps the correct body's, `true` gives that of the
    body as sent, `none` leaves it out, so that the body is chunked. Extra bytes are `x`. Other headers stay.
    """

    by: int
    length: Literal["kept", "true", "none"] = "kept"


class Gzip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="gzip"):
    """Compress the body, and set Content-Encoding, though the client did not ask for it."""


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="whole"):
    """Ignore the `Range` of the request: answer 200 with the whole object."""


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="other"):
    """Answer with the resource of this `id` and its ETag instead, and ignore `If-Match`."""

    id: int | str


class Html(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="html"):
    """Answer 200 with a web page, as a proxy or a sign-in wall does."""


class Redirect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="redirect"):
    """Answer 302 to `location`; an empty one means the requested URL itself."""

    location: HeaderText


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="body"):
    """Answer 200 with this text, verbatim, repeated `times` times."""

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
    """An action, and the requests to which it applies.

    `on` is the kind of request; `any` means every request, also HEAD and PATCH, but not those to `/sandbox`.
    `ids` limits it to requests for these resources, `pages` to these pages of the listing, `beside` to
    requests that come while at least so many others to the same side are under way. Of the matching requests,
    the first `skip` are left alone; then the fault applies to each `every`-th one, with `probability`, at
    most `times` times. The next fault is tried if this one does not apply.
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
    """How the sandbox differs from a perfect server; the defaults are a perfect server.

    `signed_by` and `ranges` choose among the kinds of server that have been seen for this API;
    `clock_offset_s` sets the server's clock ahead of ours, or behind it if negative.
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
    """Parse a plan in JSON.

    Raises:
        BadPlan: it is not JSON, or not a valid plan.
    """
    try:
        return msgspec.json.decode(text, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPlan(str(error)) from error
