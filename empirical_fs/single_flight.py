"""One piece of work at a time for each key, however many threads want its result."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Generic, TypeVar

from empirical_fs.clock import Deadline
from empirical_fs.errors import DeadlinePassed

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


class SingleFlight(Generic[_Key, _Result]):
    """The first caller for a key does the work; callers that come meanwhile share its result or error.

    The lock guards the table of flights, and is never held during the work.
    """

    def __init__(self) -> None:
        """Begin with nothing under way."""
        self._lock = threading.Lock()
        self._flights: dict[_Key, Future[_Result]] = {}

    def do(self, key: _Key, work: Callable[[], _Result], deadline: Deadline) -> _Result:
        """The result of `work`: done by this caller, or by another caller for the same key.

        Raises:
            DeadlinePassed: another caller's work was not done in time.
            BaseException: raised by `work`; every caller that waits for it gets it too.
        """
        while (flight := self._join_or_lead(key)) is not None:
            try:
                return flight.result(timeout=deadline.remaining())
            except FutureTimeoutError as error:
                raise DeadlinePassed("another request for the same is still under way") from error
            except DeadlinePassed:
                deadline.remaining()  # it was the other caller's deadline; ours may leave time to do the work
        mine = self._flights[key]
        try:
            result = work()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(result)
            return result
        finally:
            with self._lock:
                del self._flights[key]

    def _join_or_lead(self, key: _Key) -> Future[_Result] | None:
        """The running flight for `key`; None if there was none: the caller must then do the work."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = Future()
            return flight
