"""The same reads from an object store that nobody here wrote: rclone's S3 server, by presigned URLs."""

import errno
import json
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from empirical_fs.sandbox.signing import Credentials, Target, presigned_query
from tests.conftest import Mount
from tests.support.harness import Sandbox, environment, noise, wait_until
from tests.support.ports import unused_port

CREDENTIALS = Credentials("access-key-0123", "secret-key-0123", "us-east-1")
CONTENT = noise(3_000_000, 1)
FIRST = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class S3:
    """An S3 server with one bucket, which is a folder."""

    host: str
    bucket: Path

    def presigned(self, credentials: Credentials = CREDENTIALS, age_s: float = 0) -> str:
        """A URL of the object that was signed `age_s` seconds ago, for an hour."""
        target = Target(self.host, "/bucket/data.bin")
        query = presigned_query(credentials, target, time.time() - age_s, 3600)
        return f"http://{self.host}/bucket/data.bin?{query}"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    bucket = tmp_path / "s3" / "bucket"
    bucket.mkdir(parents=True)
    port = unused_port()
    rclone = Path(sysconfig.get_path("scripts")) / "rclone"
    keys = f"{CREDENTIALS.access_key},{CREDENTIALS.secret_key}"
    # Without a cache of directories, which would hide a replaced object.
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", keys, "--dir-cache-time", "0"]
    command = [str(rclone), "serve", "s3", *options, "--config", os.devnull, str(bucket.parent)]
    variables = environment(RCLONE_LOCAL_NO_CHECK_UPDATED="true")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=variables)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "rclone's port")
        yield S3(f"127.0.0.1:{port}", bucket)
    finally:
        process.terminate()
        process.wait()


def publish(sandbox: Sandbox, s3: S3, content: bytes, updated_at: str) -> None:
    """Upload to the S3 server, and have the API list that with a URL for it."""
    partial = s3.bucket.parent / "partial"
    partial.write_bytes(content)
    partial.rename(s3.bucket / "data.bin")
    sandbox.put("data.bin", b"")
    announce(sandbox, s3.presigned(), updated_at)


def announce(sandbox: Sandbox, url: str, updated_at: str = FIRST) -> None:
    """Have the API give `url` from now on."""
    entry = {"url": url, "size_bytes": len(CONTENT), "updated_at": updated_at}
    sidecar = sandbox.folder / ".sandbox.partial"
    sidecar.write_text(json.dumps({"data.bin": entry}))
    sidecar.rename(sandbox.folder / ".sandbox.json")


def test_reads(sandbox: Sandbox, s3: S3, mount: Mount) -> None:
    """Whole and at any place, a file reads from rclone's S3 server as it was uploaded."""
    publish(sandbox, s3, CONTENT, FIRST)
    with mount() as mounted, (mounted / "data.bin").open("rb", buffering=0) as file:
        for offset in (2_999_000, 0, 1_500_001, 131_071):
            assert os.pread(file.fileno(), 5000, offset) == CONTENT[offset : offset + 5000]
        assert (mounted / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("credentials", "age_s"), [(CREDENTIALS, 7200), (replace(CREDENTIALS, secret_key="revoked"), 0)]
)
def test_a_url_that_opens_nothing(
    sandbox: Sandbox, s3: S3, mount: Mount, credentials: Credentials, age_s: float
) -> None:
    """A listed URL that has expired, or that the store refuses, is signed again and nobody notices."""
    publish(sandbox, s3, CONTENT, FIRST)
    announce(sandbox, s3.presigned(credentials, age_s))
    with mount() as mounted:
        announce(sandbox, s3.presigned())
        assert (mounted / "data.bin").read_bytes() == CONTENT
        assert sandbox.requests()["get"] == 1


@pytest.mark.warns("read /data.bin: the (file changed since|object has other validators than before)")
def test_a_replaced_object(sandbox: Sandbox, s3: S3, mount: Mount) -> None:
    """A handle on a replaced object gets ESTALE or what it was opened for, and a new one the new bytes."""
    publish(sandbox, s3, CONTENT, FIRST)
    newer = noise(3_000_000, 2)
    with mount("--refresh", "0.2") as mounted, (mounted / "data.bin").open("rb", buffering=0) as old:
        assert os.pread(old.fileno(), 4096, 0) == CONTENT[:4096]
        publish(sandbox, s3, newer, "2026-01-02T00:00:00Z")
        with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
            os.pread(old.fileno(), 4096, 2_000_000)
        wait_until(lambda: (mounted / "data.bin").read_bytes() == newer, "the new bytes")
