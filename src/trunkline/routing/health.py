"""How each target has been doing, and so whether it may be asked. Pure: the clock is handed in.

A target that fails again and again is left alone for a while: its circuit is open. Then one request at a time tries whether it
is back, and once it is, more may go there each second. What counts as a failure is told by the error; who is asked instead
belongs in `choose`.
"""

from __future__ import annotations

from math import inf
from typing import Literal

from trunkline.canon.errors import GatewayError, Kind

OPENS_AFTER = 5
"""Failures in a row."""
WINDOW = 30.0
"""Seconds whose requests are the rate of failures."""
SEEN = 10
"""Requests in that time without which their rate tells nothing; it opens the circuit where half of them failed."""
REFUSED_AFTER = 2
"""Refusals of the credential in a row, after which it rests for the longest time at once."""
FIRST_REST = 10.0
"""Seconds that a target is left alone at first; twice as long each time it fails again when it is tried."""
LONGEST_REST = 60.0
PROBE = 60.0
"""Seconds after which a request that tried a target, and was never heard of again, no longer keeps others from it."""
PROBES = 5
"""Requests in the first second of a target that is back; twice as many in each one after it."""
RECOVERY = 5
"""Such seconds. Then it is asked like any other."""
OURS = frozenset({401, 402, 403, 404, 405, 410})
"""Refusals of this target, whatever the request: a wrong key, no credit, a region, no such model. Another may well answer."""
LAST_RESORT = 10
"""Requests a second to a target that is silent, where nobody else is left; once it answers, twice as many each second."""
SILENCE = 2.0
"""Seconds without an answer after which a target that is not well is taken for dead. One that still answers some requests is
asked by all who have nobody else: half an answer to each is better than none to most."""

_ROUNDING = 0.001
"""Seconds. When a request was sent may be known as the end less the time it took."""
_NEVER = -inf  # one object for all targets, so that it is at hand
_CREDENTIAL = frozenset({401, 403})
_PERHAPS = frozenset({403, 404, 405, 410})
"""Not allowed, no such model, or it is gone. Not where it answered just now: then the request was at fault (a prompt that is
moderated, a chat model asked for plain completions), and whoever sends it must not take the target away from others."""

State = Literal["closed", "open", "half_open", "recovering"]


class Circuit:
    """One target's. `sent` is the time that was told to `asked`: a request from before the circuit opened, or from before the
    probe, tells nothing of how the target does now. One whose time is not known is taken for a new one.
    """

    __slots__ = (
        "_answered", "_breaks", "_failing", "_failures", "_fresh", "_probe_until", "_refused", "_rests", "_revived", "_second",
        "_since", "_slow", "_stage", "_until", "_used", "_window", "calm",
    )  # fmt: skip

    def __init__(self, slow: float = inf, *, breaks: bool = True) -> None:
        """`slow`: seconds; a first token that takes longer counts as a failure in the rate. `breaks`: it opens at all."""
        self.calm = True
        """Closed, and told no time until when to rest since it answered last: nothing but answers and failures is counted."""
        self._slow = slow
        self._breaks = breaks
        self._stage: Literal["closed", "open", "recovering"] = "closed"
        self._failures = self._refused = self._rests = 0
        self._until = self._probe_until = self._fresh = self._answered = self._failing = _NEVER
        self._revived = _NEVER  # when it answered first after a silence
        self._since = 0.0
        self._second = self._used = 0
        self._window = _Window()

    def state(self, now: float) -> State:
        """Closed: asked like any other. Open: left alone. Half open: one at a time tries. Recovering: a few a second."""
        if now < self._until:
            return "open"
        if self._stage == "open":
            return "half_open"
        return "closed" if self._stage == "closed" or self._nth(now) >= RECOVERY else "recovering"

    def may(self, now: float) -> bool:
        """Whether it may be asked now; nothing is changed by it."""
        if now < self._until:
            return False
        if self._stage == "closed":
            return True
        return now >= self._probe_until if self._stage == "open" else self._room(now)

    def last_resort(self, now: float) -> bool:
        """Whether it may be asked although it is not well, because nobody else is left; nothing is changed by it."""
        if self.may(now):
            return True
        again = 0.0 if self._silent(now) else now - self._revived
        return again >= RECOVERY or self._spent(now) < LAST_RESORT << int(again)

    def asked(self, now: float) -> None:
        """A request goes to it, as `may` or `last_resort` allowed."""
        rests = now < self._until
        if self._stage == "closed" and not rests:
            return
        if self._stage == "open" and not rests and now >= self._probe_until:
            self._probe_until = now + PROBE
            self._fresh = now - _ROUNDING
            return
        nth = self._nth(now)
        if nth > self._second:
            self._second, self._used = nth, 0
        self._used += 1

    def left(self, now: float, sent: float = inf) -> None:
        """A request ended that tells nothing of the target: its client left, or it was at fault itself."""
        if sent >= self._fresh:
            self._probe_until = min(self._probe_until, now)

    def succeeded(self, now: float, first_token: float | None, sent: float = inf) -> None:
        """It answered; `first_token`: seconds until it began to, where that is known."""
        if sent < self._fresh:
            return
        if self._failures:
            if self._silent(now):
                self._revived = now
            self._failures = self._refused = 0
        self._answered = now
        if not self.calm:
            self._better(now)
        slow = first_token is not None and first_token > self._slow
        self._window.add(now, slow)
        if slow and self._breaks and self._stage != "open" and self._window.bad():
            self._open(now)

    def failed(self, now: float, error: GatewayError, sent: float = inf) -> bool:
        """It did not; whether that is its fault. Only what is wrong with the target counts, not what is wrong with a request; a
        provider that says when it can be asked again is left alone until then, and is as well as it was before.
        """
        if not counts(error) or (error.status in _PERHAPS and now - self._answered < WINDOW):
            self.left(now, sent)
            return False
        if sent >= self._fresh:
            self._fail(now, error)
        return True

    def _fail(self, now: float, error: GatewayError) -> None:
        if not self._breaks:
            self._window.add(now, True)
        elif error.status == 429 and error.retry_after:
            self._until = max(self._until, now + min(error.retry_after, LONGEST_REST))
            self._probe_until = _NEVER
            self.calm = False
        else:
            if not self._failures:
                self._failing = now
            self._failures += 1
            self._refused = self._refused + 1 if error.status in _CREDENTIAL else 0
            self._window.add(now, True)
            if self._worse(now):
                self._open(now)

    def rests(self, now: float) -> float:
        """Seconds until it may be asked again; 0.0 where it may be now."""
        if self.may(now):
            return 0.0
        return self._until - now if now < self._until else self._since + self._nth(now) + 1 - now

    def share_failed(self, now: float) -> float:
        """The part of its recent requests that failed, from 0 to 1; those of about the last half a minute."""
        return self._window.share(now)

    def _nth(self, now: float) -> int:
        """The second that it is, counted from 0 when it began to recover."""
        return max(int(now - self._since), 0)

    def _silent(self, now: float) -> bool:
        """It failed for a while and answered nobody."""
        return now - max(self._answered, self._failing) > SILENCE

    def _spent(self, now: float) -> int:
        """Requests that went there in this second."""
        return self._used if self._nth(now) <= self._second else 0

    def _room(self, now: float) -> bool:
        """Fewer requests went to a recovering target in this second than may."""
        nth = self._nth(now)
        return nth >= RECOVERY or self._spent(now) < PROBES << nth

    def _better(self, now: float) -> None:
        """It answered while it was not well. An answer during a rest (somebody had nobody else to ask) makes the rest a short
        one, but does not end it: a target that answers one and fails the next would be asked by all in between.
        """
        if self._stage == "recovering" and self._nth(now) >= RECOVERY:
            self._stage, self._rests = "closed", 0
        if self._stage != "open":
            self.calm = self._stage == "closed" and now >= self._until
            return
        self._until = min(self._until, self._fresh + FIRST_REST)
        if now >= self._until:
            self._stage = "recovering"
            self._since, self._fresh = now, now - _ROUNDING
            self._second = self._used = 0
            self._probe_until = _NEVER
            self._window = _Window()

    def _worse(self, now: float) -> bool:
        """Whether a failure opens it. Those that fail together open it once: while it rests nothing more is learned."""
        if self._stage == "open":
            return now >= self._until and now < self._probe_until
        if self._stage == "recovering":
            if self._nth(now) < RECOVERY:
                return True
            self._stage, self._rests = "closed", 0
        return self._failures >= OPENS_AFTER or self._refused >= REFUSED_AFTER or self._window.bad()

    def _open(self, now: float) -> None:
        rest = LONGEST_REST if self._refused >= REFUSED_AFTER else min(FIRST_REST * 2.0**self._rests, LONGEST_REST)
        self._rests = min(self._rests + 1, 8)
        self._stage = "open"
        self.calm = False
        self._until = max(self._until, now + rest)
        self._fresh = now - _ROUNDING
        self._probe_until = _NEVER


class _Window:
    """The requests of about the last `WINDOW` seconds: those of this half, and those of the half before."""

    __slots__ = ("_before", "_failed", "_failed_before", "_seen", "_since")

    def __init__(self) -> None:
        self._since = _NEVER
        self._seen = self._failed = self._before = self._failed_before = 0

    def add(self, now: float, failed: bool) -> None:
        """One more request."""
        if now - self._since >= WINDOW / 2:
            self._turn(now)
        self._seen += 1
        self._failed += failed

    def bad(self) -> bool:
        """Half of them failed, and they are enough to tell."""
        seen = self._seen + self._before
        return seen >= SEEN and (self._failed + self._failed_before) * 2 >= seen

    def share(self, now: float) -> float:
        """The part of them that failed."""
        self._turn(now)
        seen = self._seen + self._before
        return (self._failed + self._failed_before) / seen if seen else 0.0

    def _turn(self, now: float) -> None:
        past = now - self._since
        if past < WINDOW / 2:
            return
        self._before, self._failed_before = (self._seen, self._failed) if past < WINDOW else (0, 0)
        self._seen = self._failed = 0
        self._since = now


def counts(error: GatewayError) -> bool:
    """Whether a failure is the target's: a wrong key and a missing model too, a request that it refuses not."""
    if error.kind is Kind.UPSTREAM_REFUSED:
        return error.status in OURS
    return error.fault == "upstream"
