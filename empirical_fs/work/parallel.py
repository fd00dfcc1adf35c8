"""Does the same work on many objects in parallel, with as many threads as the system provides."""

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
    """The work on one object, which is done once, by the thread that comes first."""

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
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self._outcome.set_exception(error)

    def result(self) -> _Result:
        self.do()
        return self._outcome.result()


def in_parallel(
    work: Callable[[_Thing], _Result], things: Iterable[_Thing], at_once: int
) -> Iterator[_Result]:
    """The results of `work` on `things`, in their order; up to `at_once` calls run in parallel.

    The calling thread works too, and does all of the work if the system has no other thread.

    Args:
        work: called with each thing, by any thread.
        things: the objects to work on.
        at_once: the largest number of parallel calls.

    Raises:
        BaseException: raised by `work`, in place of that result; no more work is begun then.
    """
    pieces = [_Piece(work, thing) for thing in things]
    pool = Pool(at_once - 1)
    try:
        if at_once > 1:
            for piece in pieces[1:]:
                pool.submit(piece.do)
    except NoThread as error:
        log.debug("one thread does all the work: %s", error)
    try:
        for piece in pieces:
            yield piece.result()
    finally:
        pool.close()
