"""How far a work of many pieces is, for whoever watches."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how many pieces are done, and how many there are in all."""


def unseen(done: int, pieces: int) -> None:
    """Progress that nobody watches."""
