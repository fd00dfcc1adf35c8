"""The listing as one process hands it to others that read the same project, without signed URLs and keys."""

import logging
import lzma
from dataclasses import dataclass
from hashlib import blake2b

from empirical_fs.cache.listing_format import KeptListing, Unusable, decoded, encoded
from empirical_fs.engine.identity import origin_of, owner_of
from empirical_fs.settings.settings import ProjectSettings

_SIZE_MAX = 128 * 2**10
"""Bytes of a listing that is handed over: Dask sends them with each task. About 3,000 to 5,000 resources."""
_PLAIN_MAX = 16 * 2**20
_STORED = 0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandedListing:
    """A listing, ready to be sent."""

    listed_at: float
    """When it was requested, in seconds since the epoch."""
    content: bytes


def handed(listing: KeptListing, settings: ProjectSettings) -> HandedListing | None:
    """The listing, ready to be sent; None if it is too large for that."""
    plain = bytearray()
    for part in encoded(listing, _identity(settings), _STORED):
        plain += part
        if len(plain) > _PLAIN_MAX:
            return None
    content = lzma.compress(plain)
    return HandedListing(listing.listed_at, content) if len(content) <= _SIZE_MAX else None


def taken(sent: HandedListing, settings: ProjectSettings) -> KeptListing | None:
    """The listing that was sent; None if it is of another project, API or key, or of another release."""
    try:
        inflater = lzma.LZMADecompressor()
        plain = inflater.decompress(sent.content, _PLAIN_MAX)
        if not inflater.eof:
            raise Unusable("it is too large")
        return decoded(plain, _identity(settings))
    except (Unusable, lzma.LZMAError, EOFError) as error:
        log.debug("a listing of another process is not used: %s", error)
        return None


def _identity(settings: ProjectSettings) -> bytes:
    """What both processes must agree in; it is in the checksum, and cannot be read from it."""
    return blake2b(f"{origin_of(settings.api_url)}\0{owner_of(settings.key)}".encode()).digest()
