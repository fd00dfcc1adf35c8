"""The memory budget for the read data of the whole process, and each content's share of it."""

import threading
from collections.abc import Callable

_CLAIMING = 2**20
"""Bytes held from which a content counts as a sharer: many small files must not limit a long read."""


class Account:
    """The bytes of the budget that one content holds; the budget's lock guards the numbers."""

    def __init__(self, budget: "Budget", shrink: Callable[[int], None]) -> None:
        """Begin with nothing held; `shrink` is called with the bytes to keep when others need memory."""
        self.held = 0
        self.shrink = shrink
        self._budget = budget

    @property
    def share(self) -> int:
        """Bytes that this content may hold if all sharers get the same."""
        return self._budget.share(self)

    @property
    def sharers(self) -> int:
        """How many contents share the budget, including this one."""
        return self._budget.sharers(self)

    def try_reserve(self, size: int) -> bool:
        """Reserve `size` bytes if the budget has them left; False if not."""
        return self._budget.change(self, size, must=False)

    def reserve(self, size: int) -> None:
        """Reserve `size` bytes for a waiting read, even beyond the total: a full budget fails no read."""
        self._budget.change(self, size, must=True)

    def release(self, size: int) -> None:
        """Give back `size` bytes."""
        self._budget.change(self, -size, must=True)

    def press(self) -> None:
        """Ask the contents that hold more than their share to release the excess; call it without a lock."""
        self._budget.press(self)


class Budget:
    """The bytes that all files together may hold. The lock guards the numbers and the accounts."""

    def __init__(self, total: int) -> None:
        """Allow `total` bytes."""
        self.total = total
        self._lock = threading.Lock()
        self._held = 0
        self._claimants: set[Account] = set()

    @property
    def held(self) -> int:
        """Bytes held now; above the total only by what waiting reads need at this moment."""
        return self._held

    def share(self, account: Account) -> int:
        """Bytes for each sharer, `account` included."""
        return self.total // self.sharers(account)

    def sharers(self, account: Account) -> int:
        """The number of accounts that hold much, `account` included."""
        with self._lock:
            return len(self._claimants) + (account not in self._claimants)

    def change(self, account: Account, size: int, *, must: bool) -> bool:
        """Add `size`, which may be negative, to what `account` holds.

        Returns False, and changes nothing, if it does not fit and not `must`.
        """
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
        """Ask all accounts except `account` to shrink to their share."""
        share = self.share(account)
        with self._lock:
            over = [each for each in self._claimants if each.held > share and each is not account]
        for each in over:
            each.shrink(share)
