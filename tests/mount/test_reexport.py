"""A mount that is shown to other machines, here by WebDAV; by NFS, Samba and 9p it was tried by hand."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from empirical_fs.control.reloading import reload
from empirical_fs.work.progress import unseen
from tests.conftest import Mount
from tests.support.harness import Sandbox, noise, wait_until
from tests.support.ports import unused_port


@contextmanager
def _served(path: Path) -> Iterator[httpx.Client]:
    """Rclone, which serves `path` by WebDAV and remembers no names."""
    address = f"127.0.0.1:{unused_port()}"
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert rclone is not None
    options = ("--addr", address, "--read-only", "--dir-cache-time", "0s")
    command = [rclone, "serve", "webdav", str(path), *options]
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as process,
        httpx.Client(base_url=f"http://{address}", trust_env=False) as client,
    ):
        try:
            wait_until(lambda: _answers(client), "rclone")
            yield client
        finally:
            process.terminate()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.options("/").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def test_webdav(sandbox: Sandbox, mount: Mount) -> None:
    """Names, sizes and contents go through, and a file that is replaced beside a reader is the new one."""
    old, new = noise(300_000, 1), noise(200_000, 2)
    sandbox.put("a b.bin", old)
    sandbox.put("other", b"text")
    with mount() as mounted, _served(mounted.path) as client:
        listed = client.request("PROPFIND", "/", headers={"Depth": "1"}).text
        assert "/a%20b.bin" in listed
        assert f"<D:getcontentlength>{len(old)}<" in listed
        assert client.get("/a b.bin", headers={"Range": "bytes=1000-1999"}).content == old[1000:2000]
        with (mounted / "a b.bin").open("rb") as reader:
            assert reader.read(10) == old[:10]
            sandbox.put("a b.bin", new)
            reload(mounted.path, unseen)
            assert client.get("/a b.bin").content == new
        assert client.get("/other").content == b"text"
