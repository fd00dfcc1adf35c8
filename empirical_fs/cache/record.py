"""The format of a record: what a version is of, and a checksum for each of its blocks. No I/O.

    offset  bytes
    0       8     magic
    8       4     format number
    12      4     CRC-32 of the 12 bytes before
    16            the origin, sealed: what the record is of; never changed
    1024          a note, sealed: the validators, and how the listing describes the version
    2560          another note: the one with the higher generation counts, so that a torn one does no harm
    4096          8 bytes for each block: its checksum, or 0 if the block is absent

Numbers are little-endian. Sealed: the length in 4 bytes, that many bytes of MessagePack, and 8 bytes of their
checksum. The checksum is XXH3 of 64 bits, seeded with the resource, the version, a random number that ties
the record to its data file, and the place.
"""

import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum, auto
from hashlib import blake2b

import msgspec
from xxhash import xxh3_64_intdigest

from empirical_fs.cache.keys import Identity, Listed

BLOCK = 64 * 2**10
"""Bytes in a block; the last one of a version may be shorter."""
HEADER = 4096
"""Bytes before the first checksum."""
ENTRY = 8
"""Bytes of a checksum."""
ABSENT = 0
LARGEST = 2**43
"""Bytes of the largest object that is cached: ext4 ends at twice that."""

_MAGIC = b"EMPcache"
FORMAT = 1
_PREFIX = struct.Struct("<8sII")
_LENGTH = struct.Struct("<I")
_CHECKSUM = struct.Struct("<Q")
_ORIGIN_AT, _ORIGIN_END = _PREFIX.size, 1024
_NOTES_AT = (1024, 2560)
_NOTE_ROOM = 1536
_MASK = 2**64 - 1
_ODD = 0x9E3779B97F4A7C15
"""Spreads consecutive block numbers over the seeds."""


class Unusable(Enum):
    """Why a record cannot be used."""

    DAMAGED = auto()
    UNKNOWN_FORMAT = auto()
    """It was made by another release of this program."""


class TooLong(ValueError):
    """The validators are too long for a record."""


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """What a record is of."""

    resource: str
    """The digest of the resource's key."""
    size: int
    etag: str | None
    updated_ns: int
    nonce: str
    """Ties the record to its data file; hexadecimal."""

    @property
    def identity(self) -> Identity:
        """The identity of the version when the record was made."""
        return Identity(self.size, self.etag, self.updated_ns)

    @property
    def is_sane(self) -> bool:
        """Whether the size and the nonce can be used as they are."""
        return 0 <= self.size <= LARGEST and self.nonce.isascii() and self.nonce.isalnum()

    @property
    def seed(self) -> int:
        """The seed of the checksums of all blocks."""
        text = f"{self.resource} {self.identity.digest} {self.nonce}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What may change about a version."""

    generation: int = 0
    etag: str | None = None
    version_id: str | None = None
    last_modified: str | None = None
    listed_size: int | None = None
    listed_updated_ns: int | None = None
    noted_ns: int = 0
    """When the listing was seen, in ns since the epoch."""

    @property
    def validators(self) -> dict[str, str | None]:
        """The validators that the store sent with the bytes."""
        return {"etag": self.etag, "version_id": self.version_id, "last_modified": self.last_modified}

    @property
    def listed(self) -> Listed | None:
        """How the listing described the version last; None if nobody has said."""
        if self.listed_size is None or self.listed_updated_ns is None:
            return None
        return Listed(self.listed_size, self.listed_updated_ns)

    def fits(self, validators: Mapping[str, str | None]) -> bool:
        """Whether no validator here differs from the one of that kind in `validators`."""
        for kind, ours in self.validators.items():
            theirs = validators.get(kind)
            # A proxy may mark a tag as weak or not; it is the same tag (RFC 9110, 8.8.3.2).
            if None not in (ours, theirs) and _opaque(ours) != _opaque(theirs):
                return False
        return True

    def with_validators(self, validators: Mapping[str, str | None]) -> "Note":
        """The same with the validators of a later answer, where it has them."""
        merged = {kind: validators.get(kind) or ours for kind, ours in self.validators.items()}
        return msgspec.structs.replace(self, **merged)

    def with_listed(self, listed: Listed, now_ns: int) -> "Note":
        """The same, described by the listing as `listed` at `now_ns`."""
        return msgspec.structs.replace(
            self,
            listed_size=listed.size,
            listed_updated_ns=listed.updated_ns,
            noted_ns=max(now_ns, self.noted_ns + 1),
        )


_ORIGIN = msgspec.msgpack.Decoder(Origin)
_NOTE = msgspec.msgpack.Decoder(Note)


def count_blocks(size: int) -> int:
    """The number of blocks of an object of `size` bytes."""
    return -(-size // BLOCK)


def block_size(size: int, block: int) -> int:
    """The bytes in a block of an object of `size` bytes; 0 past its end."""
    return max(min(BLOCK, size - block * BLOCK), 0)


def checksum(data: bytes | bytearray | memoryview, seed: int, block: int) -> int:
    """The checksum of a block; never ABSENT."""
    return xxh3_64_intdigest(data, (seed + block * _ODD) & _MASK) or 1


def encode_header(origin: Origin, note: Note) -> bytes:
    """The first HEADER bytes of a new record.

    Raises:
        TooLong: the validators do not fit.
    """
    header = bytearray(HEADER)
    prefix = _PREFIX.pack(_MAGIC, FORMAT, 0)[:-4]
    header[:_ORIGIN_AT] = prefix + zlib.crc32(prefix).to_bytes(4, "little")
    sealed = _seal(msgspec.msgpack.encode(origin), _ORIGIN_END - _ORIGIN_AT, 0)
    header[_ORIGIN_AT : _ORIGIN_AT + len(sealed)] = sealed
    at, sealed = encode_note(origin, note)
    header[at : at + len(sealed)] = sealed
    return bytes(header)


def encode_note(origin: Origin, note: Note) -> tuple[int, bytes]:
    """The offset in the record at which the note stands, and its bytes.

    Raises:
        TooLong: the validators do not fit.
    """
    return (
        _NOTES_AT[note.generation % len(_NOTES_AT)],
        _seal(msgspec.msgpack.encode(note), _NOTE_ROOM, origin.seed),
    )


def decode_header(header: bytes, resource: str, version: str) -> tuple[Origin, Note] | Unusable:
    """What the first bytes of a record say, if they are of that resource and version (digests)."""
    if len(header) < HEADER:
        return Unusable.DAMAGED
    magic, number, check = _PREFIX.unpack_from(header)
    if magic != _MAGIC or check != zlib.crc32(header[: _PREFIX.size - 4]):
        return Unusable.DAMAGED
    if number != FORMAT:
        return Unusable.UNKNOWN_FORMAT
    try:
        origin = _ORIGIN.decode(_unseal(header[_ORIGIN_AT:_ORIGIN_END], 0))
    except (msgspec.DecodeError, ValueError):
        return Unusable.DAMAGED
    if (origin.resource, origin.identity.digest) != (resource, version) or not origin.is_sane:
        return Unusable.DAMAGED
    note = max(_notes(header, origin.seed), key=lambda each: each.generation, default=None)
    return Unusable.DAMAGED if note is None else (origin, note)


def _notes(header: bytes, seed: int) -> Iterator[Note]:
    for at in _NOTES_AT:
        with suppress(msgspec.DecodeError, ValueError):
            yield _NOTE.decode(_unseal(header[at : at + _NOTE_ROOM], seed))


def encode_entries(checksums: list[int]) -> bytes:
    """The bytes of consecutive checksums."""
    return _swapped(array("Q", checksums)).tobytes()


def decode_entries(data: bytes | bytearray, count: int) -> "array[int]":
    """The `count` checksums in `data`; those that it lacks are ABSENT."""
    entries = array("Q", bytes(data[: len(data) // ENTRY * ENTRY]))
    entries.extend([ABSENT] * (count - len(entries)))
    return _swapped(entries)


def _swapped(entries: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        entries.byteswap()
    return entries


def _seal(payload: bytes, room: int, seed: int) -> bytes:
    sealed = _LENGTH.pack(len(payload)) + payload
    sealed += _CHECKSUM.pack(xxh3_64_intdigest(sealed, seed))
    if len(sealed) > room:
        raise TooLong
    return sealed


def _unseal(region: bytes, seed: int) -> bytes:
    """The payload of a sealed region; ValueError if it is damaged."""
    (length,) = _LENGTH.unpack_from(region)
    end = _LENGTH.size + length
    if end + _CHECKSUM.size > len(region):
        raise ValueError("too long")
    (found,) = _CHECKSUM.unpack_from(region, end)
    if found != xxh3_64_intdigest(region[:end], seed):
        raise ValueError("damaged")
    return region[_LENGTH.size : end]


def _opaque(etag: str | None) -> str | None:
    return None if etag is None else etag.removeprefix("W/")
