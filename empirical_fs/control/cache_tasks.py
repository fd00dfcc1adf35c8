"""Has a mount do a task with its cache, and waits until that ends; an interrupted wait cancels the task."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from empirical_fs.control.protocol import Command, ask
from empirical_fs.control.report import NotOurs
from empirical_fs.errors import EmpiricalError, SetupError
from empirical_fs.work.owner import Owner


class Kind(StrEnum):
    """What a mount can do with its cache."""

    PREFETCH = "prefetch"
    PIN = "pin"
    UNPIN = "unpin"
    CACHED = "cached"
    VERIFY = "verify"
    EVICT = "evict"


class Question(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a command asks; either `begin` or `task` is given."""

    begin: Kind | None = None
    patterns: list[str] = []
    """Shell patterns of file names; none for all files."""
    online: bool = False
    """With `verify`: ask the object store, too."""
    task: int | None = None
    """The number of a task that was begun."""
    after: int = 0
    """How many rows of the result are known already."""
    cancel: bool = False
    owner: str = ""
    """With `begin`: the process that asks (`Owner.encoded`), in hexadecimal; the task ends with it."""


_PAUSE, _LONGER, _PAUSE_MAX = 0.05, 1.5, 0.25
"""Seconds between two questions: at first, the factor by which they grow, and at most."""


class Progress(msgspec.Struct, frozen=True):
    """How far a task is."""

    files_done: int = 0
    files: int = 0
    bytes_done: int = 0
    bytes: int = 0


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of a task."""

    task: int
    ended: bool
    """Whether it has ended and all rows are told."""
    progress: Progress = Progress()
    rows: list[dict[str, Any]] = []
    """The rows of the result after those that are known."""
    result: dict[str, Any] = {}
    """What came of it, once it has ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task."""

    rows: Sequence[Mapping[str, Any]]
    result: Mapping[str, Any]


Show = Callable[[Progress], object]
"""Shows how far a task is."""


def run(place: Path, question: Question, show: Show) -> Outcome:
    """Have the mount at `place` do what `question` begins; returns when that has ended.

    There is no overall deadline. However the wait ends, the task ends with it.

    Raises:
        SetupError: the mount cannot be asked, or the task failed.
    """
    rows: list[dict[str, Any]] = []
    pause = _PAUSE
    answer = _asked(place, msgspec.structs.replace(question, owner=Owner.this().encoded().hex()))
    try:
        while True:
            rows += answer.rows
            show(answer.progress)
            if answer.ended:
                return Outcome(rows, answer.result)
            if not answer.rows:
                # Not in the mount, which could not be unmounted meanwhile.
                time.sleep(pause)
                pause = min(pause * _LONGER, _PAUSE_MAX)
            answer = _asked(place, Question(task=answer.task, after=len(rows)))
    except BaseException:
        with suppress(EmpiricalError):
            _asked(place, Question(task=answer.task, cancel=True))
        raise


def _asked(place: Path, question: Question) -> Answer:
    found = ask(place, Command.TASK, msgspec.to_builtins(question))
    try:
        answer = msgspec.convert(found, Answer)
        if min(msgspec.structs.astuple(answer.progress)) < 0:
            _refuse()
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        raise NotOurs("the answer is of no task") from error
    return answer


def _refuse() -> NoReturn:
    raise ValueError("less than nothing")


def no_cache() -> SetupError:
    """The error of a mount without a cache on disk."""
    return SetupError("the cache of this mount is off", advice="mount it again with --cache")
