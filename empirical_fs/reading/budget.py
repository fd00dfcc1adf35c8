"""One memory budget for the read data that the whole process holds."""

import threading


class Budget:
    """Bytes that read-ahead may hold, all files together. The lock guards the count."""

    def __init__(self, total: int) -> None:
        """Allow `total` bytes."""
        self._total = total
        self._lock = threading.Lock()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held now; over the total only by what readers wait for at this moment."""
        return self._held

    def try_reserve(self, size: int) -> bool:
        """Take `size` bytes if they are left."""
        with self._lock:
            if self._held + size > self._total:
                return False
            self._held += size
            return True

    def reserve(self, size: int) -> None:
        """Take `size` bytes that a reader is waiting for, left or not: pressure never fails a read."""
        with self._lock:
            self._held += size

    def release(self, size: int) -> None:
        """Give back `size` bytes."""
        with self._lock:
            self._held -= size
