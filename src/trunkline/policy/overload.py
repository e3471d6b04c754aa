"""Whom to turn away when there is more to do than can be done: by what is in flight, and by how late the event loop runs.

Pure: lateness is an argument, and shares are dealt out by counting, not by dice. Who measures, and how a refusal is told,
belongs elsewhere.

Two bounds, both by the key's priority. *Slots*: so many exchanges may be in flight, a share of them only for higher priorities
(Stripe's fleet-usage shedder keeps a fifth). *Rate*: while the loop runs late, so many requests a second are let in, found by
lowering it where the loop stays late and raising it where it does not; high priority takes of it first, then normal, then low.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
"""From who is turned away last to who is turned away first."""

PERIOD = 0.05
"""Seconds between two ticks of a loop that is in time."""
TARGET = 0.03
"""Seconds that the loop may run late: a request takes some five turns of it."""
SEVERE = 0.5
"""Seconds late at which the rate is lowered at once, and even high priority keeps to it where it alone is more."""
BUSY = 0.2
"""Of the time, the share that the loop must have worked where it is late by its own fault."""
FEW = 50
"""Clients asking at the same time, with fewer of whom it is not: work for each of them takes no longer than `TARGET`."""
STANDING = 3
"""Ticks in a row that must be late. A pause of the collector or of the machine makes one late, or two."""
SLOTS: dict[Priority, float] = {"high": 1.0, "normal": 0.8, "low": 0.6}
"""Of the exchanges that may be in flight, the share that is open to each."""
FREE = 200
"""Refusals a second that need not wait."""
MAX_HOLD = 1.0
"""Seconds that a refusal waits, at most. A refusal costs a fifth of a request, and of those who wait none costs more."""
MAX_RETRY = 8
"""Seconds that clients are told to stay away, at most."""
_DOWN = (0.8, 0.95)
"""What the rate is multiplied by where the loop stays late: from very late to a little."""
_UP, _FASTER = 1.03, 0.02
"""What it is multiplied by at a tick that is not late; and how much more for each tick before that found the loop idle."""
_IDLE = TARGET / 3
"""Seconds late below which there is room."""
_MAX_IDLE = 4
_OFF = 1.5
"""How many times what is asked for the rate must be for the bound to be lifted."""
_MEMORY = 0.25
"""Seconds over which rates are averaged."""


class _Class:
    """What is known of one priority."""

    __slots__ = ("asked", "credit", "demand", "refused", "share", "slots")

    def __init__(self) -> None:
        self.slots = 0
        self.asked = 0
        """Since the last tick."""
        self.demand = 0.0
        """Requests a second, on average."""
        self.share = 1.0
        """Of its requests, those that are let in."""
        self.credit = 0.0
        self.refused = 0


class Shedder:
    """Lets requests in or not. One per process; `tick` is to be called every `PERIOD`, as nearly as the loop manages."""

    def __init__(self, max_requests: int) -> None:
        """`max_requests`: exchanges that may be in flight."""
        self.limit: float | None = None
        """Requests a second that are let in; None: all."""
        self.hold = 0.0
        """Seconds that refusals are to wait. Where they are many, who waits for one sends no more meanwhile."""
        self.late = 0.0
        """Seconds, at the last tick."""
        self._lag = 0.0
        """The same, so far as it is our own work's."""
        self._classes = {priority: _Class() for priority in PRIORITIES}
        self._admitted = 0
        self._lates: list[float] = []
        self._idle = 0
        """Ticks in a row that found the loop idle."""
        self._admits = 0.0
        self._refusals = 0.0
        self._turn = 0
        self._spread = 2
        self.resize(max_requests)

    def resize(self, max_requests: int) -> None:
        """Take another bound. Nobody who is in is turned out."""
        for priority, one in self._classes.items():
            one.slots = max(1, int(max_requests * SLOTS[priority]))

    def has_slot(self, priority: Priority, in_flight: int) -> bool:
        """Whether one more exchange may be in flight beside those that are; counts it where not."""
        one = self._classes[priority]
        if in_flight < one.slots:
            return True
        one.refused += 1
        return False

    def admits(self, priority: Priority, in_flight: int) -> bool:
        """Whether a request that arrives now is let in; counts it either way."""
        one = self._classes[priority]
        one.asked += 1
        if one.share < 1.0:
            one.credit += one.share
            if one.credit < 1.0:
                one.refused += 1
                return False
            one.credit -= 1.0
        if not self.has_slot(priority, in_flight):
            return False
        self._admitted += 1
        return True

    def retry_after(self) -> int:
        """Seconds that the next one who is turned away is to stay away: not the same for all, or they come back as one."""
        self._turn += 1
        return 1 + self._turn % self._spread

    def tick(self, late: float, busy: float, in_flight: int, connections: int) -> None:
        """The timer ran `late` seconds after it was due: weigh what came since the last one.

        `busy`: of the time since then, the share in which the loop's thread had the processor. Where that is little, or few
        clients ask, the loop is late because of others, and turning requests away would mend nothing. A client that asks one
        thing after the other is one of the `connections`, however often it asks; idle ones are not `in_flight`.
        """
        elapsed = PERIOD + late
        weight = elapsed / (elapsed + _MEMORY)
        asked = 0
        for one in self._classes.values():
            asked += one.asked
            one.demand += (one.asked / elapsed - one.demand) * weight
            one.asked = 0
        self._admits += (self._admitted / elapsed - self._admits) * weight
        self._refusals += ((asked - self._admitted) / elapsed - self._refusals) * weight
        self._admitted = 0
        self.hold = min(MAX_HOLD, max(0.0, (self._refusals - FREE) / (FREE + self._admits / 2)))
        self.late = late
        self._lag = late if busy >= BUSY and min(connections, in_flight + asked) >= FEW else 0.0
        self._adapt(self._admits, 1 / elapsed)
        self._deal()

    def _adapt(self, admitted: float, least: float) -> None:
        """Find the rate. `admitted`: a second, on average. `least`: one request a tick, which is never too much."""
        self._lates = [*self._lates[1 - STANDING :], self._lag]
        demand = sum(one.demand for one in self._classes.values())
        standing = min(self._lates) if len(self._lates) == STANDING else 0.0
        if self.limit is not None and self._lag >= SEVERE:
            standing = self._lag  # three such ticks would take seconds
        if standing > TARGET:
            now = self.limit if self.limit is not None and self.limit < demand else admitted
            most, least_cut = _DOWN
            self.limit = max(least, now * max(most, min(least_cut, TARGET / standing)))
            self._lates.clear()  # what was done needs time to show
        elif self.limit is not None and self._lag <= TARGET:
            self.limit *= _UP + _FASTER * self._idle
            if self.limit > _OFF * demand:
                self.limit = None
        self._idle = min(_MAX_IDLE, self._idle + 1) if self._lag < _IDLE else 0
        self._spread = 2 if self.limit is None else max(2, min(MAX_RETRY, round(demand / self.limit)))

    def _deal(self) -> None:
        """Give each priority its share of the rate, the highest first."""
        left = self.limit
        for priority, one in self._classes.items():
            if left is None or one.demand <= left or (priority == "high" and self._lag < SEVERE):
                one.share, one.credit = 1.0, 0.0
            else:
                one.share = left / one.demand
            if left is not None:
                left = max(0.0, left - one.demand)

    def refused(self) -> Iterator[tuple[Priority, int]]:
        """How many were turned away so far, by priority."""
        return ((priority, one.refused) for priority, one in self._classes.items())
