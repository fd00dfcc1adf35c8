"""A network that refuses, resets or swallows, between a real mount and its server, for a moment or longer."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.mount.test_faults import (
    FAILED,
    PASSING,
    RIGHT,
    SIZE,
    TIMEOUT,
    WELL,
    Case,
    Fault,
    Outcomes,
    afterwards,
    outcome_anew,
)
from tests.support.cable import Cable
from tests.support.harness import Mounted, Sandbox, mounted, noise, opened, run, wait_until

MOMENT = 0.5
WELL_CONTENT = noise(SIZE, 1)


@pytest.fixture
def sandbox(cabled: Sandbox) -> Sandbox:
    """The project at the far end of the cable."""
    return cabled


@pytest.fixture
def through(sandbox: Sandbox, cable: Cable, tmp_path: Path) -> Iterator[tuple[Mounted, list[Case]]]:
    """A mount through the cable, and cases whose files are open and were read a little."""
    fault = Fault("network", {})
    cases = [Case(fault, None, way, seed) for seed, way in enumerate(("whole", "part"), 10)]
    for case in cases:
        sandbox.put(case.name, case.content)
    sandbox.put("well", WELL_CONTENT)
    with mounted(tmp_path / "mnt", cable.url, *TIMEOUT) as mounted_, ExitStack() as stack:
        for case in cases:
            case.descriptor = stack.enter_context(opened(mounted_ / case.name))
            assert os.pread(case.descriptor, 100, 0) == case.content[:100]
        yield mounted_, cases


def check_afterwards(mounted_: Mounted, cases: list[Case]) -> None:
    """When the network is well again, what is read is right, by handles that are new and by those before."""
    wait_until(lambda: outcome_anew(mounted_ / "well", WELL_CONTENT) == RIGHT, "a network that is well")
    with ThreadPoolExecutor(len(cases)) as pool:
        assert afterwards(mounted_.path, cases, pool) == []


@pytest.mark.parametrize("state", [Cable.refuse, Cable.darken], ids=["refused", "dark"])
@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn("read /[^:]*: (.*answer in time|.* refused the connection)")
def test_as_long_as_it_lasts(
    through: tuple[Mounted, list[Case]], cable: Cable, state: Callable[[Cable], None]
) -> None:
    """Without a network reads are EIO, for `cat` too, the directory is there, and all is well afterwards."""
    mounted_, cases = through
    state(cable)
    with ThreadPoolExecutor(3) as pool:
        cat: Future[subprocess.CompletedProcess[str]] = pool.submit(
            run, "cat", mounted_ / "well", check=False
        )
        for case, came in zip(cases, pool.map(Case.read, cases), strict=True):
            case.came = came
    assert {case.name: case.came for case in cases} == {case.name: "EIO" for case in cases}
    assert (cat.result().returncode, cat.result().stdout) == (1, "")
    assert "Input/output error" in cat.result().stderr
    assert mounted_.names() == {"well", *(case.name for case in cases)}
    cable.plug()
    check_afterwards(mounted_, cases)


def test_connections_that_are_forgotten(sandbox: Sandbox, cable: Cable, tmp_path: Path) -> None:
    """Where a router has forgotten all connections, the next read waits some seconds for a new one."""
    sandbox.put("first", WELL_CONTENT)
    sandbox.put("second", WELL_CONTENT)
    with mounted(tmp_path / "mnt", cable.url, "--timeout", "30") as mounted_:
        assert outcome_anew(mounted_ / "first", WELL_CONTENT) == RIGHT
        cable.sever()
        begun = time.monotonic()
        assert outcome_anew(mounted_ / "second", WELL_CONTENT) == RIGHT
        assert time.monotonic() - begun < 8


BLIPS: dict[str, tuple[Callable[[Cable], None], Outcomes]] = {
    "cut": (Cable.cut, WELL),
    "severed": (Cable.sever, PASSING),
    "refused": (Cable.refuse, WELL),
    "dark": (Cable.darken, PASSING),
}


@pytest.mark.parametrize("blip", BLIPS)
def test_before_a_read(through: tuple[Mounted, list[Case]], cable: Cable, blip: str) -> None:
    """A moment without a network, which ends while a read waits, is not noticed, or EIO if it was silent."""
    mounted_, cases = through
    state, allowed = BLIPS[blip]
    state(cable)
    ended = threading.Timer(MOMENT, cable.plug)
    ended.start()
    try:
        with ThreadPoolExecutor(len(cases)) as pool:
            for case, came in zip(cases, pool.map(Case.read, cases), strict=True):
                case.came = came
    finally:
        ended.join()
    assert {case.name: case.came for case in cases if case.came not in allowed} == {}
    check_afterwards(mounted_, cases)


@pytest.mark.parametrize("blip", BLIPS)
@pytest.mark.may_warn("read /network[^:]*: it could not be had in time")
def test_amid_a_body(through: tuple[Mounted, list[Case]], sandbox: Sandbox, cable: Cable, blip: str) -> None:
    """A body that is cut off by the network for a moment is read to its end."""
    mounted_, cases = through
    state, allowed = BLIPS[blip]
    sandbox.plan(bytes_per_second=100_000)
    sandbox.forget_requests()
    with ThreadPoolExecutor(len(cases)) as pool:
        reads = [pool.submit(case.read, "whole") for case in cases]
        wait_until(lambda: sandbox.requests()["object_bytes"] > 10_000, "bodies under way")
        state(cable)
        ended = threading.Timer(MOMENT, cable.plug)
        ended.start()
        for case, read in zip(cases, reads, strict=True):
            case.came = read.result()
        ended.join()
    assert {case.name: case.came for case in cases if case.came not in allowed} == {}
    sandbox.plan()
    check_afterwards(mounted_, cases)


@pytest.mark.warns("127.0.0.1 is out of reach; reads", "127.0.0.1 answers again")
@pytest.mark.may_warn("read /[^:]*: .* refused the connection")
def test_the_whole_server_is_gone_and_comes_back(
    through: tuple[Mounted, list[Case]], sandbox: Sandbox, cable: Cable
) -> None:
    """A mount outlives its server's absence, and reads through connections that were dead all the while."""
    mounted_, cases = through
    for _ in range(2):
        cable.sever()
        cable.refuse()
        assert {case.read() for case in cases} <= FAILED | WELL
        cable.plug()
        check_afterwards(mounted_, cases)
    assert sandbox.process.is_alive()
