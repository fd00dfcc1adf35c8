"""The object store: makes signed URLs like R2's, and serves the objects behind them."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from empirical_fs.sandbox.faults import Misbehaviour
from empirical_fs.sandbox.objects import object_answer
from empirical_fs.sandbox.project import Item, ProjectFolder
from empirical_fs.sandbox.responses import store_error
from empirical_fs.sandbox.signing import (
    Credentials,
    SignatureMismatch,
    Target,
    UrlExpired,
    presigned_query,
    verify,
)

_BUCKET = "project-resources"


class Store:
    """Signs URLs of objects, and serves an object to any client with a valid URL.

    The signature covers the method, so HEAD with a URL that was signed for GET is refused, as by R2.
    """

    def __init__(
        self, project: ProjectFolder, misbehaviour: Misbehaviour, credentials: Credentials, origin: str
    ) -> None:
        """Serve the objects of `project` at `origin`, which is `SCHEME://ADDRESS:PORT`."""
        self._project = project
        self._misbehaviour = misbehaviour
        self._credentials = credentials
        self._origin = origin
        self._host = origin.partition("://")[2]

    def url(self, item: Item) -> str:
        """A signed URL of the item's object, valid from now for as long as the plan says."""
        name = quote(item.path.rpartition("/")[2].encode(errors="surrogateescape"), safe="")
        path = f"/{_BUCKET}/{item.number}/{name}"
        query = presigned_query(
            self._credentials,
            Target(self._host, path),
            self._misbehaviour.now(),
            self._misbehaviour.plan.url_expiry_s,
        )
        return f"{self._origin}{path}?{query}"

    async def answer(self, request: Request) -> ASGIApp:
        """The object of a valid signed URL, else the store's error."""
        if "authorization" in request.headers:
            return two_authorizations()
        raw_path = request.scope["raw_path"].decode("ascii", errors="replace")
        target = Target(request.headers.get("host", ""), raw_path, request.method)
        try:
            verify(self._credentials, target, request.url.query, self._misbehaviour.now())
        except SignatureMismatch:
            return bad_signature()
        except UrlExpired:
            return expired(self._misbehaviour.plan.expired_status)
        number = int(request.path_params["number"])
        return object_answer(self._project, number, request, self._misbehaviour.plan.ranges)


def two_authorizations() -> Response:
    """The error for an `Authorization` header in addition to a signature in the query."""
    message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the header"
    return store_error(400, "InvalidArgument", message)


def bad_signature() -> Response:
    """The error for a URL that was not signed here, or was signed for another method."""
    message = "The request signature we calculated does not match the signature you provided."
    return store_error(403, "SignatureDoesNotMatch", message)


def expired(status: int) -> Response:
    """The error for an expired URL; R2's documentation names more than one status for it."""
    code = {400: "ExpiredRequest", 401: "Unauthorized"}.get(status, "AccessDenied")
    return store_error(status, code, "Request has expired")
