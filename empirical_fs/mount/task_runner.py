"""The tasks that commands have a mount do: each has a thread, and ends when nobody asks for it any more."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Protocol

import msgspec

from empirical_fs.control.cache_tasks import Answer, Progress, Question
from empirical_fs.errors import EmpiricalError, NoThread, SetupError
from empirical_fs.work.jobs import Job
from empirical_fs.work.owner import Owner, decoded
from empirical_fs.work.timer import Timer

_ANSWER_SECONDS = 0.3
"""How long the answer to a new task waits for its end. Later ones do not: who asks keeps the mount busy."""
_LEASE_SECONDS = 60.0
"""A task that nobody asks for so long is given up, if it cannot be seen that its command was killed."""
_LOOK_SECONDS = 1.0
"""How often to look whether the command of a task still runs."""
_TASKS_MAX = 8
_ROWS_BYTES = 12_000
"""Bytes of the rows in one answer, which has room for 16,000 in all."""


class Cancelled(EmpiricalError):
    """The command that began the task was interrupted, or is gone."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("it was cancelled", advice="run it again: it goes on where it stopped")


class Task(Protocol):
    """Work that was begun."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; whether it has ended."""

    @property
    def progress(self) -> Progress:
        """How far it is."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of its result so far; only ever added to."""

    def result(self) -> dict[str, Any]:
        """What came of it, once it has ended.

        Raises:
            EmpiricalError: it failed.
        """

    def cancel(self) -> None:
        """End it soon."""


Work = Callable[["DiskTask"], Iterator[dict[str, Any]]]
"""Does a task: yields the rows of its result, and tells the task of progress and result."""


class DiskTask:
    """A task with a thread of its own, which may wait for the disk. Only that thread changes it."""

    def __init__(self, name: str, work: Work) -> None:
        """Begin.

        Raises:
            NoThread: the system has no thread for it.
        """
        self.rows: list[dict[str, Any]] = []
        self.outcome: dict[str, Any] = {}
        """What `result` returns; for the work to fill."""
        self._work = work
        self._files_done = self._files = self._bytes_done = self._bytes = 0
        self._failure: EmpiricalError | None = None
        self._ended = threading.Event()
        self._is_cancelled = False
        if not Job(name, self._run, patience=float("inf")).ask():
            raise NoThread

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self._files_done, self._files, self._bytes_done, self._bytes)

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; whether it has ended."""
        return self._ended.wait(seconds)

    def result(self) -> dict[str, Any]:
        """What came of it.

        Raises:
            EmpiricalError: it failed.
        """
        if self._failure is not None:
            raise self._failure
        return self.outcome

    def cancel(self) -> None:
        """End it at its next step."""
        self._is_cancelled = True

    def expect(self, files: int, size: int) -> None:
        """Note how much there is to do, in files and bytes."""
        self._files, self._bytes = files, size

    def moved(self, files: int, size: int) -> None:
        """Note that so many more files and bytes are done.

        Raises:
            Cancelled: nobody wants the rest.
        """
        self._files_done += files
        self._bytes_done += size
        if self._is_cancelled:
            raise Cancelled

    def _run(self) -> None:
        try:
            for row in self._work(self):
                self.rows.append(row)
        except EmpiricalError as error:
            self._failure = error
        except OSError as error:
            self._failure = SetupError(f"the cache cannot be read: {error.strerror}")
        except BaseException:
            self._failure = EmpiricalError("an internal error; the log has more")
            raise
        finally:
            self._ended.set()


class _Leased:
    def __init__(self, task: Task, owner: Owner | None) -> None:
        self.task = task
        self.owner = owner
        self.asked_at = time.monotonic()


class Tasks:
    """The tasks that were begun and are still asked for. The lock guards the table."""

    def __init__(
        self,
        begin: Callable[[Question], Task],
        timer: Timer,
        on_close: Callable[[], object] = lambda: None,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin what `begin` makes of questions; `timer` ends what nobody asks for.

        `check` raises an EmpiricalError if no task can go on now.
        """
        self._check = check
        self._on_close = on_close
        self._begin = begin
        self._timer = timer
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._leased: dict[int, _Leased] = {}

    def answer(self, sent: bytes) -> dict[str, Any]:
        """Answer a question: begin a task, tell how far one is, or cancel one."""
        try:
            question = msgspec.convert(json.loads(sent.partition(b"\0")[0]), Question)
        except (ValueError, RecursionError, msgspec.ValidationError):
            return {"error": "the question is not understood", "advice": "unmount it and mount it again"}
        try:
            return self._answer(question)
        except EmpiricalError as error:
            return {"error": error.what, "advice": error.advice}

    def close(self) -> None:
        """End all tasks."""
        for number in list(self._leased):
            self._forget(number)
        self._on_close()

    def _answer(self, question: Question) -> dict[str, Any]:
        if question.begin is not None:
            self._check()
            number = self._new(question)
        elif question.task is not None:
            number = question.task
        else:
            raise SetupError("the question is not understood")
        with self._lock:
            leased = self._leased.get(number)
        if leased is None:
            raise Cancelled
        leased.asked_at = time.monotonic()
        if question.cancel:
            self._forget(number)
            return _told(Answer(task=number, ended=True))
        task = leased.task
        has_ended = task.wait(_ANSWER_SECONDS if question.begin is not None else 0.0)
        if not has_ended:
            try:
                self._check()
            except EmpiricalError:
                self._forget(number)
                raise
        rows = _first(task.rows, question.after)
        is_all = has_ended and question.after + len(rows) == len(task.rows)
        result: Mapping[str, Any] = {}
        if is_all:
            self._forget(number)
            result = task.result()
        return _told(
            Answer(task=number, ended=is_all, progress=task.progress, rows=rows, result=dict(result))
        )

    def _new(self, question: Question) -> int:
        with self._lock:
            if len(self._leased) >= _TASKS_MAX:
                raise SetupError("the mount is busy with other commands", advice="try again in a while")
        leased = _Leased(self._begin(question), _owner(question))
        number = next(self._numbers)
        with self._lock:
            self._leased[number] = leased
        self._see_to_lease(number)
        return number

    def _forget(self, number: int) -> None:
        with self._lock:
            leased = self._leased.pop(number, None)
        if leased is not None:
            leased.task.cancel()

    def _see_to_lease(self, number: int) -> None:
        """End the task if its command is gone, and look again later if not."""
        leased = self._leased.get(number)
        if leased is None:
            return
        is_over = time.monotonic() >= leased.asked_at + _LEASE_SECONDS
        if is_over or (leased.owner is not None and leased.owner.has_ended):
            self._forget(number)
        else:
            self._timer.after(_LOOK_SECONDS, lambda: self._see_to_lease(number))


def _owner(question: Question) -> Owner | None:
    """The process that asks; None if it does not say so."""
    try:
        return decoded(bytes.fromhex(question.owner))
    except ValueError:
        return None


def _first(rows: list[dict[str, Any]], after: int) -> list[dict[str, Any]]:
    """As many rows from number `after` on as one answer has room for."""
    size, end = 0, after
    while end < len(rows):
        size += len(json.dumps(rows[end])) + 2
        if size > _ROWS_BYTES and end > after:
            break
        end += 1
    return rows[after:end]


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(answer)
    return told
