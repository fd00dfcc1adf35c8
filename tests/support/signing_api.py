"""A small Empirical API for objects that lie elsewhere: every answer has URLs that are signed just then."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.harness import KEY
from tests.support.ports import unused_port

_RESOURCES = "/api/resources"


class SigningApi:
    """The project: what was published, and what was asked for. The lock guards all of it."""

    def __init__(self, sign: Callable[[str], str]) -> None:
        self._sign = sign
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._listed: dict[int, dict[str, Any]] = {}
        self._signed_by_id: list[str] = []
        self.url = ""

    def publish(self, name: str, size: int, updated_at: str) -> None:
        """List an object of that name from now on, or its newer version."""
        with self._lock:
            number = self._ids.setdefault(name, len(self._ids) + 1)
            times = {"created_at": updated_at, "updated_at": updated_at}
            whole = {"id": number, "project_id": 1, "name": name, "size_bytes": size, **times}
            self._listed[number] = {**whole, "status": "uploaded", "mime_type": None, "description": None}

    def withdraw(self, name: str) -> None:
        """List it no more."""
        with self._lock:
            del self._listed[self._ids[name]]

    @property
    def signed_by_id(self) -> list[str]:
        """The names for which a URL was asked one by one, in order."""
        with self._lock:
            return list(self._signed_by_id)

    def answer(self, target: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """The status and the body for a GET of `target`."""
        if authorization != f"Bearer {KEY}":
            return 401, {"error": {"message": "Unauthorized"}}
        parts = urlsplit(target)
        with self._lock:
            if parts.path == _RESOURCES:
                asked = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
                return 200, self._page(asked.get("page", 1), asked.get("per_page", 20))
            prefix, _, number = parts.path.rpartition("/")
            if prefix != _RESOURCES or not number.isdigit() or int(number) not in self._listed:
                return 404, {"error": {"message": "Not found"}}
            resource = self._listed[int(number)]
            self._signed_by_id.append(resource["name"])
            return 200, {"data": {"resource": self._shown(resource)}}

    def _page(self, page: int, per_page: int) -> dict[str, Any]:
        listed = list(self._listed.values())
        shown = listed[(page - 1) * per_page : page * per_page]
        pages = -(-len(listed) // per_page)
        pagination = {"page": page, "per_page": per_page, "total": len(listed), "total_pages": pages}
        return {"data": {"resources": [*map(self._shown, shown)]}, "pagination": pagination}

    def _shown(self, resource: dict[str, Any]) -> dict[str, Any]:
        return {**resource, "url": self._sign(resource["name"])}


@contextmanager
def signing_api(sign: Callable[[str], str]) -> Iterator[SigningApi]:
    """An API at work, whose URLs `sign` makes from names."""
    api = SigningApi(sign)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, fields = api.answer(self.path, self.headers.get("Authorization"))
            body = json.dumps(fields).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            with suppress(ConnectionError):  # who gave up waiting goes without
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Say nothing: what matters is asserted."""

    with ThreadingHTTPServer(("127.0.0.1", unused_port()), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
