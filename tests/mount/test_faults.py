"""Every fault of the store, once and for good: right bytes or the right errno, and right bytes afterwards.

This is what all of `test_faults_*.py` uses, and the faults that are statuses.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import Sandbox, noise, opened, wait_until

SIZE = 200_123
AT, LENGTH = 123_456, 5000
RIGHT = "right"
TIMEOUT = ("--timeout", "4")
OTHERS = {"longer": noise(SIZE + 1, 1), "as long": noise(SIZE, 2), "well": noise(SIZE, 3)}
WARNINGS = (
    "WARNING .*: read /",
    "the listing could not be refreshed, .*: ",
    "127.0.0.1 (is out of reach; reads|answers again)",  # all answers may come late on a busy machine
)
NO_LISTING = {"on": "list", "action": {"type": "status", "status": 404}}

Outcomes = frozenset[str]
WELL = frozenset({RIGHT})
FAILED = frozenset({"EIO"})
STALE = frozenset({"ESTALE"})
PASSING = WELL | FAILED


@dataclass(frozen=True)
class Fault:
    """What the server does, and what a read may come to: `right` or the name of an errno."""

    name: str
    action: dict[str, Any]
    once: Outcomes = WELL
    always: Outcomes = FAILED
    times: int = 1
    """How often it happens where it does not happen for good."""
    later: bool = False
    """Whether it begins when something was read already, so that the ETag is known."""


@dataclass
class Case:
    """One file, the fault that it meets, how it is read, and what came of it."""

    fault: Fault
    times: int | None
    way: str
    seed: int
    came: str = ""
    descriptor: int = -1

    @property
    def name(self) -> str:
        return f"{self.fault.name} {'always' if self.times is None else 'once'} {self.way}.bin"

    @cached_property
    def content(self) -> bytes:
        return noise(SIZE, self.seed)

    @property
    def allowed(self) -> Outcomes:
        return self.fault.always if self.times is None else self.fault.once

    @property
    def reads_ahead(self) -> bool:
        return self.way == "whole" and not self.fault.later

    def read(self, way: str = "") -> str:
        return outcome(self.descriptor, self.content, way or self.way)

    def __str__(self) -> str:
        return f"{self.name}: {self.came}, not {'/'.join(sorted(self.allowed))}"


def outcome(descriptor: int, content: bytes, way: str) -> str:
    """What one read comes to: RIGHT, the name of an errno, or what was wrong with the bytes."""
    start, stop = (AT, AT + LENGTH) if way == "part" else (0, len(content))
    got = bytearray()
    failure = ""
    try:
        while piece := os.pread(descriptor, min(100_000, stop - start - len(got)), start + len(got)):
            got += piece
    except OSError as error:
        failure = errno.errorcode[error.errno or 0]
    expected = content[start:stop]
    if got != expected[: len(got)]:
        wrong = next(at for at, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b)
        return f"wrong bytes from {start + wrong} on ({bytes(got[wrong : wrong + 20])!r}) {failure}".rstrip()
    if failure:
        return failure
    return RIGHT if len(got) == len(expected) else f"{len(got)} bytes of {len(expected)}"


def outcome_anew(path: Path, content: bytes, way: str = "whole") -> str:
    """What the first read comes to through a handle that is opened for it."""
    try:
        with opened(path) as descriptor:
            return outcome(descriptor, content, way)
    except OSError as error:
        return f"open: {errno.errorcode[error.errno or 0]}"


def status(code: int, **fields: Any) -> dict[str, Any]:
    return {"type": "status", "status": code, **fields}


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def cases_of(faults: Iterable[Fault]) -> list[Case]:
    """Each fault, once and always, for a file that is read as a whole and for one that is read in part."""
    kinds = [(fault, times, way) for times in (1, None) for fault in faults for way in ("whole", "part")]
    return [
        Case(fault, times and fault.times, way, seed) for seed, (fault, times, way) in enumerate(kinds, 10)
    ]


def rules(cases: Iterable[Case], listed: Mapping[str, Any], on: str = "object") -> list[dict[str, Any]]:
    """The faults as a plan has them."""

    def rule(case: Case) -> dict[str, Any]:
        resource = listed[case.name]
        action = case.fault.action
        match action:
            case {"type": "other", "id": name}:
                action = {**action, "id": listed[name]["id"]}
            case {"type": "status", "retry_after_date": seconds}:
                action = status(action["status"], retry_after=date_in(seconds))
            case {"type": "resource", **fields}:
                answer = {"data": {"resource": {**resource, **fields}}}
                action = {"type": "body", "body": json.dumps(answer)}
        return {"on": on, "ids": [resource["id"]], "times": case.times, "action": action}

    return [rule(case) for case in cases]


def afterwards(folder: Path, cases: list[Case], pool: ThreadPoolExecutor) -> list[str]:
    """What is still wrong with the first read of a path opened anew, and with the handles that were open."""

    def look(case: Case) -> list[str]:
        seen = {
            "anew": outcome_anew(folder / case.name, case.content),
            "anew, a part": outcome_anew(folder / case.name, case.content, "part"),
            "the same handle": case.read(),
            "the same handle, all": case.read("whole"),
        }
        may_be_stale = "ESTALE" in case.came
        return [
            f"{case.name} ({case.came}), {how}: {came}"
            for how, came in seen.items()
            if came != RIGHT and not (came == "ESTALE" and may_be_stale and "handle" in how)
        ]

    return [line for lines in pool.map(look, cases) for line in lines]


def check(sandbox: Sandbox, mount: Mount, faults: Iterable[Fault], on: str = "object", **plan: Any) -> None:
    """Read files under each fault, and again when all is well: nothing but what the faults allow comes.

    The faults are `on` the store's objects or on the API's answers about one resource (`get`). Meanwhile no
    listing makes up for these. `plan` is what else the server does all the time.
    """
    cases = cases_of(faults)
    for case in cases:
        sandbox.put(case.name, case.content)
    for name, content in OTHERS.items():
        sandbox.put(name, content)
    listed = {each["name"]: each for each in sandbox.listing()}
    with mount(*TIMEOUT) as mounted, ThreadPoolExecutor(len(cases)) as pool, ExitStack() as stack:
        for case in cases:
            case.descriptor = stack.enter_context(opened(mounted / case.name, ahead=case.reads_ahead))
            if case.fault.later:
                assert os.pread(case.descriptor, 100, 0) == case.content[:100]
        for lasting in (False, True):
            now = [case for case in cases if (case.times is None) is lasting]
            sandbox.plan(faults=[*rules(now, listed, on), NO_LISTING], **plan)
            sandbox.forget_requests()
            for case, came in zip(now, pool.map(Case.read, now), strict=True):
                case.came = came
            faulted = {each["id"] for each in sandbox.requests()["log"] if each["fault"]}
            # A key that was refused for one file is not tried for others at once.
            met = [case for case in now if listed[case.name]["id"] in faulted or case.came == "EACCES"]
            assert {case.fault.name for case in met} == {case.fault.name for case in cases}
        assert [str(case) for case in cases if case.came not in case.allowed] == []
        sandbox.plan(**plan)
        wait_until(lambda: outcome_anew(mounted / "well", OTHERS["well"]) == RIGHT, "a server that is well")
        # Who joins a request from before fails with it; a server that asked for fewer gets fewer for a while.
        wait_until(lambda: afterwards(mounted.path, cases, pool) == [], "right bytes for all")


BUSY = [Fault(str(code), status(code)) for code in (408, 425, 429, 500, 501, 502, 503, 504, 599)]
GROUPS: dict[str, list[Fault]] = {
    "busy": BUSY[:5],
    "busier": BUSY[5:],
    "refused": [Fault(str(code), status(code)) for code in (400, 401, 403)]
    + [Fault(str(code), status(code), always=STALE) for code in (404, 410)],
    "strange": [Fault(str(code), status(code), PASSING) for code in (405, 418, 451)]
    # A handle of which nobody had any bytes goes on with what there is then.
    + [Fault(str(code), status(code), STALE | WELL, STALE) for code in (412, 416)],
    "waiting": [
        Fault("503 after 1", status(503, retry_after="1")),
        Fault("503 after a date", status(503, retry_after_date=2), PASSING),
        Fault("503 after a date long ago", status(503, retry_after_date=-1e8)),
        Fault("503 after ages", status(503, retry_after="1000000000"), PASSING),
        Fault("503 after less than nothing", status(503, retry_after="-5")),
        Fault("503 after garbage", status(503, retry_after="soon")),
    ],
    "throttled": [
        Fault("429 after nothing", status(429, retry_after="0")),
        Fault("429 after a date long ago", status(429, retry_after_date=-1e8)),
        Fault("429 after less than nothing", status(429, retry_after="-5")),
        Fault("429 after garbage", status(429, retry_after="soon")),
    ],
    "throttled for a second": [Fault("429 after 1", status(429, retry_after="1"), PASSING)],
    "redirects": [
        Fault("to itself", {"type": "redirect", "location": ""}),
        Fault("three in a row", {"type": "redirect", "location": ""}, times=3),
        Fault("to http", {"type": "redirect", "location": "http://elsewhere.invalid/"}, PASSING),
        Fault("to a file", {"type": "redirect", "location": "file:///etc/passwd"}, PASSING),
        Fault("to nowhere", {"type": "redirect", "location": "http://["}, PASSING),
    ],
}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.may_warn(*WARNINGS)
def test_statuses(sandbox: Sandbox, mount: Mount, group: str) -> None:
    """Whatever status the store answers with, a read gives the right bytes or errno, and later the bytes."""
    check(sandbox, mount, GROUPS[group])
