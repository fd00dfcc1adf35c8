"""nginx as a store and an API: what it serves, and how."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import nginx

_MAIN = """\
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
{user}
daemon off;
worker_processes auto;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    log_format requests escape=json
        '{{"method":"$request_method","uri":"$uri","sent":$body_bytes_sent,"range":"$http_range"}}';
    access_log access.log requests;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    {temporary}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{http};
        {locations}
    }}
    server {{
        listen 127.0.0.1:{https} ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.key;
        {locations}
    }}
}}
"""

# nginx counts in KiB: 39062k is 40 MB/s for each connection.
_LOCATIONS = """
        location /fast/ { alias PROJECTS; autoindex on; }
        location /wan/ {
            alias PROJECTS; autoindex on; limit_rate 39062k;
            access_by_lua_block { ngx.sleep(0.03) }
        }
        location /delay/ { alias PROJECTS; autoindex on; access_by_lua_block { ngx.sleep(0.03) } }
        location ~ ^/(?<project>[a-z0-9-]+)/api/resources$ {
            root PAGES;
            default_type application/json;
            access_by_lua_block { ngx.sleep(0.03) }
            try_files /$project/$arg_per_page-$arg_page.json =404;
        }
"""


@dataclass(frozen=True)
class Ports:
    """Where nginx listens on 127.0.0.1."""

    http: int
    https: int


@contextmanager
def serving(folder: Path, projects: Path, pages: Path) -> Iterator[Ports]:
    """nginx serving what is in `projects` and `pages`, with all that it writes in `folder`."""
    ports = Ports(*_free_ports(2))
    folder.mkdir(parents=True)
    nginx.make_certificate(folder)
    locations = _LOCATIONS.replace("PROJECTS", f'"{projects}/"').replace("PAGES", f'"{pages}"')
    (folder / "nginx.conf").write_text(
        _MAIN.format(
            user=nginx.USER,
            temporary=nginx.TEMPORARY,
            http=ports.http,
            https=ports.https,
            locations=locations,
        )
    )
    process = nginx.start(folder, (ports.http, ports.https))
    try:
        yield ports
    finally:
        nginx.stop(process)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
