"""Answers that the API and the store have in common, and the forms of their errors."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

Handler = Callable[[Request], Awaitable[ASGIApp]]


class JsonResponse(Response):
    """An answer in JSON; it can hold everything that the sidecar file can, also unpaired surrogates."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode `content` as JSON."""
        return json.dumps(content, separators=(",", ":")).encode()


def api_error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the API's form (JSON)."""
    return JsonResponse({"error": {"message": message}}, status, headers)


def store_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error of the store, in the XML of S3's REST API."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    )
    return Response(body, status, headers, media_type="application/xml")
