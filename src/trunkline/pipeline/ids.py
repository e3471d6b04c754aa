"""The ids of requests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

STOCK = 256
"""Ids whose dice are thrown at once: one system call for many."""


class Ids:
    """Request ids of 128 bits, in hex: milliseconds since the epoch, so that they sort by time, then random."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock`: nanoseconds since the epoch."""
        self._clock = clock
        self._stock: list[str] = []

    def __call__(self) -> str:
        """The next one."""
        if not self._stock:
            random = os.urandom(10 * STOCK).hex()
            self._stock = [random[at : at + 20] for at in range(0, len(random), 20)]
        return f"{self._clock() // 1_000_000:012x}{self._stock.pop()}"
