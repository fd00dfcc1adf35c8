"""Notes which version on disk the listing means, also of files that were fetched when they were young."""

from collections.abc import Callable
from functools import partial

from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import LAG_SECONDS
from empirical_fs.cache.cached import Cached
from empirical_fs.errors import NoThread
from empirical_fs.reading.content import Content
from empirical_fs.reading.disk import Disk
from empirical_fs.reading.handle import nothing
from empirical_fs.reading.open_files import Readers
from empirical_fs.work.timer import Timer

Listed = Callable[[int], Resource | None]
"""Returns the resource with an id as the listing has it now; None if it has none."""


class YoungVersions:
    """Asks the store about them once more, when it can no longer lag behind the listing. It has no state."""

    def __init__(self, readers: Readers, disk: Disk, listed: Listed, timer: Timer) -> None:
        """Ask through `readers`; `listed` returns what the listing has now."""
        self._readers = readers
        self._disk = disk
        self._listed = listed
        self._timer = timer
        self._is_closed = False

    def close(self) -> None:
        """Ask nothing more."""
        self._is_closed = True

    def note_listed(self, resource: Resource, content: Content, cached: Cached) -> None:
        """Note which version the listing means, once the store can no longer lag behind the listing."""
        if content.has_settled:
            self._disk.note_listed(content, cached)
        else:
            self._timer.after(LAG_SECONDS, partial(self.confirm, resource, lambda: None))

    def confirm(self, resource: Resource, on_over: Callable[[], object]) -> None:
        """Ask the store whether it has the version that is on disk, as the one that the listing means.

        Calls `on_over` when it has answered, or will not.
        """
        if self._is_closed or self._listed(resource.id) != resource:
            on_over()
            return
        handle = self._readers.open(resource, nothing)
        content = handle.content

        def answered() -> None:
            cached = None if content.is_over else self._disk.cached(content)
            if cached is not None:
                self._disk.note_listed(content, cached)
            handle.close()
            on_over()

        try:
            self._readers.ask_again(content, answered)
        except NoThread:
            handle.close()
            on_over()
