"""Remembers about which resources the store disagreed with the listing, and calls back when that is over."""

import threading
from collections.abc import Callable

from empirical_fs.clock import aging_clock

OnSettled = Callable[[], object]
"""Called once a listing has settled a doubt, or none will; must not block."""


class Doubts:
    """The doubts about the listing. The lock guards both tables; no callback is called while it is held."""

    def __init__(self) -> None:
        """Start without a doubt."""
        self._lock = threading.Lock()
        self._since: dict[int, float] = {}
        """When the store disagreed with the listing, on the aging clock, by resource id."""
        self._waiting: list[tuple[int, OnSettled]] = []
        """The callbacks, and the id of the resource that each waits for."""

    def __contains__(self, resource_id: int) -> bool:
        """Whether the store disagreed with the listing about a resource since the last listing."""
        return resource_id in self._since

    @property
    def is_waited_for(self) -> bool:
        """Whether a callback waits for a listing."""
        return bool(self._waiting)

    def add(self, resource_id: int) -> None:
        """Record that the store disagrees with the listing about a resource."""
        with self._lock:
            self._since[resource_id] = aging_clock()

    def wait(self, resource_id: int, call: OnSettled) -> None:
        """Have `call` called by `settle` or `give_up`."""
        with self._lock:
            self._waiting.append((resource_id, call))

    def drop_before(self, asked_at: float) -> None:
        """Drop the doubts that are older than a listing, which was requested at `asked_at` (aging clock)."""
        with self._lock:
            self._since = {each: since for each, since in self._since.items() if since > asked_at}

    def settle(self) -> None:
        """Call the callbacks of the resources about which there is no doubt."""
        with self._lock:
            settled = [call for resource_id, call in self._waiting if resource_id not in self._since]
            self._waiting = [each for each in self._waiting if each[0] in self._since]
        for call in settled:
            call()

    def give_up(self) -> None:
        """Call all callbacks: no listing is on its way."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for _, call in waiting:
            call()
