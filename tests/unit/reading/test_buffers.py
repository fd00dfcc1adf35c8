"""A buffer gives back what it took; memory is used again, and not hoarded."""

import warnings
from mmap import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.buffers import BLOCK, Blocks, Buffer, FileBuffer, MemoryBuffer, spool_place
from tests.support.harness import noise

SIZE = 2 * BLOCK + 12_345
CONTENT = noise(SIZE, 3)


def fill(buffer: Buffer, content: bytes, pieces: list[int]) -> None:
    """Put all of `content` into the buffer, in pieces of these lengths or as large as fit."""
    lengths, at = iter(pieces), 0
    while at < len(content):
        room = buffer.room(at)[: len(content) - at]
        assert len(room)
        count = min(next(lengths, len(room)), len(room))
        room[:count] = content[at : at + count]
        buffer.keep(at, count)
        at += count


def copied(buffer: Buffer, start: int, stop: int) -> bytes:
    return b"".join(buffer.pieces(start, stop))


@pytest.mark.parametrize("kind", ["memory", "file"])
@given(
    pieces=st.lists(st.integers(1, BLOCK), max_size=8),
    spans=st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=5),
)
def test_a_buffer_gives_back_what_it_took(kind: str, pieces: list[int], spans: list[tuple[int, int]]) -> None:
    """A buffer gives back any range of what it was filled with, in whatever pieces that came."""
    buffer: Buffer = MemoryBuffer(SIZE, Blocks()) if kind == "memory" else FileBuffer()
    fill(buffer, CONTENT, pieces)
    for begin, end in map(sorted, spans):
        assert copied(buffer, begin, end) == CONTENT[begin:end]
    buffer.release()


def test_memory_is_used_again() -> None:
    """Whole blocks that one buffer gave back serve the next, which does not see what was in them."""
    blocks = Blocks()
    first = MemoryBuffer(SIZE, blocks)
    fill(first, CONTENT, [])
    first.release()
    given_back = [blocks.take(), blocks.take()]
    assert sorted(bytes(block) for block in given_back) == sorted(
        [CONTENT[:BLOCK], CONTENT[BLOCK : 2 * BLOCK]]
    )
    blocks.give(given_back)
    second = MemoryBuffer(SIZE, blocks)
    fill(second, CONTENT[::-1], [])
    assert copied(second, 0, SIZE) == CONTENT[::-1]


@given(st.lists(st.integers(-300, 300), max_size=30))
def test_memory_is_not_hoarded(steps: list[int]) -> None:
    """As much is kept free as is in use, or a little, and no more; so memory never grows by it."""
    blocks = Blocks()
    block = mmap(-1, 1)
    in_use, free, most = 0, 0, 0
    for step in steps:
        count = max(step, -in_use)
        if count < 0:
            blocks.give([block] * -count)
        for _ in range(count):
            blocks.take()
        in_use += count
        most = max(most, in_use)
        free = min(max(free - count, 0), max(in_use, 64))
        assert blocks.free == free
        assert in_use + free <= max(most, 2 * 64)


def test_a_file_buffer_goes_without_a_warning() -> None:
    """A spooled content closes its file when it goes, and does not leave that to chance."""
    buffer = FileBuffer()
    fill(buffer, b"abc", [])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del buffer
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize(("value", "is_default"), [(None, True), ("", True), ("/dev/shm", False)])
def test_an_empty_tmpdir_is_none(
    value: str | None, monkeypatch: pytest.MonkeyPatch, *, is_default: bool
) -> None:
    """Large temporary files are in /var/tmp, unless TMPDIR says where."""
    monkeypatch.delenv("TMPDIR", raising=False)
    default = spool_place()
    if value is not None:
        monkeypatch.setenv("TMPDIR", value)
    assert spool_place() == (default if is_default else None)
