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
    """The first caller for a key does the work; those who come meanwhile share what it comes to.

    The lock guards the table of flights and is never held while work is done.
    """

    def __init__(self) -> None:
        """Begin with nothing under way."""
        self._lock = threading.Lock()
        self._flights: dict[_Key, Future[_Result]] = {}

    def do(self, key: _Key, work: Callable[[], _Result], deadline: Deadline) -> _Result:
        """The result of `work`, done here or awaited from whoever is doing it for the same key.

        Raises:
            DeadlinePassed: another caller's work was not done in time.
            BaseException: whatever `work` raised, to the one who did it and to all who waited.
        """
        while (flight := self._join_or_lead(key)) is not None:
            try:
                return flight.result(timeout=deadline.remaining())
            except FutureTimeoutError as error:
                raise DeadlinePassed("another request for the same is still under way") from error
            except DeadlinePassed:
                deadline.remaining()  # that was the other's deadline; ours may leave time to do it ourselves
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
        """The flight for `key` that is under way; None if there was none, and it is the caller's now."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = Future()
            return flight
