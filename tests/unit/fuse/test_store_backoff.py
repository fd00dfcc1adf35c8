"""One open waits for a store that does not answer, not each."""

from empirical_fs.fuse.store_backoff import StoreBackoff


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_after_a_wait_in_vain() -> None:
    """Others do not wait for a while, which grows; any answer ends it."""
    clock = Clock()
    backoff = StoreBackoff(clock)
    pauses = []
    for _ in range(6):
        assert not backoff.is_active
        backoff.unanswered(2)
        backoff.unanswered(2)  # one that has waited beside it
        began = clock.seconds
        while backoff.is_active:
            clock.seconds += 1
        pauses.append(clock.seconds - began)
    assert pauses == [5, 10, 20, 40, 60, 60]
    backoff.unanswered(2)
    backoff.answered()
    assert not backoff.is_active
    backoff.unanswered(2)
    clock.seconds += 5
    assert not backoff.is_active


def test_a_failure_at_once() -> None:
    """It costs nobody a wait, and may be of one file only."""
    backoff = StoreBackoff(Clock())
    backoff.unanswered(0.9)
    assert not backoff.is_active
