"""How often an address may fail to show a valid key. Guessing 256-bit keys is hopeless; this bounds the noise of trying.

Pure: the clock is an argument. A valid key is never refused for its address's failures.
"""

from __future__ import annotations

PER_MINUTE = 1000
MAX_ADDRESSES = 10_000
_WINDOW = 60.0


class Failures:
    """Failures per address in windows of a minute. Bounded: when full, all windows that have passed are forgotten."""

    def __init__(self, per_minute: int = PER_MINUTE, max_addresses: int = MAX_ADDRESSES) -> None:
        self._per_minute = per_minute
        self._max_addresses = max_addresses
        self._windows: dict[str, tuple[float, int]] = {}

    def add(self, address: str, now: float) -> float:
        """Count one failure. Returns the seconds until more are answered, 0.0 while they still are."""
        start, count = self._windows.get(address, (now, 0))
        if now - start >= _WINDOW:
            start, count = now, 0
        if address not in self._windows and len(self._windows) >= self._max_addresses:
            self._forget(now)
        self._windows[address] = (start, count + 1)
        return _WINDOW - (now - start) if count >= self._per_minute else 0.0

    def _forget(self, now: float) -> None:
        self._windows = {a: w for a, w in self._windows.items() if now - w[0] < _WINDOW}
        if len(self._windows) >= self._max_addresses:
            self._windows.clear()
