"""The API: the listing, one resource by its id, and renaming."""

import hmac
from collections.abc import Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from empirical_fs.sandbox.digits import whole_number
from empirical_fs.sandbox.faults import Misbehaviour
from empirical_fs.sandbox.project import Item, NoSuchResource, ProjectFolder
from empirical_fs.sandbox.responses import Handler, JsonResponse, api_error
from empirical_fs.sandbox.sidecar import BadSidecar, Fields

_PER_PAGE = 20
_MOST_PER_PAGE = 100
_SECOND_NS = 10**9


class _Patch(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET


def keyed(handler: Handler, key: str) -> Handler:
    """Wrap a handler so that requests without the bearer key get 401."""
    expected = f"Bearer {key}".encode()

    async def handle(request: Request) -> ASGIApp:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(expected, given):
            return api_error(401, "Unauthorized")
        return await handler(request)

    return handle


class ResourcesApi:
    """`/api/resources` and `/api/resources/{id}`, in the shapes of the public reference."""

    def __init__(
        self, project: ProjectFolder, misbehaviour: Misbehaviour, sign: Callable[[Item], str]
    ) -> None:
        """Show the resources of `project`, with URLs made by `sign`."""
        self._project = project
        self._misbehaviour = misbehaviour
        self._sign = sign

    async def list(self, request: Request) -> Response:
        """One page of the listing, counted from 1: 20 resources by default and 100 at most, as documented."""
        try:
            page = _positive(request, "page", 1)
            per_page = min(_positive(request, "per_page", _PER_PAGE), _MOST_PER_PAGE)
        except ValueError as error:
            return api_error(400, str(error))
        try:
            items = self._project.listing(fresh=page == 1)
        except BadSidecar as error:
            return api_error(500, str(error))
        shown = items[(page - 1) * per_page : page * per_page]
        pagination = {
            "page": page,
            "per_page": per_page,
            "total": len(items),
            "total_pages": -(-len(items) // per_page),
        }
        return JsonResponse(
            {"data": {"resources": [self._fields(item) for item in shown]}, "pagination": pagination}
        )

    async def one(self, request: Request) -> Response:
        """One resource with a fresh URL (GET); PATCH first changes its name or description."""
        if request.method == "GET" and not self._misbehaviour.plan.by_id:
            return api_error(404, "Not Found")
        try:
            item = self._project.find(request.path_params["id"])
            if request.method == "PATCH":
                self._patch(item, await request.body())
        except msgspec.DecodeError as error:
            return api_error(400, str(error))
        except NoSuchResource:
            return api_error(404, "Resource not found")
        except BadSidecar as error:
            return api_error(500, str(error))
        return JsonResponse({"data": {"resource": self._fields(item)}})

    def _patch(self, item: Item, body: bytes) -> None:
        changes = msgspec.to_builtins(msgspec.json.decode(body, type=_Patch))
        self._project.patch(item, changes, int(self._misbehaviour.now() * _SECOND_NS))

    def _fields(self, item: Item) -> Fields:
        return self._project.fields(item, item.target or self._sign(item))


def _positive(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    number = default if text is None else whole_number(text)
    if not number:
        raise ValueError(f"{name} must be a positive integer")
    return number
