"""The sandbox as one ASGI application."""

import secrets
from collections.abc import Callable
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from empirical_fs.sandbox.api import ResourcesApi, keyed
from empirical_fs.sandbox.content import ContentEndpoint
from empirical_fs.sandbox.control import Control
from empirical_fs.sandbox.digits import whole_number
from empirical_fs.sandbox.exchange import Exchange
from empirical_fs.sandbox.faults import Call, CallKind, Misbehaviour
from empirical_fs.sandbox.journal import Journal
from empirical_fs.sandbox.plan import Plan
from empirical_fs.sandbox.project import Item, NoSuchResource, ProjectFolder
from empirical_fs.sandbox.responses import Handler, api_error
from empirical_fs.sandbox.signing import Credentials
from empirical_fs.sandbox.store import Store


def sandbox_app(project: ProjectFolder, key: str, plan: Plan, origin: str) -> ASGIApp:
    """The API, the store and the sandbox's own endpoints; `key` is the API key, `origin` begins all URLs.

    URLs are signed with a secret of this process: URLs of an earlier process are refused, as after a rotation
    of keys.
    """
    misbehaviour, journal = Misbehaviour(plan), Journal()
    credentials = Credentials("sandbox", secrets.token_hex())
    store = Store(project, misbehaviour, credentials, origin)
    content = ContentEndpoint(project, misbehaviour, secrets.token_bytes(), origin)

    def sign(item: Item) -> str:
        return store.url(item) if misbehaviour.plan.signed_by == "store" else content.url(item)

    def exchange(handler: Handler, describe: Callable[[Request], Call]) -> Exchange:
        return Exchange(handler, describe, project, misbehaviour, journal)

    def describe_object(request: Request) -> Call:
        kind: CallKind = "head" if request.method == "HEAD" else "object"
        try:
            return Call(kind, "store", project.shown_id(request.path_params["number"]))
        except NoSuchResource:
            return Call(kind, "store")

    api = ResourcesApi(project, misbehaviour, sign)
    control = Control(misbehaviour, journal)
    return Starlette(
        routes=[
            Route("/api/resources", exchange(keyed(api.list, key), _describe_list), methods=["GET"]),
            Route(
                "/api/resources/{id}", exchange(keyed(api.one, key), _describe_one), methods=["GET", "PATCH"]
            ),
            Route("/api/resources/{number:int}/content", exchange(content.answer, describe_object)),
            Route("/project-resources/{number:int}/{name}", exchange(store.answer, describe_object)),
            Route("/sandbox/plan", keyed(control.plan, key), methods=["GET", "PUT"]),
            Route("/sandbox/requests", keyed(control.requests, key), methods=["GET", "DELETE"]),
        ],
        middleware=[Middleware(_Dated, now=misbehaviour.now)],
        exception_handlers={HTTPException: _http_error},
    )


class _Dated:
    """Sets the `Date` header of every answer, by the server's clock, which the plan may have set wrong."""

    def __init__(self, app: ASGIApp, now: Callable[[], float]) -> None:
        self._app = app
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("date", formatdate(self._now(), usegmt=True))
            await send(message)

        await self._app(scope, receive, send_dated)


def _describe_list(request: Request) -> Call:
    kind: CallKind = "head" if request.method == "HEAD" else "list"
    return Call(kind, "api", page=whole_number(request.query_params.get("page", "1")))


def _describe_one(request: Request) -> Call:
    kinds: dict[str, CallKind] = {"HEAD": "head", "PATCH": "patch"}
    shown_id = request.path_params["id"]
    number = whole_number(shown_id)
    return Call(kinds.get(request.method, "get"), "api", shown_id if number is None else number)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return api_error(error.status_code, error.detail, error.headers)
