"""A sandbox in a process of its own, and how tests talk to it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import unused_port

KEY = "key-of-the-test"
_DEADLINE_S = 30.0


class Served:
    """A running sandbox: `api` is a client with the key, `store` one without."""

    def __init__(self, folder: Path, base_url: str, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.base_url = base_url
        self.process = process
        self.api = httpx.Client(base_url=base_url, headers={"authorization": f"Bearer {KEY}"}, verify=False)
        self.store = httpx.Client(verify=False)

    def write(self, path: str, content: bytes = b"", mtime: float | None = None) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if mtime is not None:
            os.utime(file, (mtime, mtime))
        return file

    def page(self, **parameters: int | str) -> Any:
        return self.api.get("/api/resources", params=parameters).raise_for_status().json()

    def resources(self) -> list[dict[str, Any]]:
        resources: list[dict[str, Any]] = self.page(per_page=100)["data"]["resources"]
        return resources

    def resource(self, name: str) -> dict[str, Any]:
        (found,) = [resource for resource in self.resources() if resource["name"] == name]
        return found

    def url(self, name: str) -> str:
        return str(self.resource(name)["url"])

    def plan(self, **fields: Any) -> None:
        self.api.put("/sandbox/plan", json=fields).raise_for_status()

    def fault(self, on: str, action: dict[str, Any], **conditions: Any) -> None:
        self.plan(faults=[{"on": on, "action": action, **conditions}])

    def report(self) -> Any:
        return self.api.get("/sandbox/requests").raise_for_status().json()

    def clear(self) -> None:
        self.api.delete("/sandbox/requests").raise_for_status()


def command(folder: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "empirical_fs.sandbox",
        str(folder),
        "--port",
        str(unused_port()),
        "--key",
        KEY,
        *arguments,
    ]


def receive(answer: httpx.Response, received: bytearray) -> None:
    """Take in the body as it comes, so that `received` has what came before it broke off."""
    for chunk in answer.iter_raw():
        received += chunk


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@contextmanager
def serving(folder: Path, ready_file: Path, *arguments: str) -> Iterator[Served]:
    """A sandbox on `folder`, which must end with status 0 and have nothing to complain of."""
    process = subprocess.Popen(
        command(folder, "--ready-file", str(ready_file), *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            await_true(lambda: ready_file.exists() or process.poll() is not None)
            served = Served(folder, ready_file.read_text(), process)
            with served.api, served.store:
                yield served
        finally:
            process.terminate()
        _, complaints = process.communicate(timeout=_DEADLINE_S)
        assert (process.returncode, complaints) == (0, "")
