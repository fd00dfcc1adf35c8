"""A content that comes whole, from a server that knows no ranges, and whether there is room to keep it."""

from empirical_fs.errors import EmpiricalError, SpoolFailed
from empirical_fs.reading.content import Content
from empirical_fs.reading.part import OnHere, Part


class Download:
    """The whole of one content, while there is one. Not safe between threads; its owner serialises."""

    def __init__(self, content: Content) -> None:
        """Nothing is being downloaded."""
        self._content = content
        self._whole: Part | None = None
        self._failure: EmpiricalError | None = None

    @property
    def whole(self) -> Part | None:
        """All of the content, as it arrives; None where it comes in parts, or did not come."""
        return self._whole

    @property
    def failure(self) -> EmpiricalError | None:
        """Why the last download failed; None where it has not."""
        return self._failure if self._whole is None else self._whole.failure

    def begin(self, whole: Part) -> None:
        """Take `whole` for what is being downloaded from now on."""
        self._whole, self._failure = whole, None

    def check_room(self) -> None:
        """Fetch nothing again that could not be kept, as long as there is no room.

        Raises:
            SpoolFailed: there is none.
        """
        if self._whole is None:
            self._content.room.check()

    def take_room(self) -> None:
        """See whether there is room for a new download.

        Raises:
            SpoolFailed: there is none.
        """
        if self._whole is None:
            self._content.room.take(self._content.size)

    def drop_failed(self) -> None:
        """Give back the disk that a download took which failed."""
        if self._whole is None or self._whole.failure is None:
            return
        whole, self._failure = self._whole, self._whole.failure
        self._whole = None
        whole.drop()
        if isinstance(self._failure, SpoolFailed):
            self._content.room.failed(self._content.size)

    def clear(self) -> list[OnHere]:
        """Drop it; who waits for some of it is to be told, by the caller."""
        whole, self._whole = self._whole, None
        return [] if whole is None else whole.drop()
