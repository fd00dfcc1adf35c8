"""What identifies a resource, and what tells one version of it from others. No I/O."""

from dataclasses import dataclass
from hashlib import blake2b

_DIGEST_BYTES = 16
_WEAK = "W/"


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """A resource of one project of one API."""

    origin: str
    """Scheme, host and port of the API."""
    project: str
    """What tells projects of one API apart."""
    resource_id: int

    @property
    def digest(self) -> str:
        """32 hexadecimal digits, used in file names: nothing can be read from them."""
        return _digest("resource", self.origin, self.project, str(self.resource_id))


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one version of a resource from others."""

    size: int
    """In bytes."""
    etag: str | None
    """The strong ETag, as the store sent it; None without one."""
    updated_ns: int
    """When the listing says that the resource was changed, in ns since the epoch."""

    @property
    def is_strong(self) -> bool:
        """Whether equal digests mean equal bytes, whatever other validators say."""
        return self.etag is not None and not self.etag.startswith(_WEAK)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits: of the size and the strong ETag, or without one of the size and the date."""
        if self.is_strong:
            return _digest("etag", str(self.size), self.etag or "")
        return _digest("date", str(self.size), str(self.updated_ns))


@dataclass(frozen=True, slots=True)
class Listed:
    """How the listing describes a resource."""

    size: int
    """In bytes."""
    updated_ns: int
    """In ns since the epoch."""


def _digest(*parts: str) -> str:
    hashed = blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        # The length comes first, so that no two lists of parts give the same bytes.
        hashed.update(len(encoded).to_bytes(8, "little") + encoded)
    return hashed.hexdigest()
