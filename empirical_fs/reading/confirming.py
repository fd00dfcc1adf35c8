"""Asks the store, once a file was served from disk, whether it still has that version.

The listing shows that an object was replaced by another date or size. Where neither moves, or where the store
followed the listing too late, only the store's own validators show it. No read waits for this.
"""

import logging
import threading
import time
from collections.abc import Callable

from empirical_fs.errors import NoThread
from empirical_fs.reading.content import Content
from empirical_fs.work.timer import Timer

_AT_ONCE = 2
_GAP_SECONDS = 0.05
"""The least time between two questions: a walk of thousands of files causes 20 small requests a second."""
_WAITING_MAX = 4096
"""Files beyond that are asked about when they are read again: a long walk must not ask for hours."""
_SILENT_SECONDS, _SILENT_SECONDS_MAX = 5.0, 60.0
"""How long nobody is asked about after a question without an answer, at first and at most."""

log = logging.getLogger(__name__)

Ask = Callable[[Content, Callable[[], object]], object]
"""Asks the store about a content, and calls the function once it has answered, or will not.

It may raise NoThread.
"""
OnReplaced = Callable[[Content], object]
"""Called with a content that the store has no longer, by a thread that must not wait."""


class Unconfirmed:
    """Contents about which the store is to be asked, and when. Policy; not thread-safe.

    The one that was read last comes first: that is what the user looks at.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._waiting: dict[Content, None] = {}
        self._asked: set[Content] = set()
        self._not_before = float("-inf")
        self._silences = 0

    def add(self, content: Content) -> None:
        """Note that a content was served from disk."""
        if content in self._asked:
            return
        self._waiting.pop(content, None)
        self._waiting[content] = None
        if len(self._waiting) > _WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def due_in(self, now: float) -> float | None:
        """Seconds until the next one may be asked about; None if none is, before another answer."""
        if not self._waiting or len(self._asked) >= _AT_ONCE:
            return None
        return max(self._not_before - now, 0.0)

    def take(self, now: float) -> Content | None:
        """The next content to ask about, until `answered`; None if none needs an answer any more."""
        while self._waiting:
            content, _ = self._waiting.popitem()
            if not (content.is_confirmed or content.is_over):
                self._asked.add(content)
                self._not_before = now + _GAP_SECONDS
                return content
        return None

    def answered(self, content: Content, now: float) -> None:
        """Note that a question has ended; without an answer, it is asked again later."""
        self._asked.discard(content)
        if content.is_confirmed or content.is_over:
            self._silences = 0
            return
        pause = min(_SILENT_SECONDS * 2**self._silences, _SILENT_SECONDS_MAX)
        self._silences += 1
        self._not_before = now + pause
        self.add(content)


class Confirming:
    """Asks about what was served from disk. The lock guards what is to be asked about, and the alarm."""

    def __init__(self, timer: Timer, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing before `start`; `timer` tells when the next question is due, by `clock`."""
        self._timer = timer
        self._clock = clock
        self._lock = threading.Lock()
        self._unconfirmed = Unconfirmed()
        self._ask: Ask | None = None
        self._on_replaced: OnReplaced = lambda _: None
        self._is_alarmed = False

    def start(self, ask: Ask, on_replaced: OnReplaced) -> None:
        """Begin to ask, with `ask`."""
        self._ask, self._on_replaced = ask, on_replaced

    def close(self) -> None:
        """Ask nothing more."""
        self._ask = None

    def served(self, content: Content) -> None:
        """Note that bytes of a content come from disk; the store is asked about it soon, once."""
        if content.is_confirmed or self._ask is None:
            return
        with self._lock:
            self._unconfirmed.add(content)
        self._see_to_alarm()

    def _see_to_alarm(self) -> None:
        """Have the next question asked when it is due."""
        with self._lock:
            seconds = self._unconfirmed.due_in(self._clock())
            if seconds is None or self._is_alarmed:
                return
            self._is_alarmed = True
        self._timer.after(seconds, self._ask_next)

    def _ask_next(self) -> None:
        with self._lock:
            self._is_alarmed = False
            ask, content = self._ask, self._unconfirmed.take(self._clock())
        if ask is not None and content is not None:
            try:
                ask(content, lambda: self._answered(content))
            except NoThread as error:
                log.debug("the store is asked about resource %d later: %s", content.resource_id, error)
                self._answered(content)
        self._see_to_alarm()

    def _answered(self, content: Content) -> None:
        with self._lock:
            self._unconfirmed.answered(content, self._clock())
        if content.is_over:
            self._on_replaced(content)
        self._see_to_alarm()
