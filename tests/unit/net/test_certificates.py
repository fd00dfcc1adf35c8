"""Whose certificates are trusted."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import certifi
import pytest

from empirical_fs.errors import SetupError
from empirical_fs.net.certificates import create_context
from tests.support import nginx
from tests.support.harness import run
from tests.support.namespaces import apart
from tests.support.ports import listening

PATIENCE = 10.0


class Greeting:
    """A server whose certificate is of an authority of its own; it shakes hands and hangs up."""

    def __init__(self, folder: Path) -> None:
        nginx.make_certificate(folder)
        self.authority = nginx.authority(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._listener = listening()
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(PATIENCE)
                self._context.wrap_socket(connection, server_side=True).close()


@pytest.fixture
def greeting(tmp_path: Path) -> Iterator[Greeting]:
    server = Greeting(tmp_path)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)


def is_trusted(port: int, context: ssl.SSLContext) -> bool:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            context.wrap_socket(connection, server_hostname="127.0.0.1").close()
        except ssl.SSLCertVerificationError:
            return False
        return True


def test_a_root_that_the_administrator_added(greeting: Greeting, tmp_path: Path) -> None:
    """Without any variable, a private root in the system's bundle is trusted, and no other."""
    assert not is_trusted(greeting.port, create_context())
    assert not is_trusted(greeting.port, create_context([tmp_path / "missing.pem"]))
    assert is_trusted(greeting.port, create_context([tmp_path / "missing.pem", greeting.authority]))


@pytest.mark.skipif(
    os.geteuid() != 0, reason="root alone can put another folder in the place of the system's"
)
def test_a_root_in_the_system_s_folder(greeting: Greeting, tmp_path: Path) -> None:
    """What `update-ca-certificates` leaves is trusted by a process that has no variable at all."""
    folder = tmp_path / "certs"
    folder.mkdir()
    hashed = run("openssl", "x509", "-noout", "-subject_hash", "-in", greeting.authority).stdout.strip()
    (folder / f"{hashed}.0").write_bytes(greeting.authority.read_bytes())
    look = (
        "import socket; from empirical_fs.net.certificates import create_context;"
        f" create_context().wrap_socket(socket.create_connection(('127.0.0.1', {greeting.port}), 10),"
        " server_hostname='127.0.0.1')"
    )
    places = ssl.get_default_verify_paths().openssl_capath
    command = f'mount --bind {folder} {places} && exec "$0" -c "$1"'
    done = subprocess.run(
        apart("sh", "-c", command, sys.executable, look),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip("nothing may be mounted here")
    assert done.returncode == 0, done.stderr


def test_the_variables_come_in_the_place_of_the_defaults(
    greeting: Greeting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenSSL has them: a file, and folders with hashed names, of which some may be missing."""
    monkeypatch.setenv("SSL_CERT_FILE", str(greeting.authority))
    assert is_trusted(greeting.port, create_context())
    monkeypatch.delenv("SSL_CERT_FILE")
    folder = tmp_path / "hashed"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", f"/nowhere:{folder}")
    (folder / "authority.pem").write_bytes(greeting.authority.read_bytes())
    with suppress(SetupError):  # where OpenSSL has no file besides, there is nothing to trust at all
        assert not is_trusted(greeting.port, create_context())
    run("openssl", "rehash", folder)
    assert is_trusted(greeting.port, create_context())


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """A file that holds none is told, by the name of the variable, in place of trusting others or nobody."""
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(SetupError, match=r"SSL_CERT_FILE.*certificates\.pem"):
        create_context()


def test_a_system_without_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only there it is certifi's."""
    places = ssl.get_default_verify_paths()._replace(
        openssl_cafile=str(tmp_path / "none.pem"), openssl_capath=str(tmp_path)
    )
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: places)
    empty = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(ssl, "create_default_context", lambda: empty)
    count = ssl.create_default_context().cert_store_stats()["x509"]
    assert (count, create_context([]).cert_store_stats()["x509"] > 100) == (0, Path(certifi.where()).exists())


def test_authorities_that_are_lax() -> None:
    """A company's root without the extensions that Python 3.13 asks for is as good as it is to curl."""
    assert not create_context().verify_flags & ssl.VERIFY_X509_STRICT
