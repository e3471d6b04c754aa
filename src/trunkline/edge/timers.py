"""One coarse timer for every deadline of every connection.

A timer per request costs a microsecond to set and another to cancel; a sweep over plain attributes ten times a second
costs nothing worth measuring. What a deadline means belongs to the object that carries it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

NEVER = math.inf
TICK = 0.1
"""Seconds between sweeps: how late a deadline may be noticed."""


class Expiring(Protocol):
    """Something with a deadline on the loop's clock."""

    deadline: float

    def expire(self, now: float) -> None:
        """The deadline has passed. Set a new one, or leave the sweep."""
        ...


class Sweep:
    """The objects that are watched. Ticks only while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Expiring] = set()
        self._handle: asyncio.TimerHandle | None = None

    def watch(self, item: Expiring) -> None:
        """Begin to watch `item`; safe to repeat."""
        self._watched.add(item)
        if self._handle is None:
            self._handle = self._loop.call_later(TICK, self._tick)

    def leave(self, item: Expiring) -> None:
        """Stop watching `item`; safe to repeat."""
        self._watched.discard(item)

    def _tick(self) -> None:
        # The next tick is set first: whatever one item raises, the others' deadlines hold.
        self._handle = self._loop.call_later(TICK, self._tick) if self._watched else None
        now = self._loop.time()
        for item in [item for item in self._watched if item.deadline <= now]:
            item.expire(now)
