"""The same work on many things, side by side, by as many threads as there are to be had."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from empirical_fs.errors import NoThread
from empirical_fs.work.threads import Pool

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")

log = logging.getLogger(__name__)


class _Piece(Generic[_Thing, _Result]):
    """Work on one thing, which is done once, by whoever comes first."""

    def __init__(self, work: Callable[[_Thing], _Result], thing: _Thing) -> None:
        self._work = work
        self._thing = thing
        self._is_taken = threading.Lock()
        self._outcome = Future[_Result]()

    def do(self) -> None:
        if not self._is_taken.acquire(blocking=False):
            return
        try:
            self._outcome.set_result(self._work(self._thing))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._outcome.set_exception(error)

    def result(self) -> _Result:
        self.do()
        return self._outcome.result()


def side_by_side(
    work: Callable[[_Thing], _Result], things: Iterable[_Thing], at_once: int
) -> Iterator[_Result]:
    """The results of `work` on `things`, in their order, `at_once` of which are worked on at a time.

    The caller works, too, and does all of it where the system has no other thread.

    Args:
        work: done for each thing, by any thread.
        things: what it is done for.
        at_once: how many are worked on at a time, at most.

    Raises:
        BaseException: whatever the work raises, at its place; nothing is begun any more.
    """
    pieces = [_Piece(work, thing) for thing in things]
    pool = Pool(at_once - 1)
    try:
        if at_once > 1:
            for piece in pieces[1:]:
                pool.submit(piece.do)
    except NoThread as error:
        log.debug("one thread does all: %s", error)
    try:
        for piece in pieces:
            yield piece.result()
    finally:
        pool.close()
