"""The store's answer to an authorized request: one object, or a range of it."""

import os
from dataclasses import dataclass
from email.utils import formatdate
from typing import Literal

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from empirical_fs.sandbox.connection import Connection
from empirical_fs.sandbox.project import NoSuchResource, OpenObject, ProjectFolder
from empirical_fs.sandbox.ranges import Span, Unsatisfiable, requested_span
from empirical_fs.sandbox.responses import store_error

_CHUNK = 256 * 1024
_SECOND_NS = 10**9

RangeMode = Literal["206", "200-with-content-range", "ignored"]


@dataclass(frozen=True, slots=True)
class ObjectAnswer:
    """An ASGI answer that streams a span of an open object, and then closes the object."""

    opened: OpenObject
    span: Span
    status: int
    headers: dict[str, str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and the span."""
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        position, end = self.span.first, self.span.first + self.span.length
        with self.opened.file as file:
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            while position < end:
                # This blocks the event loop, but no longer than a thread would take: the files are in memory.
                chunk = os.pread(file.fileno(), min(_CHUNK, end - position), position)
                if not chunk:  # the file was truncated, so the promised length cannot be sent
                    connection: Connection = scope["state"]["connection"]
                    await connection.close()
                position += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def object_answer(project: ProjectFolder, number: int, request: Request, mode: RangeMode) -> ASGIApp:
    """The answer with object `number`, according to the request's `If-Match` and `Range`.

    `mode` says how to answer ranges: like R2 (206), like `rclone serve s3` 1.75 (200 and a Content-Range), or
    not at all.
    """
    try:
        opened = project.open_object(number)
    except NoSuchResource:
        return store_error(404, "NoSuchKey", "The specified key does not exist.")
    answer = _conditional_answer(opened, request, mode)
    if not isinstance(answer, ObjectAnswer):
        opened.file.close()
    return answer


def _conditional_answer(opened: OpenObject, request: Request, mode: RangeMode) -> ASGIApp:
    expected = request.headers.get("if-match")
    if expected is not None and not _any_matches(expected, opened.etag):
        return store_error(
            412, "PreconditionFailed", "At least one of the preconditions you specified did not hold."
        )
    headers = {
        "etag": opened.etag,
        "last-modified": formatdate(opened.mtime_ns // _SECOND_NS, usegmt=True),
        "content-type": opened.mime_type,
    }
    if mode == "ignored":
        span = None
    else:
        headers["accept-ranges"] = "bytes"
        try:
            span = requested_span(request.headers.get("range"), opened.size)
        except Unsatisfiable:
            unsatisfied = {"content-range": f"bytes */{opened.size}"}
            return store_error(416, "InvalidRange", "The requested range is not satisfiable", unsatisfied)
    status = 200
    if span is None:
        span = Span(0, opened.size)
    else:
        headers["content-range"] = span.content_range(opened.size)
        status = 206 if mode == "206" else 200
    headers["content-length"] = str(span.length)
    return ObjectAnswer(opened, span, status, headers)


def _any_matches(if_match: str, etag: str) -> bool:
    return if_match.strip() == "*" or etag in [candidate.strip() for candidate in if_match.split(",")]
