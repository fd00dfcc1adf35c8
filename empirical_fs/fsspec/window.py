"""The cache of an open file that is used if a program asks for none of fsspec's own."""

from collections.abc import Callable
from typing import ClassVar

from fsspec.caching import BaseCache, register_cache

_FIRST, _LARGEST = 128 * 2**10, 2**20
"""Bytes of a file that are kept for small reads in sequence: twice as many each time, as the kernel does."""


class Window(BaseCache):
    """What small reads in sequence are answered from. Read-ahead is the reader's, not this cache's."""

    name: ClassVar[str] = "empirical"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        """Keep nothing yet; `fetcher` returns the bytes between two offsets of the file of `size` bytes."""
        super().__init__(blocksize, fetcher, size)
        self._window: tuple[int, bytes] = 0, b""
        self._at = 0
        self._length = _FIRST

    def until(self, start: int, char: bytes) -> bytes | None:
        """The bytes from `start` up to the next `char`, with it; None if they are not all kept."""
        begin, kept = self._window
        if not begin <= start < begin + len(kept):
            return None
        found = kept.find(char, start - begin)
        return None if found < 0 else kept[start - begin : found + len(char)]

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start, stop = start or 0, self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        begin, kept = self._window
        end = begin + len(kept)
        # A program that reads lines goes back a little each time.
        is_next, self._at = start == self._at or begin <= start <= end, stop
        if begin <= start and stop <= end:
            return kept[start - begin : stop - begin]
        if not is_next:
            self._length = _FIRST
            return self._get(start, stop)
        if stop - start >= _FIRST:
            return self._get(start, stop)
        rest = kept[start - begin :] if begin <= start < end else b""
        begin = start + len(rest)
        more = self._get(begin, min(max(begin + self._length, stop), self.size))
        self._length = min(self._length * 2, _LARGEST)
        self._window = start, rest + more
        return self._window[1][: stop - start]

    def _get(self, start: int, stop: int) -> bytes:
        data: bytes = self.fetcher(start, stop)
        return data


register_cache(Window, clobber=True)
