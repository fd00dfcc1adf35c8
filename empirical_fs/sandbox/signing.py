"""AWS Signature Version 4 in the query string, as S3 and R2 presign a URL.

Source: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" of the S3 API reference.

    Refused                 the URL is not valid
    ├── SignatureMismatch   it was not signed with these credentials, or was altered since
    └── UrlExpired          its signature is valid, but it has expired
"""

import hashlib
import hmac
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
_STAMP = "%Y%m%dT%H%M%SZ"


class Refused(Exception):
    """The URL is not valid."""


class SignatureMismatch(Refused):
    """The signature is missing, or is not that of this request."""


class UrlExpired(Refused):
    """The signature is valid, but the URL has expired."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair of the store, and the region for which it signs; R2 calls its only region `auto`."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "auto"

    def scope(self, stamp: str) -> str:
        """The credential scope of a request dated `stamp` (`YYYYMMDDThhmmssZ`)."""
        return f"{stamp[:8]}/{self.region}/s3/aws4_request"

    def signing_key(self, stamp: str) -> bytes:
        """The key that signs all requests of the day of `stamp`."""
        key = f"AWS4{self.secret_key}".encode()
        for part in self.scope(stamp).split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


@dataclass(frozen=True, slots=True)
class Target:
    """What a signature covers besides its own parameters; `path` is percent-encoded as in the URL."""

    host: str
    path: str
    method: str = "GET"


def presigned_query(credentials: Credentials, target: Target, at: float, expires_s: float) -> str:
    """The query that authorizes requests to `target` for `expires_s` seconds from `at` (Unix time).

    The URL contains whole seconds: the start is rounded down, the duration up.
    """
    stamp = datetime.fromtimestamp(math.floor(at), UTC).strftime(_STAMP)
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{credentials.scope(stamp)}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(math.ceil(expires_s)),
        "X-Amz-SignedHeaders": "host",
    }
    query = _canonical_query(parameters)
    return f"{query}&X-Amz-Signature={_signature(credentials, target, stamp, query)}"


def verify(credentials: Credentials, target: Target, query: str, at: float) -> None:
    """Check that `query` authorizes a request to `target` at the time `at`, in seconds since the epoch.

    Raises:
        SignatureMismatch: any part of the request differs from what was signed.
        UrlExpired: the request comes too late.
    """
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    claimed = parameters.pop("X-Amz-Signature", "")
    stamp = parameters.get("X-Amz-Date", "")
    expected = _signature(credentials, target, stamp, _canonical_query(parameters))
    if not hmac.compare_digest(expected.encode(), claimed.encode()):
        raise SignatureMismatch
    since = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    if at >= (since + timedelta(seconds=int(parameters["X-Amz-Expires"]))).timestamp():
        raise UrlExpired


def _signature(credentials: Credentials, target: Target, stamp: str, canonical_query: str) -> str:
    canonical_request = "\n".join(
        (
            target.method,
            _canonical_path(target.path),
            canonical_query,
            f"host:{target.host}",
            "",
            "host",
            "UNSIGNED-PAYLOAD",
        )
    )
    digest = hashlib.sha256(canonical_request.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, stamp, credentials.scope(stamp), digest))
    return hmac.digest(credentials.signing_key(stamp), to_sign.encode(), "sha256").hex()


def _canonical_path(path: str) -> str:
    # Clients may escape more or fewer characters of the path than the signer; %2F stays %2F.
    return "/".join(quote(unquote_to_bytes(segment), safe="") for segment in path.split("/"))


def _canonical_query(parameters: dict[str, str]) -> str:
    return "&".join(
        f"{quote(name, safe='')}={quote(parameters[name], safe='')}" for name in sorted(parameters)
    )
