"""The plan: how the sandbox misbehaves, as data that is checked when it is read."""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
HeaderText = Annotated[str, msgspec.Meta(pattern=r"^[\t -~]*\Z")]


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


class Html(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="html"):
    """Answer 200 with a web page, as a proxy or a sign-in wall does."""


class Redirect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="redirect"):
    """Answer 302 to `location`."""

    location: HeaderText


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="body"):
    """Answer 200 with this text, verbatim."""

    body: str
    content_type: HeaderText = "application/json"


class Headers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="headers"):
    """Give the normal answer with headers set or removed; names are case-insensitive."""

    set: dict[HeaderName, HeaderText] = {}
    remove: list[str] = []


Action = Status | Cut | Stall | Reset | Html | Redirect | Body | Headers


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests meet which action.

    `any` is every request but the sandbox's own, HEAD and PATCH too. `ids` limits it to requests for
    these resources, `pages` to these pages of the listing. Of those that match, the first `skip` pass,
    then each `every`-th is hit, with `probability`, `times` at most. What passes meets the next fault.
    """

    on: Literal["list", "get", "object", "any"]
    action: Action
    ids: list[int] | None = None
    pages: list[int] | None = None
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
