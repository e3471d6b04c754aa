"""What was learned of each target while the gateway ran: whether it is well, how fast it answers, what it still takes.

Pure: every clock reading is handed in. Who is chosen by it belongs in `choose`.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Container
from hashlib import blake2b
from itertools import accumulate
from math import inf
from weakref import WeakValueDictionary

from trunkline.canon.errors import GatewayError
from trunkline.providers.provider import Provider, Target
from trunkline.routing.allowance import Allowance
from trunkline.routing.budget import Budget
from trunkline.routing.health import Circuit, State, counts
from trunkline.routing.hedging import Hedging
from trunkline.routing.pace import Pace
from trunkline.routing.route import Route

Unit = Callable[[Target], tuple[float, float] | None]
"""Nano-dollars of a token in and of one out; None where no price is known."""
Prices = tuple[tuple[tuple[float, float], ...], tuple[int, ...]]
"""What each target costs, as a `Unit` says, and the places of those that are the cheapest for some request."""

MOST_MADE = 4096
"""Courses of names that clients made up (`provider/anything`) that are kept; the oldest goes first."""
_PRICED_FOR = 60.0
_DEAR = (inf, inf)
"""A price that is not known: everyone whose price is known comes first."""
_POINTS = 64
"""On the ring, for a target of average weight: shares come out within some 12 %."""
_ACCOUNT = frozenset({401, 402})
"""Refusals of a credential, whatever the model: it is wrong, or its account is empty."""


class Seat:
    """One credential of one provider, whatever the model: refused for one, it rests for all."""

    __slots__ = ("__weakref__", "circuit", "doubted", "place")

    def __init__(self, provider: Provider) -> None:
        self.circuit = Circuit(breaks=provider.breaker)
        self.doubted = False
        """It was refused, and has not been taken since for long enough."""
        self.place = _place(provider)

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
    return provider.origin, provider.head, provider.slow, provider.breaker


class Standing:
    """One target's: a model behind one credential of one provider. `asked` counts a request in flight, its end is counted by
    whoever sent it.
    """

    __slots__ = ("__weakref__", "allowance", "budget", "busy", "circuit", "pace", "seat", "served", "turn")

    def __init__(self, provider: Provider, seat: Seat) -> None:
        self.circuit = Circuit(provider.slow, breaks=provider.breaker)
        self.pace = Pace()
        self.allowance = Allowance()
        self.budget = Budget()
        self.seat = seat
        self.busy = 0
        """Requests in flight."""
        self.turn = 0
        """When it was last asked, counted in requests of all targets: who waits longest is next."""
        self.served = 0
        """Requests it answered."""

    def well(self, tokens: int, now: float) -> bool:
        """Whether a request of so many tokens should go there."""
        if self.seat.doubted and not self.seat.circuit.may(now):
            return False
        return self.circuit.may(now) and not self.allowance.wait(tokens, now)

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
        wait = self.allowance.wait(tokens, now)
        return f"has used up what its provider allows, for {wait:.1f} s" if wait else ""

    def rests(self, tokens: int, now: float) -> float:
        """Seconds until it should be asked again; at least one where it cannot be told."""
        if self.well(tokens, now):
            return 0.0
        seat = self.seat.circuit.rests(now) if self.seat.doubted else 0.0
        return max(self.circuit.rests(now), self.allowance.wait(tokens, now), seat) or 1.0

    def asked(self, turn: int, tokens: int, now: float) -> None:
        """A request of so many tokens goes there, the `turn`th of all."""
        self.turn = turn
        self.busy += 1
        self.budget.asked()
        self.circuit.asked(now)
        self.allowance.asked(tokens, now)
        if self.seat.doubted:
            self.seat.circuit.asked(now)

    def succeeded(self, begun: float, now: float, first: float | None, *, timed: bool = True) -> None:
        """It answered what was sent at `begun`; `first`: seconds to its first token, where they are known. `timed`: how long it
        took tells something of the target.
        """
        self.served += 1
        self.circuit.succeeded(now, first, begun)
        if self.seat.doubted:
            self.seat.taken(begun, now)
        if not timed:
            return
        if first is not None:
            self.pace.first(first, now)
        else:
            self.pace.whole(now - begun, now)

    def failed(self, begun: float, now: float, error: GatewayError) -> None:
        """It did not."""
        self.circuit.failed(now, error, begun)
        if error.status in _ACCOUNT and error.fault == "upstream":
            self.seat.refused(begun, now, error)
        elif self.seat.doubted:
            self.seat.circuit.left(now, begun)
        if counts(error):
            self.pace.failed(now - begun, now)

    def outrun(self, begun: float, now: float, *, stream: bool) -> None:
        """Another target was quicker although this one was asked first: so long it took at least. Else only what came in time
        would be known of it, and with each answer that did not it would seem quicker.
        """
        if stream:
            self.pace.first(now - begun, now)
        else:
            self.pace.whole(now - begun, now)

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


def _resting(why: str, circuit: Circuit, now: float) -> str:
    return f"{why} and rests for {circuit.rests(now):.0f} s" if circuit.state(now) == "open" else f"{why} and is being tried"


class Course:
    """One route with the standing of each of its targets, ready to choose from."""

    __slots__ = (
        "_owners", "_priced_at", "_prices", "_ring", "_unit", "everyone", "first", "first_tokens", "hedging", "loads", "route",
        "seats", "standings", "sums", "targets", "wholes",
    )  # fmt: skip

    def __init__(self, route: Route, of: Callable[[Target], Standing], unit: Unit) -> None:
        self.route = route
        self.everyone = (*route.targets, *route.fallbacks)
        self.standings = tuple(of(target) for target in self.everyone)
        self.first = len(route.targets)
        """From here on they are fallbacks."""
        self.targets = range(self.first)
        self.sums = tuple(accumulate(target.weight for target in route.targets))
        self.loads = tuple((at, self.standings[at], 1 / route.targets[at].weight) for at in self.targets)
        """Each target's place and standing, and what a request in flight there weighs."""
        self.seats = _seats(self.everyone)
        """For each target the range of those that differ from it by the credential alone."""
        self.first_tokens = tuple((at, self.standings[at], self.standings[at].pace.first_token) for at in self.targets)
        self.wholes = tuple((at, self.standings[at], self.standings[at].pace.answer) for at in self.targets)
        self.hedging = Hedging(route.hedge.share if route.hedge is not None else 0.0)
        self._unit = unit
        self._prices: Prices = ((), ())
        self._priced_at = -inf
        self._ring: tuple[int, ...] = ()
        self._owners: tuple[int, ...] = ()

    def prices(self, now: float) -> Prices:
        """What each target costs, and those that are the cheapest for some request. Some prices change with the hour."""
        if now - self._priced_at > _PRICED_FOR:
            self._priced_at = now
            units = tuple(self._unit(target) or _DEAR for target in self.route.targets)
            self._prices = units, tuple(at for at in self.targets if not any(_beats(one, units[at]) for one in units))
        return self._prices

    def nearest(self, key: int, among: Container[int]) -> int:
        """The one of these that a key of 64 bits prefers. All keys together prefer each as often as its weight, and where one
        is gone, only its own keys go elsewhere, spread over the others.

        Consistent hashing (Karger et al., 1997).
        """
        if not self._ring:
            self._ring, self._owners = _ring(self.everyone)
        at = bisect(self._ring, key) % len(self._ring)
        while self._owners[at] not in among:
            at = (at + 1) % len(self._ring)
        return self._owners[at]

    def drawn(self, dice: float) -> int:
        """One of the targets, as often as its weight is of all weights. `dice`: 0 to 1."""
        return min(bisect(self.sums, dice * self.sums[-1]), self.first - 1)


def _ring(targets: tuple[Target, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Points of 64 bits in order, and whose each is: every target has as many as its weight, spread by its name."""
    whole = sum(target.weight for target in targets)
    points = []
    for at, target in enumerate(targets):
        name = f"{target.provider.name}\n{target.provider.seat}\n{target.model}\n"
        count = max(1, round(_POINTS * len(targets) * target.weight / whole))
        points += [(int.from_bytes(blake2b(f"{name}{n}".encode(), digest_size=8).digest()), at) for n in range(count)]
    points.sort()
    return tuple(point for point, _ in points), tuple(at for _, at in points)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Is cheaper whatever is asked."""
    return one[0] <= other[0] and one[1] <= other[1] and one != other


def _seats(targets: tuple[Target, ...]) -> tuple[range, ...]:
    found: list[range] = []
    begin = 0
    for at in range(1, len(targets) + 1):
        if at == len(targets) or _name(targets[at]) != _name(targets[begin]):
            found += [range(begin, at)] * (at - begin)
            begin = at
    return tuple(found)


def _name(target: Target) -> tuple[str, str]:
    return target.provider.name, target.model


class Standings:
    """All targets', by provider, credential and model. Each lives as long as a route leads there: clients choose model names,
    and could fill the memory, or make us forget what they do not like.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._found: WeakValueDictionary[tuple[str, int, str], Standing] = WeakValueDictionary()
        self._seats: WeakValueDictionary[tuple[str, int], Seat] = WeakValueDictionary()
        self._courses: dict[str, Course] = {}
        self._made: dict[str, Course] = {}
        """Of names that clients made up."""
        self.turns = 0

    def of(self, target: Target) -> Standing:
        """One target's. A provider that a reload moved elsewhere, or gave another credential, begins anew."""
        provider = target.provider
        seat = self._seats.get((provider.name, provider.seat))
        if seat is None or seat.place != _place(provider):
            seat = self._seats[provider.name, provider.seat] = Seat(provider)
        key = (provider.name, provider.seat, target.model)
        found = self._found.get(key)
        if found is None or found.seat is not seat:
            found = self._found[key] = Standing(provider, seat)
        return found

    def along(self, route: Route) -> Course:
        """A route's; made once for each, and again when the configuration changed it."""
        courses = self._made if route.made else self._courses
        found = courses.get(route.name)
        if found is None or found.route is not route:
            found = Course(route, self.of, self._unit)
            if route.made and len(courses) >= MOST_MADE:
                del courses[next(iter(courses))]
            courses[route.name] = found
        return found

    def part(self, route: Route) -> Course:
        """One that is made for a single request, of a part of a route's targets; what is learned stays with those."""
        return Course(route, self.of, self._unit)

    def asked(self, standing: Standing, tokens: int, now: float) -> None:
        """A request of so many tokens goes to a target."""
        self.turns += 1
        standing.asked(self.turns, tokens, now)

    def all(self) -> dict[tuple[str, int, str], Standing]:
        """Everyone's, by provider, credential and model."""
        return dict(self._found)

    def unwell(self, now: float) -> list[str]:
        """The provider of each target that is not well."""
        return [key[0] for key, standing in self.all().items() if standing.state(now) != "closed"]
