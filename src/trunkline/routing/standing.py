"""What was learned of each target while the gateway ran: whether it is well, how fast it answers, what it still takes.

Pure: every clock reading is handed in. How long it is remembered belongs in `course`, who is chosen by it in `choose`.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.canon.errors import GatewayError
from trunkline.providers.allowances import Told
from trunkline.providers.provider import Provider, Target
from trunkline.routing.allowance import Allowance
from trunkline.routing.budget import Budget, of_target
from trunkline.routing.health import Circuit, State
from trunkline.routing.pace import Pace

_ACCOUNT = frozenset({401, 402})
"""Refusals of a credential, whatever the model: it is wrong, or its account is empty."""
Gate = Callable[[int], float]
"""Seconds until the limits that are set for a provider let a request of so many tokens go there; 0 where they do now."""


class Seat:
    """One credential of one provider, whatever the model: refused for one, it rests for all."""

    __slots__ = ("__weakref__", "_place", "circuit", "doubted")

    def __init__(self, provider: Provider) -> None:
        self.circuit = Circuit(breaks=provider.breaker)
        self.doubted = False
        """It was refused, and has not been taken since for long enough."""
        self._place = _place(provider)

    def holds(self, provider: Provider) -> bool:
        """Whether what is known is of this one, as it is configured now."""
        return self._place == _place(provider)

    def refused(self, begun: float, now: float, error: GatewayError) -> None:
        """What was sent at `begun` was refused for its sake."""
        self.doubted = True
        self.circuit.failed(now, error, begun)

    def taken(self, begun: float, now: float) -> None:
        """It was good enough for what was sent at `begun`."""
        self.circuit.succeeded(now, None, begun)
        self.doubted = self.circuit.state(now) != "closed"


def _place(provider: Provider) -> tuple[object, ...]:
    """What makes a provider another one under the same name, of which nothing is known yet."""
    return provider.origin, provider.head, provider.credential, provider.slow, provider.breaker


class Standing:
    """One target's: a model behind one credential of one provider. `asked` counts a request in flight, its end is counted by
    whoever sent it.
    """

    __slots__ = (
        "__weakref__", "_budget", "_paid", "allowance", "busy", "circuit", "compared", "gate", "pace", "seat", "served", "turn",
    )  # fmt: skip

    def __init__(self, target: Target, seat: Seat) -> None:
        provider = target.provider
        # what names no model has no other target, and what it asks for (a client's file, say) may be gone: that tells nothing
        self.circuit = Circuit(provider.slow, breaks=provider.breaker and bool(target.model))
        self.pace = Pace()
        self.compared = False
        """A route goes by how fast it is: only then that is reckoned for each answer."""
        self.allowance: Allowance | None = None
        """As soon as its provider told of one."""
        self.gate: Gate | None = None
        """Of its provider, where the operator set limits."""
        self.seat = seat
        self.busy = 0
        """Requests in flight."""
        self.turn = 0
        """When it was last asked, counted in requests of all targets: who waits longest is next."""
        self.served = 0
        """Requests it answered."""
        self._budget: Budget | None = None
        self._paid = 0
        """Answers that the budget knows of."""

    @property
    def budget(self) -> Budget:
        """Of its second tries, which its answers pay for."""
        if self._budget is None:
            self._budget = of_target()
        self._budget.asked(self.served - self._paid)
        self._paid = self.served
        return self._budget

    def well(self, tokens: int, now: float) -> bool:
        """Whether a request of so many tokens should go there."""
        if self.seat.doubted and not self.seat.circuit.may(now):
            return False
        if not self.circuit.calm and not self.circuit.may(now):
            return False
        if self.gate is not None and self.gate(tokens):
            return False
        return self.allowance is None or not self.allowance.wait(tokens, now)

    def held(self, tokens: int) -> float:
        """Seconds until our own limits let such a request go there: nobody goes beyond them, not even as a last resort."""
        return 0.0 if self.gate is None else self.gate(tokens)

    def last_resort(self, now: float) -> bool:
        """Whether it may be asked although it is not well, because nobody else is left."""
        return self.circuit.last_resort(now) and (not self.seat.doubted or self.seat.circuit.last_resort(now))

    def state(self, now: float) -> State:
        """How it is doing: as its credential, where that was refused."""
        seat = self.seat.circuit.state(now) if self.seat.doubted else "closed"
        return self.circuit.state(now) if seat == "closed" else seat

    def ill(self, tokens: int, now: float) -> str:
        """Why no request of so many tokens should go there, in a few words; empty where one should."""
        if self.seat.doubted and not self.seat.circuit.may(now):
            return _resting("its credential was refused", self.seat.circuit, now)
        if not self.circuit.may(now):
            return _resting("failed of late", self.circuit, now)
        if held := self.held(tokens):
            return f"is asked as much as its limits here allow, for {held:.1f} s"
        wait = self._wait(tokens, now)
        return f"has used up what its provider allows, for {wait:.1f} s" if wait else ""

    def rests(self, tokens: int, now: float) -> float:
        """Seconds until it should be asked again; at least one where it cannot be told."""
        if self.well(tokens, now):
            return 0.0
        seat = self.seat.circuit.rests(now) if self.seat.doubted else 0.0
        return max(self.circuit.rests(now), self._wait(tokens, now), self.held(tokens), seat) or 1.0

    def _wait(self, tokens: int, now: float) -> float:
        return 0.0 if self.allowance is None else self.allowance.wait(tokens, now)

    def asked(self, turn: int, tokens: int, now: float) -> None:
        """A request of so many tokens goes there, the `turn`th of all."""
        self.turn = turn
        self.busy += 1
        if not self.circuit.calm:
            self.circuit.asked(now)
        if self.allowance is not None:
            self.allowance.asked(tokens, now)
        if self.seat.doubted:
            self.seat.circuit.asked(now)

    def told(self, told: Told, now: float) -> None:
        """An answer of it came that says what is left of its limits."""
        if self.allowance is None:
            self.allowance = Allowance()
        self.allowance.told(told, now)

    def succeeded(self, begun: float, now: float, first: float | None, *, timed: bool = True) -> None:
        """It answered what was sent at `begun`; `first`: seconds to its first token, where they are known. `timed`: how long it
        took tells something of the target.
        """
        self.served += 1
        self.circuit.succeeded(now, first, begun)
        if self.seat.doubted:
            self.seat.taken(begun, now)
        if timed and (self.compared or first is not None):
            self._took(now - begun, now, first)

    def failed(self, begun: float, now: float, error: GatewayError) -> None:
        """It did not."""
        if self.circuit.failed(now, error, begun) and self.compared:
            self.pace.failed(now - begun, now)
        if error.status in _ACCOUNT and error.fault == "upstream":
            self.seat.refused(begun, now, error)
        elif self.seat.doubted:
            self.seat.circuit.left(now, begun)

    def outrun(self, begun: float, now: float, *, stream: bool) -> None:
        """Another target was quicker although this one was asked first: so long it took at least. Else only what came in time
        would be known of it, and with each answer that did not it would seem quicker.
        """
        self._took(now - begun, now, now - begun if stream else None)

    def left(self, begun: float, now: float, first: float | None) -> None:
        """What was sent at `begun` ended for reasons of its own: the target did well if it had begun to answer."""
        if first is None:
            self.circuit.left(now, begun)
            if self.seat.doubted:
                self.seat.circuit.left(now, begun)
            return
        self.circuit.succeeded(now, first, begun)
        if self.seat.doubted:
            self.seat.taken(begun, now)
        self._took(now - begun, now, first)

    def _took(self, whole: float, now: float, first: float | None) -> None:
        """So many seconds it took, to the first token where it was a stream."""
        if first is not None:
            self.pace.first(first)
        if self.compared:
            mean, seconds = (self.pace.answer, whole) if first is None else (self.pace.first_token, first)
            mean.add(seconds, now)


def _resting(why: str, circuit: Circuit, now: float) -> str:
    return f"{why} and rests for {circuit.rests(now):.0f} s" if circuit.state(now) == "open" else f"{why} and is being tried"
