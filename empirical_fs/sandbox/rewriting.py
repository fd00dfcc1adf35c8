"""Actions of the plan that change the form of an answer: how fast its head comes, its body's length, gzip."""

import gzip
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from empirical_fs.sandbox.connection import Connection
from empirical_fs.sandbox.plan import Action, Gzip, Resize, SlowHead


def rewritten(send: Send, action: Action | None, connection: Connection) -> Send:
    """Wrap `send` so that it changes the form of the answer as the action says."""
    match action:
        case SlowHead():
            return _with_slow_head(send, action, connection)
        case Gzip():
            return _with_body(send, gzip.compress, {"content-encoding": "gzip"})
        case Resize(length="kept", by=by) if by > 0:
            return _overflowing(send, by, connection)
        case Resize(length=length, by=by):
            return _with_body(send, lambda body: _resized(body, by), {}, length)
        case _:
            return send


def _resized(body: bytes, by: int) -> bytes:
    return body + b"x" * by if by > 0 else body[: max(len(body) + by, 0)]


def _with_slow_head(send: Send, action: SlowHead, connection: Connection) -> Send:
    async def send_head_slowly(message: Message) -> None:
        if message["type"] != "http.response.start":
            await send(message)
            return
        connection.wire.hold()
        try:
            await send(message)
        finally:
            head = connection.wire.let_go()
        size = max(len(head) // action.pieces, 1)
        pieces = [head[start : start + size] for start in range(0, len(head), size)]
        for piece in pieces:
            await connection.pause(action.seconds / len(pieces))
            connection.wire.write(piece)

    return send_head_slowly


def _with_body(
    send: Send, change: Callable[[bytes], bytes], headers: dict[str, str], length: str = "true"
) -> Send:
    """Wrap `send` so that it collects the whole body, changes it, and sends it with matching headers."""
    start: Message = {}
    body = bytearray()

    async def send_changed(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        changed = change(bytes(body))
        fields = MutableHeaders(scope=start)
        fields.update(headers)
        if length == "true":
            fields["content-length"] = str(len(changed))
        elif length == "none":
            del fields["content-length"]
        await send(start)
        await send({"type": "http.response.body", "body": changed})

    return send_changed


def _overflowing(send: Send, by: int, connection: Connection) -> Send:
    async def send_more(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            # Written directly, as h11 would refuse to send more than the announced length.
            connection.wire.write(b"x" * by)

    return send_more
