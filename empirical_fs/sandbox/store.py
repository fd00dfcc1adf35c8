"""The object store: signed URLs in the manner of R2, and what they open."""

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
    """Signs URLs of objects, and serves them to whoever brings one.

    The signature covers the method, so that HEAD is refused with a URL that was signed for GET, as R2
    does.
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
        """A URL that opens the item's object from now on, for as long as the plan says."""
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
        """The object that the URL opens, or the store's refusal."""
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
    """The refusal of an `Authorization` header beside a signature in the query."""
    message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the header"
    return store_error(400, "InvalidArgument", message)


def bad_signature() -> Response:
    """The refusal of a URL that was not signed here, or for another method."""
    message = "The request signature we calculated does not match the signature you provided."
    return store_error(403, "SignatureDoesNotMatch", message)


def expired(status: int) -> Response:
    """The refusal of a URL whose time is over; R2's documents name more than one status for it."""
    code = {400: "ExpiredRequest", 401: "Unauthorized"}.get(status, "AccessDenied")
    return store_error(status, code, "Request has expired")
