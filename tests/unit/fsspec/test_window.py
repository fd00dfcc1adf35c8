"""Small reads in sequence are answered from one longer read; others ask for what they need alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from empirical_fs.fsspec.window import Window

KIB = 2**10
CONTENT = bytes(range(251)) * 8 * KIB


class File:
    """Counts what is fetched."""

    def __init__(self) -> None:
        self.fetched: list[tuple[int, int]] = []
        self.window = Window(0, self.fetch, len(CONTENT))

    def fetch(self, start: int, stop: int) -> bytes:
        self.fetched.append((start, stop))
        return CONTENT[start:stop]

    def read(self, start: int, stop: int) -> bytes:
        return self.window._fetch(start, stop)


@settings(max_examples=60)
@given(reads=st.lists(st.tuples(st.integers(0, len(CONTENT) + 9), st.integers(0, 300 * KIB)), max_size=30))
def test_whatever_is_read_is_right(reads: list[tuple[int, int]]) -> None:
    """Anywhere, of any length, in any order."""
    file = File()
    for start, size in reads:
        assert file.read(start, start + size) == CONTENT[start : start + size]


def test_small_reads_in_sequence_are_few_long_ones() -> None:
    """Each is twice as long as the one before, up to a MiB."""
    file = File()
    for start in range(0, len(CONTENT), 8 * KIB):
        assert file.read(start, start + 8 * KIB) == CONTENT[start : start + 8 * KIB]
    lengths = [(stop - start) // KIB for start, stop in file.fetched]
    assert lengths == [128, 256, 512, 1024, len(CONTENT) // KIB - 1920]


def test_reads_that_go_back_a_little_fetch_nothing_twice() -> None:
    """A program that reads lines reads 8 KiB, and goes back to the end of the line."""
    file, start = File(), 0
    while start < len(CONTENT):
        assert file.read(start, start + 8 * KIB) == CONTENT[start : start + 8 * KIB]
        start += 1000
    assert len(file.fetched) == 5
    assert sum(stop - start for start, stop in file.fetched) == len(CONTENT)


def test_a_read_elsewhere_fetches_its_bytes() -> None:
    """Random reads are not made longer, and long ones are not kept."""
    file = File()
    for start in (500 * KIB, 3, 900 * KIB):
        assert file.read(start, start + 10) == CONTENT[start : start + 10]
    assert file.read(KIB, 200 * KIB) == CONTENT[KIB : 200 * KIB]
    assert file.fetched == [(start, start + 10) for start in (500 * KIB, 3, 900 * KIB)] + [(KIB, 200 * KIB)]


def test_lines_are_found_in_what_is_kept() -> None:
    """Up to the character, with it; nothing where the end is not kept."""
    file = File()
    assert file.window.until(0, b"\x05") is None
    file.read(0, 10)
    assert file.window.until(0, b"\x05") == CONTENT[:6]
    assert file.window.until(128 * KIB - 1, b"\xff") is None
    assert file.window.until(128 * KIB, b"\x05") is None
