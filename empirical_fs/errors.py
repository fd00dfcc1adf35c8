"""All errors of this package, as a tree of exceptions.

    EmpiricalError
    ├── SetupError            the command line, the key file or the machine does not allow a mount
    │   └── UsageError        an option has an invalid value
    ├── NoSuchFile            the snapshot has no file of that name
    ├── DeadlinePassed        the time that a caller may wait is over
    ├── ConnectionAborted     the kernel has ended a mount that nobody unmounted
    ├── Closing               the file system is being unmounted
    ├── SpoolFailed           no room for a file from a server that ignores ranges
    ├── NoThread              the system cannot start another thread
    ├── NoMemory              the system has no more memory
    ├── Abandoned             the program that made the request does not wait for it any more
    │   └── Interrupted       it handles a signal, and may make the request again
    ├── OutOfReach            the server did not answer earlier requests, so this one was not sent
    ├── Unavailable           no answer, or one that asks to retry later: the base of the two below
    ├── ApiError
    │   ├── ApiUnavailable    no answer, or 429 or 5xx: worth a retry
    │   ├── KeyRefused        the API does not accept the key
    │   ├── ResourceGone      the API has no resource of that id
    │   └── NotTheApi         the answer is not one of the Empirical API
    │       └── Foreign       it is not even similar: from another server, or something in between
    └── StoreError
        ├── StoreUnavailable  no answer, a body that broke off, 429 or 5xx: worth a retry
        ├── UrlRefused        the store does not accept the signed URL
        ├── UnsafeUrl         a URL that must not be fetched
        ├── BadAnswer         an unusable answer: worth a few retries
        │   ├── TooManyRedirects
        │   └── OtherLength   of another length than listed: the new content of the object, or a web page
        └── ContentChanged    the object is not the one that the program opened

Only the messages are for people: they say what happened, and `advice` says what to do about it; `str` of an
error has both in one line. Code looks only at the classes and their attributes: `errnos.py` maps the
classes to errno in one table. No message and no advice has a key or a signed URL in it.
"""

from dataclasses import dataclass

from empirical_fs.server import Server


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happened, and what to do about it."""

    what: str
    advice: str | None = None
    """What to do, or another possible cause; None if neither is known."""

    def __str__(self) -> str:
        """Both, in one line for people."""
        return self.what if self.advice is None else f"{self.what}; {self.advice}"


class EmpiricalError(Exception):
    """The base of every error that this package raises on purpose."""

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
        """What to do about it; None if that is not known."""
        return self.trouble.advice


class SetupError(EmpiricalError):
    """The mount cannot start."""


class UsageError(SetupError):
    """An option has an invalid value; the message names it."""


class NoSuchFile(EmpiricalError):
    """The snapshot has no file of that name."""


class DeadlinePassed(EmpiricalError):
    """The time that a caller may wait is over."""


class ConnectionAborted(EmpiricalError):
    """The kernel has ended the mount, although nobody has unmounted it."""


class Closing(EmpiricalError):
    """The file system is being unmounted, so nothing new is fetched."""


class SpoolFailed(EmpiricalError):
    """A file from a server that ignores ranges could not be stored on the local disk."""


class NoThread(EmpiricalError):
    """The system cannot start another thread just now."""

    def __init__(self) -> None:
        """Name the limits that may be the cause."""
        super().__init__(
            "the system has no thread to spare", advice="see ulimit -u, -d and -v, or TasksMax of systemd"
        )


class NoMemory(EmpiricalError):
    """The system has no more memory just now."""

    def __init__(self) -> None:
        """Name the limits that may be the cause."""
        super().__init__(
            "the system has no memory to spare",
            advice="see ulimit -v and -d, the container's limit, or --memory",
        )


class Abandoned(EmpiricalError):
    """The program that made the request does not wait any more: it was interrupted, or has ended."""


class Interrupted(Abandoned):
    """The program that made the request handles a signal, and may make the same request again."""


class OutOfReach(EmpiricalError):
    """The server did not answer earlier requests in time, so this request was not sent."""

    def __init__(self, host: str) -> None:
        """Keep the host name of the server."""
        super().__init__(f"{host} is out of reach")
        self.host = host


class Unavailable(EmpiricalError):
    """A server gave no answer, or one that asks to retry later.

    `retry_after` is in seconds. `silent` is the server if it sent nothing at all, not even the head of an
    answer. `lasting` tells that the cause will not go away soon, so that retries are in vain.
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
        """Keep what happened, and after how many seconds the server asks for a retry."""
        super().__init__(what, advice=advice)
        self.retry_after = retry_after
        self.silent = silent
        self.lasting = lasting


class ApiError(EmpiricalError):
    """A request to the Empirical API failed."""


class ApiUnavailable(ApiError, Unavailable):
    """The API gave no answer, or one that asks to retry later."""


class KeyRefused(ApiError):
    """The API does not accept the key (401 or 403)."""

    def __init__(self, status: int) -> None:
        """Keep the HTTP status of the refusal."""
        super().__init__(f"the API refused the key (HTTP {status})")
        self.status = status


class ResourceGone(ApiError):
    """The API has no resource of that id."""

    def __init__(self, resource_id: int) -> None:
        """Keep the id of the request."""
        super().__init__(f"resource {resource_id} is gone")
        self.resource_id = resource_id


class NotTheApi(ApiError):
    """The answer is not one of the Empirical API."""


class Foreign(NotTheApi):
    """The answer is from another server, or from something in between, such as a proxy."""


class StoreError(EmpiricalError):
    """A request to the object store failed."""


class StoreUnavailable(StoreError, Unavailable):
    """The store gave no answer, an incomplete one, or one that asks to retry later."""


class UrlRefused(StoreError):
    """The store does not accept the signed URL, or has no object for it.

    `is_from_intermediary` tells that the answer is a web page, which may be from something in between.
    """

    def __init__(self, status: int, *, is_from_intermediary: bool = False) -> None:
        """Keep the HTTP status of the refusal."""
        super().__init__(f"the store refused the signed URL (HTTP {status})")
        self.status = status
        self.is_from_intermediary = is_from_intermediary


class UnsafeUrl(StoreError):
    """A URL that must not be fetched; the message gives the reason and never the URL."""


class BadAnswer(StoreError):
    """An answer of the store that does not fit the request, or does not show that it is of the object."""


class TooManyRedirects(BadAnswer):
    """More redirects than we follow: they may never end."""


class OtherLength(BadAnswer):
    """A whole body of another length than in the listing, which does not show that it is the object."""

    def __init__(self, found: int | None, listed: int | None) -> None:
        """Name both lengths: of the answer, and in the listing; in bytes."""
        super().__init__(
            f"the store sent something of {found} bytes, which may be a web page: the listing says {listed}"
        )


class ContentChanged(StoreError):
    """The object is not, or no longer, the one that the program opened."""
