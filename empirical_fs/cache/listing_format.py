"""The format of a listing that is kept on disk: encodes and decodes it. Without I/O.

A file is a line with the format number, then sections, then a checksum (BLAKE2b, 32 bytes) of its identity
and of all before. A section is its length (4 bytes, little-endian), its kind (1 byte), and its content, which
is compressed by zlib. The identity tells for which API and key the listing is, so that a file by a wrong name
is refused.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec

from empirical_fs.api.last_good import Known
from empirical_fs.api.resource import Resource, restored
from empirical_fs.errors import EmpiricalError

_FORMAT = b"empirical-fs listing 1\n"
_CHECKSUM_BYTES = 32
_HEAD = struct.Struct("<Ic")
_HEADER, _RESOURCES, _ODD_RESOURCES, _SIZES, _MAKESHIFT = b"H", b"R", b"O", b"S", b"M"
_AT_ONCE = 256
"""Resources of one section: while one is encoded, no other thread runs, so it takes a millisecond at most."""
_SECTION_MAX = 64 * 2**20
"""Bytes of a section that was decompressed; a resource may have a long description."""
_QUICK = 1


class Unusable(EmpiricalError):
    """A file is no listing that can be used: it is damaged, of another format, or of another identity."""


class MeasuredSize(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The size of an upload by the store, where the API gives none."""

    resource_id: int
    updated_ns: int
    size: int
    is_final: bool
    """Whether it certainly belongs to the listed version."""


@dataclass(frozen=True, slots=True)
class KeptListing:
    """The last good listing, with what else the directory shows of it."""

    known: Known
    sizes: tuple[MeasuredSize, ...]
    listed_at: float
    """When it was requested: seconds since the epoch, by our clock."""
    server_time: float
    """The same by the server's clock."""


class _Header(msgspec.Struct):
    known: Known
    """Without the resources, which are in sections of their own."""
    listed_at: float
    server_time: float


def encoded(listing: KeptListing, identity: bytes, level: int = _QUICK) -> Iterator[bytes]:
    """The parts of the file, in order; each is made in about a millisecond. `level` is zlib's."""
    checksum = hashlib.blake2b(identity, digest_size=_CHECKSUM_BYTES)
    for part in _parts(listing, level):
        checksum.update(part)
        yield part
    yield checksum.digest()


def _parts(listing: KeptListing, level: int) -> Iterator[bytes]:
    yield _FORMAT
    bare = replace(listing.known, shown={}, makeshift=frozenset())
    header = _Header(bare, listing.listed_at, listing.server_time)
    yield from _section(_HEADER, msgspec.msgpack.encode(header), level)
    for kind, values in ((_SIZES, listing.sizes), (_MAKESHIFT, listing.known.makeshift)):
        for some in _batches(iter(values)):
            yield from _section(kind, msgspec.msgpack.encode(some), level)
    for resources in _batches(iter(listing.known.shown.values())):
        try:
            yield from _section(_RESOURCES, msgspec.msgpack.encode(resources), level)
        except (UnicodeEncodeError, OverflowError):
            # The API's JSON may hold unpaired surrogates and very long numbers, which only JSON can express.
            text = json.dumps(msgspec.to_builtins(resources), separators=(",", ":"))
            yield from _section(_ODD_RESOURCES, text.encode("ascii"), level)


def _section(kind: bytes, content: bytes, level: int) -> Iterator[bytes]:
    compressed = zlib.compress(content, level)
    yield _HEAD.pack(len(compressed), kind)
    yield compressed


def _batches(values: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(islice(values, _AT_ONCE)):
        yield some


def decoded(content: bytes, identity: bytes) -> KeptListing:
    """The listing that a file holds.

    Raises:
        Unusable: it is damaged, of another format, or of another identity.
    """
    if not content.startswith(_FORMAT):
        raise Unusable("it has another format")
    body, found = memoryview(content)[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    checksum = hashlib.blake2b(identity, digest_size=_CHECKSUM_BYTES)
    checksum.update(body)
    if checksum.digest() != found:
        raise Unusable("it is damaged")
    try:
        return _listing_of(body[len(_FORMAT) :])
    except (ValueError, msgspec.MsgspecError, struct.error, zlib.error, RecursionError) as error:
        raise Unusable("it has another format") from error


def _listing_of(body: memoryview) -> KeptListing:
    """The listing of these sections; raises one of several errors if they are not as they must be."""
    header: _Header | None = None
    shown: dict[int, Resource] = {}
    sizes: list[MeasuredSize] = []
    makeshift: set[int] = set()
    for kind, content in _sections(body):
        match kind:
            case b"H":
                header = msgspec.msgpack.decode(content, type=_Header)
            case b"S":
                sizes += msgspec.msgpack.decode(content, type=list[MeasuredSize])
            case b"M":
                makeshift.update(msgspec.msgpack.decode(content, type=list[int]))
            case b"R":
                shown |= _by_id(msgspec.msgpack.decode(content, type=list[Resource]))
            case b"O":
                shown |= _by_id(msgspec.convert(json.loads(content), list[Resource]))
            case _:
                raise ValueError("an unknown kind of section")
    if header is None:
        raise ValueError("no header")
    known = replace(header.known, shown=shown, makeshift=frozenset(makeshift))
    return KeptListing(known, tuple(sizes), header.listed_at, header.server_time)


def _sections(body: memoryview) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(body):
        length, kind = _HEAD.unpack_from(body, at)
        at += _HEAD.size
        inflater = zlib.decompressobj()
        content = inflater.decompress(body[at : at + length], _SECTION_MAX)
        if not inflater.eof:
            raise ValueError("a section that does not end")
        yield kind, content
        at += length


def _by_id(resources: list[Resource]) -> dict[int, Resource]:
    return {each.id: restored(each) for each in resources}
