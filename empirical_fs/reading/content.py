"""The identity of what is read: one version of the bytes of one resource."""

import threading

from empirical_fs.errors import ContentChanged
from empirical_fs.resource import Resource


class Content:
    """One version of a resource's bytes; two objects are two versions, whatever they have in common.

    The lock guards the ETag and whether the version is known to be over.
    """

    def __init__(self, resource: Resource, size: int) -> None:
        """The version that a listing describes, of `size` bytes."""
        self.resource_id = resource.id
        self.size = size
        self._updated_ns = resource.updated_ns
        self._listed_size = resource.size
        self._lock = threading.Lock()
        self._etag: str | None = None
        self._over = False

    @property
    def etag(self) -> str | None:
        """The ETag of the first answer; None before it, and where the store sends none."""
        return self._etag

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that this version is no longer there."""
        return self._over

    def is_as_listed(self, resource: Resource) -> bool:
        """Whether `resource` describes this version and the store has not shown otherwise."""
        same = (self._updated_ns, self._listed_size) == (resource.updated_ns, resource.size)
        return same and not self._over

    def end(self) -> None:
        """Note that this version is no longer there."""
        with self._lock:
            self._over = True

    def learn(self, etag: str | None) -> None:
        """Take the ETag of an answer.

        Raises:
            ContentChanged: it is not that of the answers before; two first answers raced.
        """
        with self._lock:
            if self._etag is None:
                self._etag = etag
            elif etag not in (None, self._etag):
                self._over = True
                raise ContentChanged("the object has another ETag than before")
