"""The content endpoint of newer deployments: the API itself serves an object at a URL with an HMAC."""

import hmac
import math

from starlette.requests import Request
from starlette.types import ASGIApp

from empirical_fs.sandbox.faults import Misbehaviour
from empirical_fs.sandbox.objects import object_answer
from empirical_fs.sandbox.project import Item, ProjectFolder
from empirical_fs.sandbox.store import bad_signature, expired, two_authorizations


class ContentEndpoint:
    """Signs `/api/resources/NUMBER/content`, and serves it without a bearer key.

    Like the store, it refuses an `Authorization` header, since that would leak the key needlessly.
    """

    def __init__(
        self, project: ProjectFolder, misbehaviour: Misbehaviour, secret: bytes, origin: str
    ) -> None:
        """Serve the objects of `project` at `origin`, which is `SCHEME://ADDRESS:PORT`."""
        self._project = project
        self._misbehaviour = misbehaviour
        self._secret = secret
        self._origin = origin

    def url(self, item: Item) -> str:
        """A signed URL of the item's object, valid from now for as long as the plan says."""
        expires = math.ceil(self._misbehaviour.now() + self._misbehaviour.plan.url_expiry_s)
        signature = self._signature(item.number, str(expires))
        return f"{self._origin}/api/resources/{item.number}/content?expires={expires}&sig={signature}"

    async def answer(self, request: Request) -> ASGIApp:
        """The object of a valid signed URL, else an error in the store's form."""
        if "authorization" in request.headers:
            return two_authorizations()
        number = int(request.path_params["number"])
        expires = request.query_params.get("expires", "")
        claimed = request.query_params.get("sig", "")
        right = hmac.compare_digest(self._signature(number, expires).encode(), claimed.encode())
        if request.method != "GET" or not right:
            return bad_signature()
        if self._misbehaviour.now() >= int(expires):
            return expired(self._misbehaviour.plan.expired_status)
        return object_answer(self._project, number, request, self._misbehaviour.plan.ranges)

    def _signature(self, number: int, expires: str) -> str:
        return hmac.digest(self._secret, f"{number}:{expires}".encode(), "sha256").hex()
