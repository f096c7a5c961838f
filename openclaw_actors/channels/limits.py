"""Decides whether one more connection may stay: in total, and from one address."""

from __future__ import annotations

__all__ = ["ConnectionLimits"]


class ConnectionLimits:
    """Counts connections; addresses without one are forgotten.

    Args:
        max_total: connections of all.
        max_per_address: connections of one address.
    """

    def __init__(self, *, max_total: int, max_per_address: int) -> None:
        self._max_total = max_total
        self._max_per_address = max_per_address
        self._per_address: dict[str, int] = {}
        self.total = 0

    def use(self, *, max_total: int, max_per_address: int) -> None:
        """Other limits hold; connections that are there stay."""
        self._max_total = max_total
        self._max_per_address = max_per_address

    @property
    def addresses(self) -> int:
        """From how many addresses there are connections."""
        return len(self._per_address)

    def admit(self, address: str) -> bool:
        """Count one more of this address; False, and not counted, where a limit is reached.

        Args:
            address: empty, it counts in the total alone.
        """
        of_address = self._per_address.get(address, 0)
        if self.total >= self._max_total or of_address >= self._max_per_address:
            return False
        if address:
            self._per_address[address] = of_address + 1
        self.total += 1
        return True

    def release(self, address: str) -> None:
        """One that was admitted is gone."""
        if not address:
            self.total -= 1
            return
        left = self._per_address.get(address, 0) - 1
        if left < 0:
            raise ValueError("released more connections than were admitted")
        if left == 0:
            del self._per_address[address]
        else:
            self._per_address[address] = left
        self.total -= 1
