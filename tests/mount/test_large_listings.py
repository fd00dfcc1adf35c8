"""Listings that take long, sizes that have to be asked for, and pages that are more than was asked for."""

import json
import time
from pathlib import Path

import pytest

from empirical_fs.control.reloading import reload
from tests.conftest import Mount
from tests.support.harness import Sandbox, empirical_mount, noise, said, wait_until

FILES = 950
SOON = 15.0
"""Seconds; less than the deadline of a read by default."""


@pytest.mark.may_warn("the listing could not be refreshed, .*: .*answer in time")
def test_a_reload_that_takes_longer_than_a_read_may(sandbox: Sandbox, mount: Mount) -> None:
    """As long as pages arrive, --reload waits and tells how far it is, until the new listing serves."""
    for number in range(FILES):
        sandbox.put(f"file-{number:03}", b"")
    with mount("--timeout", "9", "--refresh", "1000") as mounted:
        sandbox.put("new", b"")
        sandbox.plan(api_latency_s=3.2)
        seen = set[tuple[int, int]]()
        begun = time.monotonic()
        reload(mounted.path, lambda done, pages: seen.add((done, pages)))
        assert time.monotonic() - begun > 9
        assert seen & {(1, 10), (2, 10)}
        assert "new" in mounted.names()


@pytest.mark.warns("the listing could not be refreshed, .*: .*answer in time")
@pytest.mark.may_warn("127.0.0.1 (is out of reach; reads|answers again)")
def test_a_reload_that_fails(sandbox: Sandbox, mount: Mount) -> None:
    """Where a page does not come, --reload says why in a line, and the last listing goes on."""
    sandbox.put("file", b"")
    with mount("--timeout", "1", "--refresh", "1000") as mounted:
        sandbox.plan(faults=[{"on": "list", "action": {"type": "silence"}}])
        done = empirical_mount("--reload", mounted.path, check=False)
        assert done.returncode == 1
        assert said(done).startswith("empirical-mount: the listing could not be fetched: ")
        assert mounted.names() == {"file"}


def test_sizes_are_asked_for_after_the_mount_answers(sandbox: Sandbox, mount: Mount) -> None:
    """A store that is silent holds no mount up; who looks at a file waits for its size, and sees no other."""
    contents = {f"file-{number:02}": noise(1000 + number, number) for number in range(40)}
    for name, content in contents.items():
        sandbox.put(name, content)
    sandbox.override({name: {"size_bytes": None} for name in contents})
    sandbox.plan(faults=[{"on": "object", "action": {"type": "silence"}, "times": 8}], store_latency_s=0.3)
    begun = time.monotonic()
    with mount("--timeout", "8") as mounted:
        assert time.monotonic() - begun < SOON
        sizes = {each.name: each.stat().st_size for each in mounted.path.iterdir()}
        assert sizes == {name: len(content) for name, content in contents.items()}
        for name in list(contents)[:4]:
            assert (mounted / name).read_bytes() == contents[name]
        assert sandbox.requests()["object"] <= 3 * len(contents)


@pytest.mark.warns(r"the size of resource \d+ and \d+ more is not known yet: .*answer in time")
def test_a_size_that_does_not_come(sandbox: Sandbox, mount: Mount) -> None:
    """Who looks at such a file waits for one deadline at most, however many there are, and reads it later."""
    names = [f"file-{number:02}" for number in range(20)]
    for name in names:
        sandbox.put(name, b"content")
    sandbox.override({name: {"size_bytes": None} for name in names})
    sandbox.plan(faults=[{"on": "object", "action": {"type": "silence"}}])
    with mount("--timeout", "2", "--refresh", "1") as mounted:
        begun = time.monotonic()
        assert {each.stat().st_size for each in mounted.path.iterdir()} == {0}
        assert time.monotonic() - begun < SOON
        sandbox.plan()
        wait_until(lambda: {each.stat().st_size for each in mounted.path.iterdir()} == {7}, "the sizes")
        assert {(mounted / name).read_bytes() for name in names} == {b"content"}


@pytest.fixture
def listed(sandbox: Sandbox) -> Sandbox:
    for number in range(3):
        sandbox.put(f"file-{number}", b"")
    return sandbox


HOSTILE = {
    "many entries": "[" + ",".join(["{}"] * 400_000) + "]",
    "many zeros": "[" + ",".join(["0"] * 1_000_000) + "]",
    "more than a page": json.dumps([{"id": each, "name": "a", "status": "uploaded"} for each in range(101)]),
    "nested": "[" + '{"a":' * 30_000 + "1" + "}" * 30_000 + "]",
    "large": '["' + "x" * 5_000_000 + '"]',
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.warns(
    "the listing could not be refreshed, .*: (the answer of 127.0.0.1|the API was asked for 100 resources)"
)
def test_a_page_that_is_more_than_was_asked_for(listed: Sandbox, mount: Mount, what: str) -> None:
    """It is refused in a line, takes no memory to speak of, and the last listing goes on."""
    with mount("--refresh", "1000") as mounted:
        before = peak(mounted.pid)
        pagination = '{"page":1,"total":3,"total_pages":1}'
        body = f'{{"data":{{"resources":{HOSTILE[what]}}},"pagination":{pagination}}}'
        listed.plan(faults=[{"on": "list", "action": {"type": "body", "body": body}}])
        done = empirical_mount("--reload", mounted.path, check=False)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert mounted.names() == {"file-0", "file-1", "file-2"}
        assert peak(mounted.pid) < before + 100


def peak(pid: int) -> float:
    """The most memory that a process had so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**10
