"""The format of a record: what was written can be read, and nothing else is taken for it."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.cache.keys import Identity, Listed
from empirical_fs.cache.record import (
    BLOCK,
    HEADER,
    Note,
    Origin,
    TooLong,
    Unusable,
    block_size,
    checksum,
    count_blocks,
    decode_entries,
    decode_header,
    encode_entries,
    encode_header,
    encode_note,
)

IDENTITY = Identity(3 * BLOCK + 1, '"tag"', 5)
ORIGIN = Origin("r" * 32, IDENTITY.size, IDENTITY.etag, IDENTITY.updated_ns, "abc")
NOTE = Note(etag='"tag"', last_modified="Mon, 01 Jan 2024 00:00:00 GMT").with_listed(Listed(1, 2), 3)


def decoded(header: bytes) -> tuple[Origin, Note] | Unusable:
    return decode_header(header, ORIGIN.resource, IDENTITY.digest)


def test_a_header_says_what_was_written() -> None:
    header = encode_header(ORIGIN, NOTE)
    assert len(header) == HEADER
    assert decoded(header) == (ORIGIN, NOTE)
    assert NOTE.listed == Listed(1, 2)
    assert ORIGIN.identity == IDENTITY


@given(st.integers(0, 8 * HEADER - 1))
def test_a_flipped_bit_changes_nothing_or_makes_the_header_unusable(bit: int) -> None:
    header = bytearray(encode_header(ORIGIN, NOTE))
    header[bit // 8] ^= 1 << bit % 8
    assert decoded(bytes(header)) in ((ORIGIN, NOTE), Unusable.DAMAGED)


def test_every_byte_of_what_is_sealed_counts() -> None:
    plain = encode_header(ORIGIN, NOTE)
    used = [at for at in range(HEADER) if plain[at]]
    assert len(used) > 100
    for at in used:
        header = bytearray(plain)
        header[at] ^= 0x10
        assert decoded(bytes(header)) is Unusable.DAMAGED


@given(st.integers(0, HEADER - 1))
def test_a_truncated_header_is_damaged(size: int) -> None:
    assert decoded(encode_header(ORIGIN, NOTE)[:size]) is Unusable.DAMAGED


def test_a_format_of_another_release_is_told_apart_from_damage() -> None:
    header = bytearray(encode_header(ORIGIN, NOTE))
    header[8] = 2
    assert decoded(bytes(header)) is Unusable.DAMAGED
    header[12:16] = zlib.crc32(header[:12]).to_bytes(4, "little")
    assert decoded(bytes(header)) is Unusable.UNKNOWN_FORMAT


def test_a_record_under_another_name_is_not_used() -> None:
    header = encode_header(ORIGIN, NOTE)
    assert decode_header(header, "s" * 32, IDENTITY.digest) is Unusable.DAMAGED
    assert decode_header(header, ORIGIN.resource, Identity(1, None, 1).digest) is Unusable.DAMAGED


def test_a_torn_note_leaves_the_one_before() -> None:
    header = bytearray(encode_header(ORIGIN, NOTE))
    later = NOTE.with_listed(Listed(8, 9), 4)
    later = Note(**{**{f: getattr(later, f) for f in later.__struct_fields__}, "generation": 1})
    at, sealed = encode_note(ORIGIN, later)
    for cut in (0, 1, len(sealed) // 2, len(sealed) - 1):
        torn = bytearray(header)
        torn[at : at + cut] = sealed[:cut]
        assert decoded(bytes(torn)) == (ORIGIN, NOTE)
    header[at : at + len(sealed)] = sealed
    assert decoded(bytes(header)) == (ORIGIN, later)


def test_validators_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TooLong):
        encode_note(ORIGIN, Note(etag="x" * 2000))
    with pytest.raises(TooLong):
        encode_header(Origin("r" * 32, 1, "x" * 2000, 1, "abc"), Note())


def test_a_nonce_that_is_no_plain_name_is_not_used() -> None:
    origin = Origin(ORIGIN.resource, IDENTITY.size, IDENTITY.etag, IDENTITY.updated_ns, "../x")
    assert decoded(encode_header(origin, NOTE)) is Unusable.DAMAGED


def test_the_checksum_of_a_block_depends_on_its_place_and_its_version() -> None:
    data = b"x" * BLOCK
    other = Origin("s" * 32, IDENTITY.size, IDENTITY.etag, IDENTITY.updated_ns, "abc")
    again = Origin(ORIGIN.resource, IDENTITY.size, IDENTITY.etag, IDENTITY.updated_ns, "abd")
    sums = {checksum(data, origin.seed, block) for origin in (ORIGIN, other, again) for block in range(3)}
    assert len(sums) == 9


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(0, 5))
def test_entries_are_read_as_they_were_written_and_those_that_are_missing_are_absent(
    checksums: list[int], missing: int
) -> None:
    data = encode_entries(checksums)
    assert decode_entries(data, len(checksums) + missing).tolist() == checksums + [0] * missing


@given(st.integers(0, 5 * BLOCK))
def test_blocks_add_up_to_the_object(size: int) -> None:
    assert sum(block_size(size, block) for block in range(count_blocks(size))) == size
    assert block_size(size, count_blocks(size)) == 0
