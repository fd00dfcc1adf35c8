"""What a hostile or broken API may answer, made by mutating what it does answer."""

import json
from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from empirical_fs.errors import EmpiricalError

INTEGER_MAX = 2**63 - 1
SIGNED = "https://b.r2.cloudflarestorage.com/o?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature=a"

_Kind = TypeVar("_Kind", bound=EmpiricalError)
_Value = TypeVar("_Value")


def outcome(call: Callable[[], _Value], *documented: type[_Kind]) -> _Value | _Kind:
    """What a call returns, or which of the documented errors it raises; any other is not caught."""
    try:
        return call()
    except documented as error:
        return error


Pairs = list[tuple[str, str]]

ENTRY: Pairs = [
    ("id", "7"),
    ("project_id", "1"),
    ("name", '"a.txt"'),
    ("url", json.dumps(SIGNED)),
    ("description", "null"),
    ("mime_type", '"text/plain"'),
    ("size_bytes", "5"),
    ("status", '"uploaded"'),
    ("created_by", '"x"'),
    ("created_at", '"1970-01-01T00:00:01Z"'),
    ("updated_at", '"1970-01-01T00:00:02Z"'),
]
PAGINATION: Pairs = [("page", "1"), ("per_page", "100"), ("total", "1"), ("total_pages", "1")]

# JSON text and not values: much of it cannot be had from json.dumps, and some is no JSON at all.
TOKENS = ["null", "true", "[]", "{}", '""', '"x"', "NaN", "Infinity", "-Infinity", "1e999", "-0", "1.0"]
TOKENS += ["7.0"]
TOKENS += ["-1", "0", "00", "1e3", "5.5", "1E-400", str(INTEGER_MAX - 1), str(INTEGER_MAX), str(2**63)]
TOKENS += [str(2**64)]
TOKENS += ["9" * 4300, "9" * 4301, "-" + "9" * 400, '"7"', '"uploaded"', "'x'", "\x00", "[" * 2000]
TOKENS += ["[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300, "[" * 100_000, '{"":' * 100_000]
NAMES = ["", ".", "..", "/", "a/b", "\0", "\ud800", "\udfff\ud800", "a\r\nb", "\x85", "é" * 200, "a (7).txt"]
NAMES += ["😀" * 90 + ".txt", "." + "x" * 300, "a.txt", "a" * 70_000]
MOMENTS = ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+99:99", "9999-12-31T23:59:60.999999999-99:99"]
MOMENTS += ["2026-02-30T00:00:00Z", "-1-01-01T00:00:00Z", "12026-01-01T00:00:00Z"]
MOMENTS += ["2026-01-01T00:00:00." + "9" * 5000]
URLS = ["file:///etc/passwd", "https://user:pass@x.org/o", "https://x.org/\r\nHost: y"]
URLS += ["https://xn--/o?exp=1&sig=2"]
URLS += ["http://169.254.169.254/latest", "https://169.254.169.254/", "http://127.0.0.1:1/", "ftp://x/"]
URLS += ["data:,x"]
URLS += ["javascript:alert(1)", "//x.org/", "https://[::1", "https://x.org:99999/", "https://\ud800/", ""]
URLS += ["https://"]
URLS += ["https://x.org/?Expires=99999999999&sig=a"]
URLS += ["https://x/?X-Amz-Date=99991231T235959Z&X-Amz-Expires=99999999"]
URLS += ["https://xn--a/", "http://xn--localhost-/", "https://x.org/" + "a" * 70_000, "https://x.org/%zz?%"]
URLS += [SIGNED]

TEXTS = st.text(st.characters(), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
STRINGS = st.sampled_from(NAMES + MOMENTS + URLS) | TEXTS
VALUES = st.sampled_from(TOKENS) | STRINGS.map(json.dumps) | JSON.map(json.dumps)


def raw_object(pairs: Pairs) -> str:
    """A JSON object of these fields, in this order, those that come twice too."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


def mutated(valid: Pairs) -> st.SearchStrategy[str]:
    """Objects like `valid`, but without some fields and with others again, of whatever value."""
    names = [name for name, _ in valid]
    fields = st.sampled_from(names) | TEXTS
    return st.builds(
        lambda dropped, added: raw_object([pair for pair in valid if pair[0] not in dropped] + added),
        st.sets(st.sampled_from(names), max_size=1) | st.just(set[str]()),
        st.lists(st.tuples(fields, VALUES), max_size=3),
    )


FIELDS: dict[str, st.SearchStrategy[str]] = {
    "id": st.integers(0, 9).map(str),
    "name": st.sampled_from(NAMES).map(json.dumps),
    "url": (st.sampled_from(URLS) | TEXTS.map("https://".__add__)).map(json.dumps),
    "size_bytes": st.sampled_from(["null", "0", "5", str(INTEGER_MAX)]),
    "updated_at": st.sampled_from(MOMENTS).map(json.dumps),
}
ENTRIES = mutated(ENTRY) | st.fixed_dictionaries(FIELDS).map(
    lambda fields: raw_object([*ENTRY, *fields.items()])
)
LISTINGS = st.builds(
    lambda entries, pagination: raw_object(
        [("data", raw_object([("resources", f"[{','.join(entries)}]")])), ("pagination", pagination)]
    ),
    st.lists(ENTRIES | VALUES, max_size=1) | st.lists(ENTRIES, max_size=6),
    st.just(raw_object(PAGINATION)) | mutated(PAGINATION),
)
SINGLES = ENTRIES.map(lambda entry: raw_object([("data", raw_object([("resource", entry)]))]))


def spoiled(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """The texts as bytes: whole, cut, in another encoding, with other bytes in the middle, or only such."""
    whole = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    return st.one_of(
        whole,
        whole,
        st.builds(lambda body, at: body[: at % (len(body) + 1)], whole, st.integers(0, 4000)),
        st.builds(
            lambda body, at, junk: body[: at % (len(body) + 1)] + junk + body[at % (len(body) + 1) :],
            whole,
            st.integers(0, 4000),
            st.binary(max_size=4),
        ),
        st.builds(
            lambda text, encoding: text.encode(encoding, "surrogatepass"),
            texts,
            st.sampled_from(["utf-16", "utf-32-be", "utf-8"]),
        ),
        st.binary(max_size=40),
    )


DATES = TEXTS | st.from_regex(
    r"(Thu, )?[0-9]{1,25}[ -](Jan|Feb|X)[ -][0-9]{1,25} [0-9:.]{0,12} (GMT|[+-][0-9]{1,25})?", fullmatch=True
)
VALID = raw_object(
    [
        ("data", raw_object([("resources", f"[{raw_object(ENTRY)}]"), ("resource", raw_object(ENTRY))])),
        ("pagination", raw_object(PAGINATION)),
    ]
).encode()
