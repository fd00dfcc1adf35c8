"""nginx as a store and an API: its configuration, its certificate, and its process."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness import PATIENCE, environment, run, wait_until

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
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
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

_OPENSSL = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True)
class Ports:
    """Where nginx listens on 127.0.0.1."""

    http: int
    https: int


def program() -> str:
    """nginx, which Debian keeps out of the PATH of those who are not root."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    return found


@contextmanager
def serving(folder: Path, projects: Path, pages: Path) -> Iterator[Ports]:
    """nginx serving what is in `projects` and `pages`, with all that it writes in `folder`."""
    ports = Ports(*_free_ports(2))
    (folder / "temporary").mkdir(parents=True)
    _make_certificate(folder)
    locations = _LOCATIONS.replace("PROJECTS", f'"{projects}/"').replace("PAGES", f'"{pages}"')
    # Started by root, the workers could not enter a folder that only root may enter.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(_MAIN.format(user=user, http=ports.http, https=ports.https, locations=locations))
    said = folder / "nginx.out"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [program(), "-p", folder, "-c", configuration],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            # Ctrl-C is for the benchmark alone, which then stops nginx after the mounts.
            start_new_session=True,
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, f"nginx ended: {said.read_text()}"
            return all(map(_is_listening, (ports.http, ports.https)))

        wait_until(answers, "nginx listening")
        yield ports
    finally:
        process.terminate()
        process.wait(PATIENCE)


def authority(folder: Path) -> Path:
    """The certificate by which the store's can be verified."""
    return folder / "authority.pem"


def _make_certificate(folder: Path) -> None:
    configuration = folder / "openssl.conf"
    configuration.write_text(_OPENSSL)
    common = ("openssl", "req", "-x509", "-config", configuration, "-days", "30", "-nodes")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    signing, signed = folder / "authority.key", authority(folder)
    run(*common, *key, "-keyout", signing, "-out", signed, "-subj", "/CN=bench", "-extensions", "authority")
    by_authority = ("-CA", signed, "-CAkey", signing, "-extensions", "server", "-subj", "/CN=127.0.0.1")
    run(*common, *key, *by_authority, "-keyout", folder / "server.key", "-out", folder / "server.pem")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
