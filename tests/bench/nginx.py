"""nginx as a store and an API: what it serves, and how."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import nginx

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
    upstream s3 {{ server 127.0.0.1:{s3_behind}; keepalive 256; }}
    server {{
        listen 127.0.0.1:{s3};
        location / {{
            access_by_lua_block {{ ngx.sleep({delay}) }}
            proxy_pass http://s3;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""

DELAY_MS = 30
"""How long a store that is far away, and the API, take before the first byte."""
CONNECTION_MB = 40
"""What a link lets through on each connection, in MB/s."""

# nginx counts in KiB.
_LOCATIONS = """
        location /fast/ { alias PROJECTS; autoindex on; }
        location /wan/ {
            alias PROJECTS; autoindex on; limit_rate RATEk;
            access_by_lua_block { ngx.sleep(DELAY) }
        }
        location /delay/ { alias PROJECTS; autoindex on; access_by_lua_block { ngx.sleep(DELAY) } }
        location ~ ^/(?<project>[a-z0-9-]+)/api/resources$ {
            root PAGES;
            default_type application/json;
            access_by_lua_block { ngx.sleep(DELAY) }
            try_files /$project/$arg_per_page-$arg_page.json =404;
        }
"""


@dataclass(frozen=True)
class Ports:
    """Where nginx listens on 127.0.0.1."""

    http: int
    https: int
    s3: int
    """Passes on to an S3 server, with the delay."""
    s3_behind: int
    """Where that server is to listen."""


@contextmanager
def serving(folder: Path, projects: Path, pages: Path) -> Iterator[Ports]:
    """nginx serving what is in `projects` and `pages`, with all that it writes in `folder`."""
    ports = Ports(*_free_ports(4))
    folder.mkdir(parents=True)
    nginx.make_certificate(folder)
    values = {
        "PROJECTS": f'"{projects}/"',
        "PAGES": f'"{pages}"',
        "DELAY": f"{DELAY_MS / 1000}",
        "RATE": f"{CONNECTION_MB * 10**6 // 2**10}",
    }
    locations = re.sub("|".join(values), lambda match: values[match[0]], _LOCATIONS)
    (folder / "nginx.conf").write_text(
        _MAIN.format(
            user=nginx.USER,
            temporary=nginx.TEMPORARY,
            http=ports.http,
            https=ports.https,
            s3=ports.s3,
            s3_behind=ports.s3_behind,
            delay=DELAY_MS / 1000,
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
