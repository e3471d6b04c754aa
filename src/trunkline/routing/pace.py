"""How fast each target has been lately: what a request may expect, and when a first token is late.

Who is asked because of it belongs in `choose`; whether a target is well in `health`. Pure: the clock is handed
in.
"""

from __future__ import annotations

from math import inf, log2

HALF_LIFE = 60.0
"""Seconds after which what was measured weighs half as much."""
PENALTY = 10.0
"""Seconds that a failed request counts for at least: a target that fails fast must not look fast."""
ENOUGH = 20
"""First tokens from which it can be told which of them is late."""
RECENT = 512
"""First tokens after which those before weigh half as much."""

_NEVER = -inf  # one object for all targets, so that it is at hand
_LEAST = 1e-6
_SHORTEST = 0.01
_PER_OCTAVE = 4
_BUCKETS = 64  # four to a doubling: from 10 ms to 650 s, each bound 19 % above the one before


class Mean:
    """A mean in which a value weighs half as much after each half-life."""

    __slots__ = ("_sum", "_weight", "at", "rank")

    def __init__(self) -> None:
        self._sum = self._weight = 0.0
        self.at = _NEVER
        """When it was last heard of."""
        self.rank = _NEVER
        """The mean's logarithm, as if it halved in each half-life without news: it orders means at any time without a clock,
        because the logarithms of all of them fall alike.
        """

    @property
    def value(self) -> float:
        """The mean of what was measured; 0.0 of nothing."""
        return self._sum / self._weight if self._weight else 0.0

    def add(self, value: float, now: float) -> None:
        """One more value."""
        if now > self.at:
            fade = 0.5 ** ((now - self.at) / HALF_LIFE)
            self._sum *= fade
            self._weight *= fade
            self.at = now
        self._sum += value
        self._weight += 1.0
        self.rank = log2(max(self._sum / self._weight, _LEAST)) + self.at / HALF_LIFE


class Pace:
    """One target's. All times in seconds. The means are kept only where a route goes by them: `Standing.compared`."""

    __slots__ = ("_counts", "_seen", "answer", "first_token")

    def __init__(self) -> None:
        self.first_token = Mean()
        self.answer = Mean()
        self._counts: list[int] = []  # made when first needed: there may be many targets that are never asked
        self._seen = 0

    def first(self, seconds: float) -> None:
        """So long a stream's first token took."""
        if not self._counts:
            self._counts = [0] * _BUCKETS
        at = int(log2(seconds / _SHORTEST) * _PER_OCTAVE) if seconds > _SHORTEST else 0
        self._counts[at if at < _BUCKETS else -1] += 1
        self._seen += 1
        if self._seen >= RECENT:
            self._counts = [count >> 1 for count in self._counts]
            self._seen = sum(self._counts)

    def failed(self, seconds: float, now: float) -> None:
        """So long a request took that failed. It counts as a slow one: never below the mean."""
        for mean in (self.first_token, self.answer):
            mean.add(max(seconds, PENALTY, mean.value), now)

    def p95(self) -> float | None:
        """The time within which 19 of 20 recent first tokens came, rounded up by at most 19 %; None where too few were seen."""
        return self._within(0.05) if self._seen >= ENOUGH else None

    def median(self) -> float | None:
        """The time within which half of the recent first tokens came, rounded up likewise; None where none was seen."""
        return self._within(0.5) if self._seen else None

    def _within(self, later: float) -> float:
        """The time within which all first tokens came but for this part."""
        left = self._seen * later
        at = _BUCKETS
        while left >= 0:
            at -= 1
            left -= self._counts[at]
        return float(_SHORTEST * 2.0 ** ((at + 1) / _PER_OCTAVE))
