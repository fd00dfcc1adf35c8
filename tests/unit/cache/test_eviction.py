"""What was used longest ago goes first; what is in use stays."""

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.cache.eviction import FRESH_NS, LeastRecent, may_go


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=40), st.integers(1, 20))
def test_the_least_recently_used_ones_come_in_order(times: list[int], most: int) -> None:
    recent = LeastRecent(most)
    for used in times:
        recent.add(str(used), "v", used)
    found = []
    while (candidate := recent.next()) is not None:
        found.append(int(candidate.resource))
    assert found == sorted(times)[:most]


def test_what_is_open_pinned_or_just_used_stays() -> None:
    now = 10 * FRESH_NS
    assert may_go(used_ns=0, now_ns=now, is_open=False, is_pinned=False, for_pinned=False)
    assert not may_go(used_ns=0, now_ns=now, is_open=True, is_pinned=False, for_pinned=False)
    assert not may_go(used_ns=0, now_ns=now, is_open=False, is_pinned=True, for_pinned=False)
    assert not may_go(
        used_ns=now - FRESH_NS + 1, now_ns=now, is_open=False, is_pinned=False, for_pinned=False
    )
    assert may_go(used_ns=now - FRESH_NS + 1, now_ns=now, is_open=False, is_pinned=False, for_pinned=True)
    assert not may_go(used_ns=0, now_ns=now, is_open=True, is_pinned=False, for_pinned=True)
