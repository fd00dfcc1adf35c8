"""Who waits for a listing that agrees with the store is called once, and not before there is one."""

from empirical_fs.catalog.doubts import Doubts
from empirical_fs.clock import aging_clock


def test_a_later_listing_settles_a_doubt() -> None:
    """A listing that was asked for before the store disagreed may be as wrong as the last one."""
    doubts, called = Doubts(), list[str]()
    before = aging_clock()
    doubts.add(1)
    doubts.wait(1, lambda: called.append("in doubt"))
    doubts.wait(2, lambda: called.append("without doubt"))
    doubts.drop_before(before - 1)
    doubts.settle()
    assert (called, 1 in doubts, doubts.is_waited_for) == (["without doubt"], True, True)
    doubts.drop_before(aging_clock() + 1)
    doubts.settle()
    assert (called, 1 in doubts, doubts.is_waited_for) == (["without doubt", "in doubt"], False, False)


def test_nobody_waits_for_a_listing_that_does_not_come() -> None:
    """The doubt stays for the next look, but whoever waited is called, and called once."""
    doubts, called = Doubts(), list[str]()
    doubts.add(1)
    doubts.wait(1, lambda: called.append("given up"))
    doubts.give_up()
    doubts.drop_before(aging_clock() + 1)
    doubts.settle()
    assert (called, 1 in doubts) == (["given up"], False)
