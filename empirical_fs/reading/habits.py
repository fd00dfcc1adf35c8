"""How far the programs of a mount read in files: pure policy, without I/O or a clock."""

TRUSTED_AT = 512 * 2**10
"""Bytes read in one go after which a reader is taken for one that reads on, where no other is known."""

TRUSTED_EARLY = 0
"""The same where the last file was read whole."""

TRUSTED_LATE = 8 * 2**20
"""The same where the last file was left early. `file` looks at 7 MiB (FILE_BYTES_MAX of libmagic)."""

_EXPECTED_MIN = 2**20
"""Bytes below which a reader who left early left after a look: the next one may look at less."""

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
        self._expected = 0

    @property
    def expected(self) -> int:
        """Bytes of the head of a file that the next reader is expected to read: as many as the last one."""
        return self._expected

    @property
    def trusted_at(self) -> int:
        """Bytes that must be read in one go before much is fetched ahead."""
        return self._trusted_at

    def closed(self, size: int, read: int, head: int = 0) -> None:
        """Note that a file of `size` bytes was closed, after `read` of them were read, which may be none.

        The first `head` of them were read one after the other.
        """
        if read and size >= _TELLING:
            was_whole = is_whole(size, read)
            self._trusted_at = TRUSTED_EARLY if was_whole else TRUSTED_LATE
            self._expected = head if not was_whole and head >= _EXPECTED_MIN else 0
