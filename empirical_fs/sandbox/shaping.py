"""Applies the actions of the plan: replaces an answer, or changes it while it is sent."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message, Send

from empirical_fs.sandbox.connection import Connection
from empirical_fs.sandbox.faults import Call
from empirical_fs.sandbox.plan import (
    Action,
    Body,
    Cut,
    Headers,
    Html,
    Other,
    Raw,
    Redirect,
    Reset,
    Silence,
    Stall,
    Status,
    Whole,
)
from empirical_fs.sandbox.project import ProjectFolder
from empirical_fs.sandbox.responses import api_error, store_error

_SLICES_PER_SECOND = 20
_PAGE = "<!doctype html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"


async def prevent(action: Action | None, connection: Connection) -> None:
    """Carry out an action that leaves no answer to give; do nothing for other actions.

    Raises:
        ClientGone: the action was carried out.
    """
    match action:
        case Reset():
            await connection.reset()
        case Silence():
            await connection.outlast()
        case Raw():
            connection.wire.write(action.text.encode("latin-1"))
            await connection.close()
        case _:
            pass


def mistaken(request: Request, action: Action | None, project: ProjectFolder) -> Request:
    """The request as a faulty server understands it, as the action says.

    Raises:
        NoSuchResource: the action names a resource that the project does not have.
    """
    match action:
        case Whole():
            overlooked, parameters = b"range", {}
        case Other():
            shown = str(action.id)
            overlooked, parameters = b"if-match", {"number": project.find(shown).number, "id": shown}
        case _:
            return request
    headers = [(name, value) for name, value in request.scope["headers"] if name != overlooked]
    path_params = {**request.path_params, **parameters}
    return Request({**request.scope, "headers": headers, "path_params": path_params}, request.receive)


def substitute(action: Action | None, call: Call) -> Response | None:
    """The answer that replaces the normal one; None to give the normal one."""
    match action:
        case Status():
            return _status(action, call)
        case Html():
            return HTMLResponse(_PAGE)
        case Redirect():
            return Response(status_code=302, headers={"location": action.location})
        case Body():
            return Response(action.body * action.times, media_type=action.content_type)
        case _:
            return None


def altered(send: Send, action: Action | None, connection: Connection) -> Send:
    """Wrap `send` so that it changes the answer as the action says."""
    match action:
        case Headers():
            return _with_headers(send, action)
        case Cut():
            return _interrupted(send, action.after, connection.close)
        case Stall():
            return _interrupted(send, action.after, lambda: connection.pause(action.seconds))
        case _:
            return send


def paced(send: Send, bytes_per_second: float, connection: Connection) -> Send:
    """Wrap `send` so that it sends the body at this rate."""
    slice_size = max(1, int(bytes_per_second / _SLICES_PER_SECOND))

    async def send_slowly(message: Message) -> None:
        body = message.get("body", b"")
        while len(body) > slice_size:
            await send({"type": "http.response.body", "body": body[:slice_size], "more_body": True})
            await connection.pause(slice_size / bytes_per_second)
            body = body[slice_size:]
        if message["type"] == "http.response.body":
            await connection.pause(len(body) / bytes_per_second)
            message = {**message, "body": body}
        await send(message)

    return send_slowly


def _status(action: Status, call: Call) -> Response:
    headers = dict(action.headers)
    if action.retry_after is not None:
        headers["retry-after"] = action.retry_after
    if action.body is not None:
        return Response(action.body, action.status, headers)
    if call.side == "store":
        return store_error(action.status, "InternalError", "As the plan wants it", headers)
    return api_error(action.status, "As the plan wants it", headers)


def _with_headers(send: Send, action: Headers) -> Send:
    async def send_changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in action.remove:
                del headers[name]
            headers.update(action.set)
        await send(message)

    return send_changed


def _interrupted(send: Send, after: int, interrupt: Callable[[], Awaitable[None]]) -> Send:
    """Wrap `send` so that it calls `interrupt` once, after so many bytes of the body."""
    left: int | None = after

    async def send_interrupted(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.body" and left is not None:
            body = message.get("body", b"")
            if len(body) < left:
                left -= len(body)
            else:
                await send({**message, "body": body[:left], "more_body": True})
                message, left = {**message, "body": body[left:]}, None
                await interrupt()
        await send(message)

    return send_interrupted
