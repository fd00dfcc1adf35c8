"""The tasks that commands have a mount do: begun, followed, cancelled, and given up when nobody asks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from empirical_fs.control.cache_tasks import Question
from empirical_fs.errors import SetupError
from empirical_fs.mount.task_runner import DiskTask, Task, Tasks
from empirical_fs.work.owner import Owner
from empirical_fs.work.timer import Timer
from tests.support.harness import wait_until

ROW = {"name": "x" * 1000}


class TimerByHand:
    """Keeps what is to be called later."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def after(self, _seconds: float, call: Callable[[], object]) -> None:
        self.calls.append(call)


def tasks(begin: Callable[[Question], Task]) -> Tasks:
    return Tasks(begin, cast(Timer, TimerByHand()))


def ask(served: Tasks, **fields: Any) -> dict[str, Any]:
    return served.answer(json.dumps(fields).encode() + b"\0\0")


def test_rows_come_in_answers_that_fit() -> None:
    """Each answer has as many as an ioctl's buffer has room for; the result comes with the last of them."""

    def work(task: DiskTask) -> Iterator[dict[str, Any]]:
        task.outcome["files"] = 30
        yield from [ROW] * 30

    served = tasks(lambda _: DiskTask("test", work))
    answer = ask(served, begin="cached")
    rows = answer.get("rows", [])
    while not answer["ended"]:
        assert len(json.dumps(answer)) < 16_000
        assert "result" not in answer
        answer = ask(served, task=answer["task"], after=len(rows))
        rows += answer.get("rows", [])
    assert rows == [ROW] * 30
    assert answer["result"] == {"files": 30}
    assert "error" in ask(served, task=answer["task"])


def test_a_task_that_is_cancelled_ends() -> None:
    """At its next step; and nothing is known of it any more."""
    begun, ended = threading.Event(), threading.Event()

    def work(task: DiskTask) -> Iterator[dict[str, Any]]:
        begun.set()
        try:
            while True:
                task.moved(0, 1)
                time.sleep(0.01)
        finally:
            ended.set()
        yield ROW

    served = tasks(lambda _: DiskTask("test", work))
    number = ask(served, begin="verify")["task"]
    assert begun.wait(20)
    assert ask(served, task=number, cancel=True)["ended"]
    assert ended.wait(20)
    assert "run it again" in ask(served, task=number)["advice"]


def test_a_task_of_nobody_is_given_up() -> None:
    """The command was killed: once nobody has asked for a minute, the task is cancelled."""
    cancelled = threading.Event()

    class Endless:
        def cancel(self) -> None:
            cancelled.set()

    served = tasks(lambda _: cast(Task, Endless()))
    number = served._new(Question())
    timer = cast(TimerByHand, served._timer)
    (look,) = timer.calls
    look()
    assert not cancelled.is_set()
    served._leased[number].asked_at -= 61
    timer.calls[-1]()
    assert cancelled.is_set()


def test_a_task_of_a_process_that_has_ended_is_given_up() -> None:
    """Within a second, if it was killed; as long as it runs, the task goes on."""
    cancelled = list[str]()

    class Endless:
        def __init__(self, name: str) -> None:
            self.name = name

        def cancel(self) -> None:
            cancelled.append(self.name)

    this = Owner.this()
    ended = Owner(this.here, this.pid, this.started + 1)
    served = tasks(lambda question: cast(Task, Endless(question.patterns[0])))
    for name, owner in (("ours", this.encoded().hex()), ("ended", ended.encoded().hex()), ("odd", "x")):
        served._new(Question(patterns=[name], owner=owner))
    for look in cast(TimerByHand, served._timer).calls[:]:
        look()
    assert cancelled == ["ended"]


def test_a_failure_is_told() -> None:
    """What the work raises is what the command hears; an error of the disk in words."""

    def no_room(_: DiskTask) -> Iterator[dict[str, Any]]:
        yield ROW
        raise SetupError("no", advice="yes")

    def no_disk(_: DiskTask) -> Iterator[dict[str, Any]]:
        yield ROW
        raise OSError(5, "Input/output error")

    for work, error in ((no_room, "no"), (no_disk, "the cache cannot be read: Input/output error")):
        served = tasks(lambda _, work=work: DiskTask("test", work))  # type: ignore[misc]
        assert wait_until(lambda served=served: _error(served), "the error") == error  # type: ignore[misc]


def _error(served: Tasks) -> str | None:
    answer = ask(served, begin="cached")
    return answer.get("error")


@pytest.mark.parametrize(
    "sent", [b"", b"[]", b"{", b'{"begin": "dance"}', b'{"patterns": 1}', b"{}", b"[" * 9000]
)
def test_a_question_that_makes_no_sense(sent: bytes) -> None:
    """It gets an answer, too."""
    assert tasks(lambda _: pytest.fail("nothing is to begin")).answer(sent)["error"]


def test_many_at_once() -> None:
    """A mount does so many tasks at once, and says so then."""

    def endless(task: DiskTask) -> Iterator[dict[str, Any]]:
        while True:
            task.moved(0, 0)
            time.sleep(0.01)
        yield ROW

    served = tasks(lambda _: DiskTask("test", endless))
    answers = [ask(served, begin="verify") for _ in range(9)]
    served.close()
    assert ["error" in each for each in answers] == [False] * 8 + [True]
