"""All read data counts against one budget, of which each reader has an equal share."""

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.reading.budget import Account, Budget

MIB = 2**20
TOTAL = 100 * MIB
STEPS = st.lists(
    st.tuples(st.sampled_from(["try", "reserve", "release"]), st.integers(0, 3), st.integers(0, 60 * MIB)),
    max_size=40,
)


def refuse(size: int) -> None:
    raise AssertionError("pressed without a reason")


@given(STEPS)
def test_all_is_counted(steps: list[tuple[str, int, int]]) -> None:
    """Read-ahead never goes over the total, what a reader waits for always may, and all is counted."""
    budget = Budget(TOTAL)
    accounts = [Account(budget, refuse) for _ in range(4)]
    held = [0] * 4
    for step, number, size in steps:
        if step == "try":
            is_free = sum(held) + size <= TOTAL
            assert accounts[number].try_reserve(size) == is_free
            held[number] += size * is_free
        elif step == "reserve":
            accounts[number].reserve(size)
            held[number] += size
        elif size <= held[number]:
            accounts[number].release(size)
            held[number] -= size
        assert budget.held == sum(held)
        assert [account.held for account in accounts] == held


def test_shares_are_equal() -> None:
    """Who asks may have as much as each of those who hold much; what little others hold does not count."""
    budget = Budget(TOTAL)
    much, little, asks = (Account(budget, refuse) for _ in range(3))
    assert asks.share == TOTAL
    much.reserve(90 * MIB)
    little.reserve(MIB // 2)
    assert asks.share == TOTAL // 2
    assert (asks.sharers, much.sharers) == (2, 1)
    assert much.share == TOTAL
    much.release(90 * MIB)
    assert asks.share == TOTAL


def test_those_who_hold_too_much_are_pressed() -> None:
    """Pressure asks exactly those over their share, and never the one who presses."""
    asked: list[tuple[str, int]] = []
    budget = Budget(TOTAL)
    greedy = Account(budget, lambda size: asked.append(("greedy", size)))
    modest = Account(budget, lambda size: asked.append(("modest", size)))
    pressing = Account(budget, lambda size: asked.append(("pressing", size)))
    greedy.reserve(60 * MIB)
    modest.reserve(2 * MIB)
    pressing.reserve(40 * MIB)
    pressing.press()
    assert asked == [("greedy", TOTAL // 3)]


def test_who_is_pressed_may_give_back() -> None:
    """An account gives back while it is pressed: the budget holds no lock meanwhile."""
    budget = Budget(TOTAL)
    greedy = Account(budget, lambda size: greedy.release(greedy.held - size))
    greedy.reserve(TOTAL)
    pressing = Account(budget, refuse)
    assert not pressing.try_reserve(MIB)
    pressing.press()
    assert greedy.held == TOTAL // 2
    assert pressing.try_reserve(TOTAL // 2)
