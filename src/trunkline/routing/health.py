"""How each target has been doing, and so whether it is worth asking first. Pure: the clock is handed in.

A target that fails again and again is left alone for a while: its circuit is open. Then one request at a time tries whether it
is back. What counts as a failure is told by the error; who is asked instead belongs in `choose`.
"""

from __future__ import annotations

from typing import Literal

from trunkline.canon.errors import GatewayError, Kind
from trunkline.providers.provider import Target

OPENS_AFTER = 5
"""Failures in a row."""
FIRST_REST = 10.0
"""Seconds that a target is left alone at first; twice as long each time it fails again when it is tried."""
LONGEST_REST = 60.0
PROBE = 60.0
"""Seconds after which a request that tried a target, and was never heard of again, no longer keeps others from it."""

State = Literal["closed", "open", "half_open"]


class Circuit:
    """One target's."""

    __slots__ = ("_failures", "_probe_until", "_rests", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._rests = 0
        self._until = 0.0
        self._probe_until = 0.0

    def state(self, now: float) -> State:
        """Closed: asked like any other. Open: left alone. Half open: one request at a time may try."""
        if not self._until:
            return "closed"
        return "open" if now < self._until else "half_open"

    def may(self, now: float) -> bool:
        """Whether it may be asked now; nothing is changed by it."""
        state = self.state(now)
        return state == "closed" or (state == "half_open" and now >= self._probe_until)

    def asked(self, now: float) -> None:
        """A request goes to it."""
        if self.state(now) == "half_open":
            self._probe_until = now + PROBE

    def succeeded(self) -> None:
        """It answered."""
        self._failures = self._rests = 0
        self._until = self._probe_until = 0.0

    def failed(self, now: float, error: GatewayError) -> None:
        """It did not. Only what is wrong with the target counts, not what is wrong with a request; a provider that says when it
        can be asked again is left alone until then.
        """
        if not counts(error):
            return
        self._probe_until = 0.0
        self._failures += 1
        if error.status == 429 and error.retry_after:
            self._until = max(self._until, now + min(error.retry_after, LONGEST_REST))
        elif self._failures >= OPENS_AFTER:
            self._until = now + min(FIRST_REST * 2.0**self._rests, LONGEST_REST)
            self._rests = min(self._rests + 1, 8)


def counts(error: GatewayError) -> bool:
    """Whether a failure is the target's: a wrong key and a missing model too, a request that it refuses not."""
    if error.kind is Kind.UPSTREAM_REFUSED:
        return error.status in {401, 402, 403, 404}
    return error.fault == "upstream"


class Health:
    """All targets', by provider and model. Bounded: clients choose model names."""

    def __init__(self, most: int = 4096) -> None:
        """`most`: targets that are remembered; the oldest goes first."""
        self._most = most
        self._circuits: dict[tuple[str, str], Circuit] = {}

    def of(self, target: Target) -> Circuit:
        """One target's circuit."""
        key = (target.provider.name, target.model)
        found = self._circuits.get(key)
        if found is None:
            if len(self._circuits) >= self._most:
                del self._circuits[next(iter(self._circuits))]
            found = self._circuits[key] = Circuit()
        return found

    def unwell(self, now: float) -> dict[tuple[str, str], State]:
        """The targets whose circuit is not closed."""
        return {key: state for key, circuit in self._circuits.items() if (state := circuit.state(now)) != "closed"}
