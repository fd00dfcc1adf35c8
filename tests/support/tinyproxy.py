"""tinyproxy, a proxy of HTTP that nobody here wrote; it knows names that no resolver does."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.harness import PATIENCE, environment, wait_until
from tests.support.namespaces import apart
from tests.support.ports import unused_port

ONLY_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a proxy names of its own")
_ASKED = re.compile(r"Request \(file descriptor [0-9]+\): ([A-Z]+) (\S+) HTTP")
# Only the proxy sees these names.
_WITH_NAMES = 'mount --bind "$0" /etc/hosts && exec tinyproxy -d -c "$1"'


class TinyProxy:
    """One that runs."""

    def __init__(self, port: int, log: Path) -> None:
        self.place = f"127.0.0.1:{port}"
        self._log = log

    def url(self, credentials: str = "") -> str:
        return f"http://{credentials}{self.place}"

    def asked(self) -> list[tuple[str, str]]:
        """The method and the target of each request."""
        return _ASKED.findall(self._log.read_text())


@contextmanager
def forwarding(folder: Path, *names: str, directives: str = "") -> Iterator[TinyProxy]:
    """A proxy to which all `names` lead to this machine; `directives` are for its configuration."""
    folder.mkdir()
    port = unused_port()
    configuration, hosts, log = folder / "tinyproxy.conf", folder / "hosts", folder / "log"
    configuration.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\n{directives}\n"
    )
    hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            apart("sh", "-c", _WITH_NAMES, hosts, configuration),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
        ) as process,
    ):

        def listens() -> bool:
            assert process.poll() is None, f"tinyproxy ended: {log.read_text()}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            wait_until(listens, "tinyproxy listening")
            yield TinyProxy(port, log)
        finally:
            process.kill()
            process.wait(PATIENCE)
