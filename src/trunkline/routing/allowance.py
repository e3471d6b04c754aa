"""What a provider said is left of its rate limits, and so how long to leave it alone before it has to refuse. Pure: the clock
is handed in.

How providers spell it belongs in `providers.allowances`; a refusal that came all the same in `health`.
"""

from __future__ import annotations

from math import exp, inf

from trunkline.providers.allowances import Told

LONGEST = 60.0
"""Seconds: the longest that is waited, and how long is believed what was told without a time."""
BELIEVED = 3600.0
"""Seconds: the longest that is believed what was told with a time. A day's limit may be raised, and clocks may differ."""
SLACK = 1.5
"""Seconds by which two answers of one window may differ about its end: times are told in whole seconds, and travel."""
UNSEEN = 1.0
"""Seconds in which most of what was sent reaches the provider, so that what it tells from then on has it taken off."""
_NEVER = -inf  # one object for all targets, so that it is at hand


class _Room:
    """What is left of one limit."""

    __slots__ = ("_at", "_ends", "_full", "_gain", "_limit", "_most", "_timed", "left")

    def __init__(self) -> None:
        self.left = inf
        """At `_at`."""
        self._at = 0.0
        self._ends = _NEVER
        """Until when what was told is believed."""
        self._full = _NEVER
        """When all of it is there again."""
        self._gain = 0.0
        """What comes back in a second."""
        self._limit = inf
        self._most = 0.0
        """What was told to be left at the beginning of this window."""
        self._timed = False
        """The provider told when all is there again."""

    def told(self, left: float, limit: float | None, reset: float | None, unseen: float, now: float, *, refills: bool) -> None:
        """`unseen`: what was sent and may not be taken off `left` yet."""
        if reset is not None and refills:
            reset = max(reset, 0.0)
        timed = reset is not None and (reset > 0 or refills)
        full = now + (reset or 0.0 if timed else LONGEST)
        if not self._moved(left, full, now, timed=timed, refills=refills):
            self.left = min(self._now(now), left)
            self._at = now
            return
        self.left, self._at, self._most = left - unseen, now, left
        self._full, self._ends, self._timed = full, now + LONGEST if refills else min(full, now + BELIEVED), timed
        self._limit = inf if limit is None else limit
        self._gain = (self._limit - left) / reset if refills and reset and left < self._limit < inf else 0.0

    def _moved(self, left: float, full: float, now: float, *, timed: bool, refills: bool) -> bool:
        """Whether this is news: a later window, or a later moment of the same bucket."""
        if now >= self._ends:
            return True
        if timed and self._timed:
            return full > self._full + (0.0 if refills else SLACK)  # each request puts off the time at which a bucket is full
        return left > self._most

    def take(self, amount: float, now: float) -> None:
        """So much was sent."""
        if self._gain:
            self.left = self._now(now)
            self._at = now
        self.left -= amount

    def wait(self, need: float, now: float) -> float:
        """Seconds until there is room for so much; what is more than the limit needs all of it."""
        if now >= self._ends:
            self.left = inf
            return 0.0
        lacks = min(need, self._limit) - (self._now(now) if self._gain else self.left)
        if lacks <= 0:
            return 0.0
        rest = lacks / self._gain if self._gain else self._full - now
        return 0.0 if rest < 0 else min(rest, LONGEST)

    def known(self, now: float) -> float | None:
        """What is left; None where nothing is known."""
        return max(self._now(now), 0.0) if self.left < inf and now < self._ends else None

    def _now(self, now: float) -> float:
        if now <= self._at:
            return self.left
        left = self.left + self._gain * (now - self._at)
        return min(left, self._limit)


class Allowance:
    """One target's."""

    __slots__ = ("_asked_at", "_requests", "_tokens", "_unseen", "_unseen_tokens")

    def __init__(self) -> None:
        self._requests = _Room()
        self._tokens = _Room()
        self._unseen = 0.0
        self._unseen_tokens = 0.0
        self._asked_at = 0.0

    def asked(self, tokens: float, now: float) -> None:
        """A request of about so many tokens goes there."""
        self._fade(now)
        self._unseen += 1.0
        self._unseen_tokens += tokens
        self._requests.take(1.0, now)
        self._tokens.take(tokens, now)

    def told(self, told: Told, now: float) -> None:
        """An answer came that says what is left. Answers of requests that were sent at once come in any order: one that knows
        of fewer of them does not give back what the others took.
        """
        self._fade(now)
        if self._unseen > 1.0:
            self._unseen_tokens -= self._unseen_tokens / self._unseen
            self._unseen -= 1.0
        else:
            self._unseen = self._unseen_tokens = 0.0
        if told.requests_left is not None:
            left, limit, reset = told.requests_left, told.requests_limit, told.requests_reset
            self._requests.told(left, limit, reset, self._unseen, now, refills=told.refills)
        if told.tokens_left is not None:
            left, limit, reset = told.tokens_left, told.tokens_limit, told.tokens_reset
            self._tokens.told(left, limit, reset, self._unseen_tokens, now, refills=told.refills)

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until there is room for a request of about so many tokens, at most a minute; 0.0 where there is, or where
        nothing is known.
        """
        requests = 0.0 if self._requests.left >= 1.0 else self._requests.wait(1.0, now)
        if self._tokens.left >= tokens:
            return requests
        rest = self._tokens.wait(tokens, now)
        return max(rest, requests)

    def known(self, now: float) -> tuple[float | None, float | None]:
        """Requests and tokens that are left, as far as is known."""
        return self._requests.known(now), self._tokens.known(now)

    def _fade(self, now: float) -> None:
        if now > self._asked_at:
            fade = exp((self._asked_at - now) / UNSEEN)
            self._unseen *= fade
            self._unseen_tokens *= fade
            self._asked_at = now
