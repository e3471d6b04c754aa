"""The time that requests and their records carry. How long something takes is measured by the monotonic clock, not by this."""

from __future__ import annotations

import time
from collections.abc import Callable

BELIEVED = 7200 * 10**9
"""Nanoseconds: a clock that was set back further than that had been wrong, and is followed."""


class Clock:
    """The machine's clock, which never comes back with a time it has told: records keep the order in which they began.

    While it stands behind, having been set back by an hour or so, time hardly moves; it goes on where it had been.
    """

    __slots__ = ("_last", "_wall")

    def __init__(self, wall: Callable[[], int] = time.time_ns) -> None:
        self._wall = wall
        self._last = 0

    def __call__(self) -> int:
        """Nanoseconds since the epoch, later than any told before."""
        now = self._wall()
        if now <= self._last < now + BELIEVED:
            now = self._last + 1
        self._last = now
        return now
