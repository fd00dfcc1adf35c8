"""One memory budget for the read data that the whole process holds, and the share of each who reads ahead."""

import threading
from collections.abc import Callable

_CLAIMING = 2**20
"""Bytes held from which somebody counts in the sharing; many small files must not narrow a long read."""


class Account:
    """What one content holds of the budget, whose lock guards the numbers."""

    def __init__(self, budget: "Budget", shrink: Callable[[int], None]) -> None:
        """Hold nothing; `shrink` is asked to come down to so many bytes when others have none."""
        self.held = 0
        self.shrink = shrink
        self._budget = budget

    @property
    def share(self) -> int:
        """Bytes that may be held here, if all who read ahead are to have as much."""
        return self._budget.share(self)

    @property
    def sharers(self) -> int:
        """How many the budget is shared by, this one counted among them."""
        return self._budget.sharers(self)

    def try_reserve(self, size: int) -> bool:
        """Take `size` bytes if they are left."""
        return self._budget.change(self, size, must=False)

    def reserve(self, size: int) -> None:
        """Take `size` bytes that a reader is waiting for, left or not: pressure never fails a read."""
        self._budget.change(self, size, must=True)

    def release(self, size: int) -> None:
        """Give back `size` bytes."""
        self._budget.change(self, -size, must=True)

    def press(self) -> None:
        """Have those who hold more than their share give back the rest; called without a lock."""
        self._budget.press(self)


class Budget:
    """Bytes that read-ahead may hold, all files together. The lock guards the numbers and the accounts."""

    def __init__(self, total: int) -> None:
        """Allow `total` bytes."""
        self.total = total
        self._lock = threading.Lock()
        self._held = 0
        self._claimants: set[Account] = set()

    @property
    def held(self) -> int:
        """Bytes held now; over the total only by what readers wait for at this moment."""
        return self._held

    def share(self, account: Account) -> int:
        """Bytes for each of those who hold much, `account` counted among them."""
        return self.total // self.sharers(account)

    def sharers(self, account: Account) -> int:
        """Those who hold much, `account` counted among them."""
        with self._lock:
            return len(self._claimants) + (account not in self._claimants)

    def change(self, account: Account, size: int, *, must: bool) -> bool:
        """Add `size`, which may be negative, to what `account` holds; refused where it does not fit."""
        with self._lock:
            if not must and self._held + size > self.total:
                return False
            self._held += size
            account.held += size
            if account.held >= _CLAIMING:
                self._claimants.add(account)
            else:
                self._claimants.discard(account)
            return True

    def press(self, account: Account) -> None:
        """Have all but `account` come down to their share."""
        share = self.share(account)
        with self._lock:
            over = [each for each in self._claimants if each.held > share and each is not account]
        for each in over:
            each.shrink(share)
