"""rclone as an S3 server."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.mounts import RCLONE
from tests.support.harness import environment, wait_until


@contextmanager
def serving(buckets: Path, port: int) -> Iterator[None]:
    """Serve each folder in `buckets` as a bucket that anybody may read."""
    command = [
        str(RCLONE),
        "serve",
        "s3",
        "--addr",
        f"127.0.0.1:{port}",
        "--config",
        os.devnull,
        "--read-only",
    ]
    process = subprocess.Popen(
        [*command, buckets],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )

    def listens() -> bool:
        assert process.poll() is None, f"rclone serve s3 ended with {process.returncode}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens, "rclone's S3 server")
        yield
    finally:
        process.terminate()
        process.wait()
