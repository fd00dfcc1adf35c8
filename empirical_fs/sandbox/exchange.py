"""Handles one request from start to end: journal, latency, fault, answer."""

from collections.abc import Callable
from contextlib import suppress

import h11
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from empirical_fs.sandbox.connection import ClientGone, Connection
from empirical_fs.sandbox.faults import Call, Misbehaviour
from empirical_fs.sandbox.journal import Entry, Journal
from empirical_fs.sandbox.project import ProjectFolder
from empirical_fs.sandbox.responses import Handler
from empirical_fs.sandbox.rewriting import rewritten
from empirical_fs.sandbox.shaping import altered, mistaken, paced, prevent, substitute


class Exchange:
    """An ASGI endpoint that adds the plan and the journal to a handler."""

    def __init__(
        self,
        handler: Handler,
        describe: Callable[[Request], Call],
        project: ProjectFolder,
        misbehaviour: Misbehaviour,
        journal: Journal,
    ) -> None:
        """Serve `handler`; `describe` says what a request asks for."""
        self._handler = handler
        self._describe = describe
        self._project = project
        self._misbehaviour = misbehaviour
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        call = self._describe(request)
        connection: Connection = scope["state"]["connection"]
        with suppress(ClientGone), self._journal.entered(call, request) as entry:
            try:
                await self._answer(request, _guarded(send, connection), call, entry)
            except h11.LocalProtocolError:  # the plan's headers make a valid answer impossible
                await connection.close()

    async def _answer(self, request: Request, send: Send, call: Call, entry: Entry) -> None:
        connection: Connection = request.scope["state"]["connection"]
        plan = self._misbehaviour.plan
        await connection.pause(plan.api_latency_s if call.side == "api" else plan.store_latency_s)
        send = self._journal.recording(send, entry, call)
        if call.kind == "object" and plan.bytes_per_second is not None:
            send = paced(send, plan.bytes_per_second, connection)
        action = self._misbehaviour.action_for(call, self._journal.in_flight(call) - 1)
        if action is not None:
            self._journal.fault(entry, action)
        await prevent(action, connection)
        answer = substitute(action, call) or await self._handler(mistaken(request, action, self._project))
        send = rewritten(altered(send, action, connection), action, connection)
        await answer(request.scope, request.receive, send)


def _guarded(send: Send, connection: Connection) -> Send:
    # uvicorn discards what is sent to a client that has left; stop reading the file instead.
    async def send_guarded(message: Message) -> None:
        await connection.check()
        await send(message)

    return send_guarded
