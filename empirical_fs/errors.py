"""Everything that can go wrong, as data.

    EmpiricalError
    ├── SetupError            the command line, the key file or the machine is not as it must be
    │   └── UsageError        an option has a value that it cannot have
    ├── NoSuchFile            no file of that name in the snapshot
    ├── DeadlinePassed        the time that a caller may wait is over
    ├── ConnectionAborted     the kernel has ended a mount that nobody unmounted
    ├── Closing               the file system is being unmounted
    ├── SpoolFailed           no room for a file from a server without ranges
    ├── NoThread              the system has no thread to spare
    ├── NoMemory              the system has no memory to spare
    ├── Abandoned             whoever asked does not wait any more
    │   └── Interrupted       and handles a signal: it may ask again
    ├── OutOfReach            a server that did not answer others before, so it was not asked
    ├── Unavailable           no answer, or one that asks to come again: the base of the two below
    ├── ApiError
    │   ├── ApiUnavailable    no answer, or 429 or 5xx: worth asking again
    │   ├── KeyRefused        the API does not accept the key
    │   ├── ResourceGone      the API knows no such resource
    │   └── NotTheApi         what answered does not speak as the Empirical API does
    │       └── Foreign       it does not even try to: another server, or something in between
    └── StoreError
        ├── StoreUnavailable  no answer, a body that broke off, 429 or 5xx: worth asking again
        ├── UrlRefused        the store does not accept the signed URL
        ├── UnsafeUrl         a URL that must not be fetched
        ├── BadAnswer         an answer that is of no use: worth asking again, a few times
        │   ├── TooManyRedirects
        │   └── OtherLength   one of another length, which may be the object by now, or some page
        └── ContentChanged    the object is not the one that the reader opened

Only the messages are for people: they say what happened, and `advice` says what to do about it. `str` of an
error is the line that has both. `fuse/errnos.py` maps the classes to errno in one table. No message and no
advice holds a key or a signed URL.
"""

from dataclasses import dataclass

from empirical_fs.server import Server


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happened, and what to do about it."""

    what: str
    advice: str | None = None
    """What to do, or what else it may be; None where nobody can say."""

    def __str__(self) -> str:
        """Both in the line that people read."""
        return self.what if self.advice is None else f"{self.what}; {self.advice}"


class EmpiricalError(Exception):
    """The root of every error that this package raises on purpose."""

    def __init__(self, what: str | Trouble = "", *, advice: str | None = None) -> None:
        """Say what happened, and what to do about it."""
        super().__init__(what if isinstance(what, Trouble) else Trouble(what, advice))

    @property
    def trouble(self) -> Trouble:
        """What happened, and what to do about it."""
        trouble: Trouble = self.args[0]
        return trouble

    @property
    def what(self) -> str:
        """What happened."""
        return self.trouble.what

    @property
    def advice(self) -> str | None:
        """What to do about it; None where who raised it cannot say."""
        return self.trouble.advice


class SetupError(EmpiricalError):
    """The mount cannot start."""


class UsageError(SetupError):
    """An option has a value that it cannot have; the message says which."""


class NoSuchFile(EmpiricalError):
    """The snapshot has no file of that name."""


class DeadlinePassed(EmpiricalError):
    """The time that a caller may wait is over."""


class ConnectionAborted(EmpiricalError):
    """The kernel has ended the mount, which nobody has unmounted."""


class Closing(EmpiricalError):
    """The file system is being unmounted, so nothing new is fetched."""


class SpoolFailed(EmpiricalError):
    """A file from a server without ranges could not be kept on the local disk."""


class NoThread(EmpiricalError):
    """The system has no thread to spare, just now."""

    def __init__(self) -> None:
        """Say what may help."""
        super().__init__(
            "the system has no thread to spare", advice="see ulimit -u, -d and -v, or TasksMax of systemd"
        )


class NoMemory(EmpiricalError):
    """The system has no memory to spare, just now."""

    def __init__(self) -> None:
        """Say what may help."""
        super().__init__(
            "the system has no memory to spare",
            advice="see ulimit -v and -d, the container's limit, or --memory",
        )


class Abandoned(EmpiricalError):
    """Whoever asked does not wait any more: it was interrupted, or is gone."""


class Interrupted(Abandoned):
    """Whoever asked handles a signal, and may ask for the same again."""


class OutOfReach(EmpiricalError):
    """A server did not answer others for as long as one may wait, so it was not asked."""

    def __init__(self, host: str) -> None:
        """Keep the name of the server's host."""
        super().__init__(f"{host} is out of reach")
        self.host = host


class Unavailable(EmpiricalError):
    """A server gave no answer, or one that asks to come again.

    `retry_after` is in seconds; `silent` is the server if nothing at all came, not even the head of an
    answer; `lasting`, whether it will not be otherwise in a moment, so that asking again is in vain.
    """

    def __init__(
        self,
        what: str | Trouble,
        retry_after: float | None = None,
        *,
        advice: str | None = None,
        silent: Server | None = None,
        lasting: bool = False,
    ) -> None:
        """Say what happened, and when the server asks to be called again."""
        super().__init__(what, advice=advice)
        self.retry_after = retry_after
        self.silent = silent
        self.lasting = lasting


class ApiError(EmpiricalError):
    """A request to the Empirical API failed."""


class ApiUnavailable(ApiError, Unavailable):
    """The API gave no answer, or one that asks to come again."""


class KeyRefused(ApiError):
    """The API does not accept the key (401 or 403)."""

    def __init__(self, status: int) -> None:
        """Keep the HTTP status of the refusal."""
        super().__init__(f"the API refused the key (HTTP {status})")
        self.status = status


class ResourceGone(ApiError):
    """The API knows no resource of that id."""

    def __init__(self, resource_id: int) -> None:
        """Keep the id that was asked for."""
        super().__init__(f"resource {resource_id} is gone")
        self.resource_id = resource_id


class NotTheApi(ApiError):
    """What answered does not speak as the Empirical API does."""


class Foreign(NotTheApi):
    """What answered is no part of the API: another server, or something in between."""


class StoreError(EmpiricalError):
    """A request to the object store failed."""


class StoreUnavailable(StoreError, Unavailable):
    """The store gave no whole answer."""


class UrlRefused(StoreError):
    """The store does not accept the signed URL, or finds nothing behind it.

    `is_of_another` tells whether it may be something in between that says so, by a web page.
    """

    def __init__(self, status: int, *, is_of_another: bool = False) -> None:
        """Keep the HTTP status of the refusal."""
        super().__init__(f"the store refused the signed URL (HTTP {status})")
        self.status = status
        self.is_of_another = is_of_another


class UnsafeUrl(StoreError):
    """A URL that must not be fetched; the message gives the reason and never the URL."""


class BadAnswer(StoreError):
    """An answer of the store that does not fit the request, or cannot be tied to the object."""


class TooManyRedirects(BadAnswer):
    """Redirects that may go on forever."""


class OtherLength(BadAnswer):
    """A whole of another length than the listing says, and nothing that says what it is of."""

    def __init__(self, found: int | None, listed: int | None) -> None:
        """Say how many bytes came, and how many the listing says."""
        super().__init__(
            f"the store sent something of {found} bytes, which may be a web page: the listing says {listed}"
        )


class ContentChanged(StoreError):
    """The object is not, or no longer, the one that the reader opened."""
