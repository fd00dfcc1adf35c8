"""A disk that does not answer is left alone until it does."""

import pytest

from empirical_fs.cache.tallies import Patience, StuckDisk
from tests.unit.cache.disks import Clock


def test_nobody_joins_a_call_that_does_not_end_and_all_go_on_after_it() -> None:
    clock = Clock()
    patience = Patience(clock)
    with patience.call():
        clock.now += 4
        with patience.call():
            pass
        clock.now += 2
        with pytest.raises(StuckDisk), patience.call():
            pass
    with patience.call():
        pass
