"""Learns how far the programs of a mount read in files: pure policy, without I/O or a clock."""

TRUSTED_AT = 512 * 2**10
"""Bytes read in sequence after which a program is expected to read on, before any file was closed."""

TRUSTED_EARLY = 0
"""The same if the last file was read whole."""

TRUSTED_LATE = 8 * 2**20
"""The same if the last file was not read whole. `file` reads 7 MiB (FILE_BYTES_MAX of libmagic)."""

_EXPECTED_MIN = 2**20
"""If a program stopped before this many bytes, it only looked at the head: the next may read even less."""

_WHOLE = 0.9
_TELLING = 256 * 2**10
"""Files with fewer bytes teach nothing: a look at the head may read all of them."""


def is_whole(size: int, read: int) -> bool:
    """Whether a program that read `read` of a file's `size` bytes counts as having read it whole (90 %)."""
    return read >= size * _WHOLE


class Habits:
    """Expects the next program to read as the last one did. Not locked: a race between threads does no harm.

    To fetch far ahead for a program that reads only the head of each file costs many times the bytes read; to
    fetch little for a program that reads on costs a few round trips for each file.
    """

    def __init__(self) -> None:
        """Begin before any file was closed."""
        self._trusted_at = TRUSTED_AT
        self._expected = 0

    @property
    def expected(self) -> int:
        """Bytes of the head of a file that the next program is expected to read: as many as the last one."""
        return self._expected

    @property
    def trusted_at(self) -> int:
        """Bytes that must be read in sequence before much is fetched ahead."""
        return self._trusted_at

    def closed(self, size: int, read: int, head: int = 0) -> None:
        """Note that a file of `size` bytes was closed after `read` bytes, perhaps 0, were read.

        The first `head` bytes were read in sequence.
        """
        if read and size >= _TELLING:
            was_whole = is_whole(size, read)
            self._trusted_at = TRUSTED_EARLY if was_whole else TRUSTED_LATE
            self._expected = head if not was_whole and head >= _EXPECTED_MIN else 0
