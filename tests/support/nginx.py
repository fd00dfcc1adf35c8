"""nginx, for whoever needs a server that nobody here wrote: its program, its certificate, its process."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.support.harness import PATIENCE, environment, run, wait_until

# Started by root, the workers could not enter a folder that only root may enter.
USER = "user root;" if os.geteuid() == 0 else ""
TEMPORARY = """
    client_body_temp_path temporary/body;
    proxy_temp_path temporary/proxy;
    fastcgi_temp_path temporary/fastcgi;
    uwsgi_temp_path temporary/uwsgi;
    scgi_temp_path temporary/scgi;
"""
"""Where the `http` block has nginx keep what it would otherwise keep in /var."""

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
subjectAltName = ALTERNATIVE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def program() -> str:
    """nginx, which Debian keeps out of the PATH of those who are not root."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    return found


def make_certificate(folder: Path, alternative: str = "IP:127.0.0.1") -> None:
    """`server.pem` and `server.key` for the host `alternative`, and the `authority` that vouches for them."""
    configuration = folder / "openssl.conf"
    configuration.write_text(_OPENSSL.replace("ALTERNATIVE", alternative))
    common = ("openssl", "req", "-x509", "-config", configuration, "-days", "30", "-nodes")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    signing, signed = folder / "authority.key", authority(folder)
    run(*common, *key, "-keyout", signing, "-out", signed, "-subj", "/CN=bench", "-extensions", "authority")
    name = alternative.partition(":")[2]
    by_authority = ("-CA", signed, "-CAkey", signing, "-extensions", "server", "-subj", f"/CN={name}")
    run(*common, *key, *by_authority, "-keyout", folder / "server.key", "-out", folder / "server.pem")


def authority(folder: Path) -> Path:
    """The certificate by which the server's can be verified."""
    return folder / "authority.pem"


def start(folder: Path, ports: Iterable[int]) -> subprocess.Popen[bytes]:
    """nginx by `nginx.conf` of `folder`, where it writes too, once it listens on all `ports`."""
    (folder / "temporary").mkdir(exist_ok=True)
    said = folder / "nginx.out"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [program(), "-p", folder, "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            # Ctrl-C is for who started it alone, who then stops nginx after the mounts.
            start_new_session=True,
        )

    def answers() -> bool:
        assert process.poll() is None, f"nginx ended: {said.read_text()}"
        return all(map(_is_listening, ports))

    try:
        wait_until(answers, "nginx listening")
    except BaseException:
        stop(process)
        raise
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End nginx at once, whatever it is sending."""
    process.terminate()
    process.wait(PATIENCE)


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
