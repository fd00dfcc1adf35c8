"""How far the programs of a mount read in files: pure policy, without I/O or a clock."""

TRUSTED_AT = 512 * 2**10
"""Bytes read in one go after which a reader is taken for one that reads on, where no other is known."""

TRUSTED_EARLY = 0
"""The same where the last file was read whole."""

TRUSTED_LATE = 8 * 2**20
"""The same where the last file was left early. `file` looks at 7 MiB (FILE_BYTES_MAX of libmagic)."""

_WHOLE = 0.9
_TELLING = 256 * 2**10
"""Files below this say nothing: a look at the head may be all of them."""


def is_whole(size: int, read: int) -> bool:
    """Whether who closes a file of `size` bytes after reading `read` of them has read it whole."""
    return read >= size * _WHOLE


class Habits:
    """What the last reader did is what the next one is expected to do. Not safe between threads, nor harmed.

    To fetch far ahead for who looks at the head of each file costs many times what is read; to fetch little
    for who reads on costs a few round trips for each file.
    """

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._trusted_at = TRUSTED_AT

    @property
    def trusted_at(self) -> int:
        """Bytes that must be read in one go before much is fetched ahead."""
        return self._trusted_at

    def closed(self, size: int, read: int) -> None:
        """Note that a file of `size` bytes was closed, after `read` of them were read, which may be none."""
        if read and size >= _TELLING:
            self._trusted_at = TRUSTED_EARLY if is_whole(size, read) else TRUSTED_LATE
