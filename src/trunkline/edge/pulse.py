"""How late the event loop runs, and how busy it is: a timer that measures itself. What follows belongs to who is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Pulse:
    """Tells, every `period` seconds, how many seconds later than that the loop came to it, and the share of the time since the
    last beat in which the loop's thread had the processor.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, period: float, beat: Callable[[float, float], None]) -> None:
        self._loop = loop
        self._period = period
        self._beat = beat
        self._due = 0.0
        self._worked = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._worked = time.thread_time()
        self._next()

    def stop(self) -> None:
        """Beat no more; safe to repeat."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _next(self) -> None:
        self._due = self._loop.time() + self._period
        self._handle = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late = max(0.0, self._loop.time() - self._due)
        before, self._worked = self._worked, time.thread_time()
        self._next()  # first: whatever the beat raises, the next one comes
        self._beat(late, (self._worked - before) / (self._period + late))
