"""How many unanswered requests one provider may have at once: fewer where it shows that it is overloaded. Pure.

Additive increase, multiplicative decrease (Chiu and Jain, 1989; TCP, RFC 5681 section 3.1), on requests instead of segments as
in the AIMDLimit of Netflix's concurrency-limits: wider only while it is used to its bound, narrower where requests are dropped.
From TCP, too: a request that began before the last change tells nothing about it, so there is one change a round trip at most;
the factor is CUBIC's (RFC 9438 section 4.6). Three things differ, because of what models are:

- What is bounded are requests whose answer has not begun. A stream that runs is no sign of trouble and may last an hour: it
  holds its connection, which the pool bounds, but never a place here.
- Latency is no signal, as it is for TCP Vegas and Netflix's Gradient2: an answer takes a tenth of a second or a minute by what
  was asked, and the shortest ever says nothing about the next.
- It starts as wide as it may be, and one failure among many answers is an accident: only a share of failures narrows it.

Who waits, and for what, belongs in `pool`; what counts as a failure is decided in `client`.
"""

from __future__ import annotations

import math

_NARROWER = 0.7
_LATEST = 1 / 16
"""The weight of the latest answer in the share of failures: of what came 16 answers ago, a third is left."""
_TOO_MANY = 0.2
"""The share of failures that narrows: four in a row, or every fourth for a while."""
_STEPS = 32
"""How many times a step, that widens it, goes into the most."""
_STRIDE = 4
"""How many times it goes into the present width, at least: where little is possible, steps are small."""
_APART = 1.0
"""Seconds between two changes, at least."""
_FORGET = 60.0
"""Seconds of answers without a failure after which it is as wide as it may be."""


class Width:
    """The bound for one provider, always between `least` and `most`. Times are seconds on the caller's clock."""

    __slots__ = ("_calm", "_changed", "_least", "_most", "_share", "_step", "now", "uneasy")

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._step = most // _STEPS
        self._share = 0.0
        self._changed = -math.inf
        self._calm = math.inf
        """When the first answer after the last failure came."""
        self.now = most
        """How many unanswered requests there may be."""
        self.uneasy = False
        """There was a failure lately. While there was none, good answers need not be told."""

    def well(self, asking: int, began: float, now: float) -> None:
        """A request that began at `began` was answered, while `asking` were unanswered, itself included."""
        self._calm = min(self._calm, now)
        if now - self._calm >= _FORGET:
            self.now, self.uneasy, self._share = self._most, False, 0.0
        elif began >= self._changed:
            self._share *= 1 - _LATEST
            if asking >= self.now and self._share < _TOO_MANY / 2 and now - self._changed >= _APART:
                self.now = min(self._most, self.now + max(1, min(self._step, self.now // _STRIDE)))
                self._changed = now

    def ill(self, asking: int, began: float, now: float) -> None:
        """A request that began at `began` met overload, while `asking` were unanswered, itself included."""
        self.uneasy, self._calm = True, math.inf
        if began < self._changed:
            return
        self._share += (1 - self._share) * _LATEST
        used = min(asking, self.now)
        if used > self._least and self._share >= _TOO_MANY and now - self._changed >= _APART:
            self.now = max(self._least, int(used * _NARROWER))
            self._changed, self._share = now, 0.0
