"""A project whose store is nginx, with URLs that nginx itself checks and lets expire (secure_link)."""

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tests.support import nginx
from tests.support.harness import Mounted, mounted, run, wait_until
from tests.support.ports import unused_port
from tests.support.signing_api import SigningApi, signing_api

HOUR = 3600
FIRST = "2026-01-01T00:00:00Z"

_CONFIGURATION = """\
USER
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events { worker_connections 256; }
http {
    log_format requests escape=json '{"status":$status,"key":"$http_authorization"}';
    access_log access.log requests;
    TEMPORARY
    default_type application/octet-stream;
    IN_HTTP
    server {
        # So that the port stays ours while nginx is restarted.
        listen 127.0.0.1:PORT LISTEN reuseport;
        location /objects/ {
            # Names of no signer that the client could know: it cannot tell when a URL expires.
            secure_link $arg_seal,$arg_until;
            secure_link_md5 "$secure_link_expires$uri SECRET";
            if ($secure_link = "") { return 403; }
            if ($secure_link = "0") { return 410; }
            alias "OBJECTS/";
            IN_LOCATION
        }
    }
}
"""
_TLS = "ssl_certificate server.pem; ssl_certificate_key server.key;"


@dataclass
class Signer:
    """What the API signs with: nginx's secret if it is right, and how long URLs live from now on."""

    base: str
    secret: str = "the first secret"
    life_s: int = HOUR

    def url(self, name: str) -> str:
        path = f"/objects/{name}"
        until = int(time.time()) + self.life_s
        digest = hashlib.md5(f"{until}{path} {self.secret}".encode(), usedforsecurity=False).digest()
        seal = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return f"{self.base}{quote(path)}?seal={seal}&until={until}"


class Project:
    """The store, the API that lists what is in it, and the signer that both agree on at first."""

    def __init__(self, folder: Path, api: SigningApi, signer: Signer, configuration: str, port: int) -> None:
        self.api = api
        self.signer = signer
        self.objects = folder / "objects"
        self.objects.mkdir()
        self.authority = nginx.authority(folder / "nginx")
        self._folder = folder
        self._nginx = folder / "nginx"
        self._configuration = configuration.replace("OBJECTS", str(self.objects))
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def mount(self, *options: str | Path, trust: bool = False) -> AbstractContextManager[Mounted]:
        """A mount of it; if `trust`, one to which the private authority is known."""
        variables = {"SSL_CERT_FILE": str(self.authority) if trust else None, "SSL_CERT_DIR": None}
        return mounted(self._folder / "mnt", self.api.url, *options, variables=variables)

    def put(self, name: str, content: bytes) -> Path:
        """Upload an object, or a newer version of one, that nobody has listed yet."""
        target = self.objects / name
        # nginx makes its ETag of whole seconds and the size.
        second = int(target.stat().st_mtime) + 1 if target.exists() else 1_700_000_000
        partial = self._folder / "partial"
        partial.write_bytes(content)
        os.utime(partial, (second, second))
        return partial.rename(target)

    def publish(self, name: str, content: bytes, updated_at: str = FIRST) -> None:
        """Upload an object and have the API list it."""
        self.put(name, content)
        self.api.publish(name, len(content), updated_at)

    def requests(self) -> list[dict[str, Any]]:
        """What nginx answered, as it logged it."""
        return [json.loads(line) for line in (self._nginx / "access.log").read_text().splitlines()]

    def assert_answered(self, *statuses: int) -> None:
        """nginx answered with all of these and with no other; it logs a request after its answer."""
        expected = set(statuses)
        wait_until(lambda: expected <= self._statuses(), f"answers of {expected}")
        assert self._statuses() == expected

    def start(self) -> None:
        self._configure()
        self._process = nginx.start(self._nginx, [self._port])

    def stop(self) -> None:
        """End nginx, cutting off what it is sending."""
        process, self._process = self._process, None
        if process is not None:
            nginx.stop(process)

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have nginx take the signer's secret of now; the end of its workers closes every idle connection."""
        self._configure()
        assert self._process is not None
        older = self._workers()
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: (now := self._workers()) and not now & older, "only new workers of nginx")

    def _configure(self) -> None:
        text = self._configuration.replace("SECRET", self.signer.secret)
        (self._nginx / "nginx.conf").write_text(text)

    def _statuses(self) -> set[int]:
        return {request["status"] for request in self.requests()}

    def _workers(self) -> set[int]:
        assert self._process is not None
        return {int(pid) for pid in run("pgrep", "-P", str(self._process.pid), check=False).stdout.split()}


@contextmanager
def nginx_project(
    folder: Path,
    in_location: str = "",
    in_http: str = "",
    scheme: Literal["http", "https"] = "http",
    host: str = "IP:127.0.0.1",
) -> Iterator[Project]:
    """An empty project; with https, by a certificate for `host`.

    `in_location` and `in_http` are directives of nginx for all objects.
    """
    (folder / "nginx").mkdir()
    listen = "ssl" if scheme == "https" else ""
    if listen:
        nginx.make_certificate(folder / "nginx", host)
        in_http += _TLS
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", unused_port()))
        port = reserved.getsockname()[1]
        values = {
            "USER": nginx.USER,
            "TEMPORARY": nginx.TEMPORARY,
            "PORT": str(port),
            "LISTEN": listen,
            "IN_HTTP": in_http,
            "IN_LOCATION": in_location,
        }
        configuration = _CONFIGURATION
        for name, value in values.items():
            configuration = configuration.replace(name, value)
        signer = Signer(f"{scheme}://127.0.0.1:{port}")
        with signing_api(signer.url) as api:
            project = Project(folder, api, signer, configuration, port)
            try:
                project.start()
                yield project
            finally:
                project.stop()
