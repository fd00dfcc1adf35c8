"""Reports the progress of work that has many pieces."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of pieces done, and the number of all pieces."""


def unseen(done: int, pieces: int) -> None:
    """Does nothing: the default if nobody watches the progress."""
