"""The download of a whole content from a server without ranges, and whether the disk has room for it."""

from empirical_fs.errors import EmpiricalError, SpoolFailed
from empirical_fs.reading.content import Content
from empirical_fs.reading.part import OnHere, Part


class Download:
    """The download of one whole content, if any. Not thread-safe; the owner serialises calls."""

    def __init__(self, content: Content) -> None:
        """Begin without a download."""
        self._content = content
        self._whole: Part | None = None
        self._failure: EmpiricalError | None = None

    @property
    def whole(self) -> Part | None:
        """The whole content as one part; None if it is fetched by ranges, or its download failed."""
        return self._whole

    @property
    def failure(self) -> EmpiricalError | None:
        """Why the last download failed; None if it has not."""
        return self._failure if self._whole is None else self._whole.failure

    def begin(self, whole: Part) -> None:
        """Begin a download into the part `whole`."""
        self._whole, self._failure = whole, None

    def check_room(self) -> None:
        """Return if a fetch may begin: no earlier download failed for lack of space, or there is room now.

        Raises:
            SpoolFailed: there is still no room.
        """
        if self._whole is None:
            self._content.spool_space.check()

    def take_room(self) -> None:
        """Return if the disk has room for a new download.

        Raises:
            SpoolFailed: there is no room.
        """
        if self._whole is None:
            self._content.spool_space.take(self._content.size)

    def drop_failed(self) -> None:
        """Release the disk space of a download that has failed."""
        if self._whole is None or self._whole.failure is None:
            return
        whole, self._failure = self._whole, self._whole.failure
        self._whole = None
        whole.drop()
        if isinstance(self._failure, SpoolFailed):
            self._content.spool_space.failed(self._content.size)

    def clear(self) -> list[OnHere]:
        """Drop the download; the caller must call the returned functions, which belong to waiting reads."""
        whole, self._whole = self._whole, None
        return [] if whole is None else whole.drop()
