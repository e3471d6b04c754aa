"""A route's targets with what is known of each, ready to choose from; and all that are known, over every reload.

Pure. What is known of one target belongs in `standing`, who is chosen in `choose`.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Container, Sequence
from hashlib import blake2b
from itertools import accumulate, chain, islice
from math import inf
from struct import Struct
from weakref import WeakValueDictionary

from trunkline.providers.provider import Target
from trunkline.routing.budget import of_hedges
from trunkline.routing.route import Route
from trunkline.routing.standing import Gate, Seat, Standing
from trunkline.routing.traits import distinguishing

Unit = Callable[[Target], tuple[float, float] | None]
"""Nano-dollars of a token in and of one out; None where no price is known."""
Prices = tuple[tuple[tuple[float, float], ...], tuple[int, ...]]
"""What each target costs, as a `Unit` says, and the places of those that are the cheapest for some request."""

MOST_MADE = 8192
"""Targets of all courses of names that clients made up (`provider/anything`) that are kept; the oldest course goes first."""
_PRICED_FOR = 60.0
_DEAR = (inf, inf)
"""A price that is not known: everyone whose price is known comes first."""
_POINTS = 64
"""On the ring, for a target of average weight: shares come out within some 12 %."""
_EIGHT = Struct(">8Q")


class Course:
    """One route with the standing of each of its targets, ready to choose from."""

    __slots__ = (
        "_owners", "_priced_at", "_prices", "_ring", "_unit", "everyone", "first", "hedging", "kept", "names", "picky",
        "quick", "route", "seats", "standings", "sums", "targets",
    )  # fmt: skip

    def __init__(self, route: Route, of: Callable[[Target], Standing], unit: Unit) -> None:
        self.route = route
        self.everyone = (*route.targets, *route.fallbacks)
        self.standings = tuple(of(target) for target in self.everyone)
        self.names = frozenset(target.provider.name for target in self.everyone)
        """Of the providers."""
        self.first = len(route.targets)
        """From here on they are fallbacks."""
        self.targets = range(self.first)
        self.picky = bool(distinguishing(self.everyone))
        """Some of these take requests that others do not."""
        self.sums = tuple(accumulate(target.weight for target in route.targets))
        self.quick: list[tuple[float, Sequence[int]]] = [(-inf, ()), (-inf, ())]
        """Until when it holds who is quick, for whole answers and for streams."""
        self.seats = _seats(self.everyone)
        """For each target the range of those that differ from it by the credential alone."""
        if route.strategy == "latency":
            for standing in self.standings:
                standing.compared = True
        self.kept: dict[frozenset[str] | None, object] = {}
        """What others work out of it and keep as long as it lives, by the providers that a key is limited to."""
        self.hedging = of_hedges(route.hedge.share if route.hedge is not None else 0.0)
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
        digests = (blake2b(f"{name}{n}".encode()).digest() for n in range(-(-count // 8)))  # of eight points each
        points += [(point, at) for point in islice(chain.from_iterable(map(_EIGHT.unpack, digests)), count)]
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

    def __init__(self, unit: Unit, gate: Callable[[Target], Gate | None] = lambda _: None) -> None:
        """`gate`: of a target's provider, where the operator set limits."""
        self._unit = unit
        self._gate = gate
        self._found: WeakValueDictionary[tuple[str, int, str], Standing] = WeakValueDictionary()
        self._seats: WeakValueDictionary[tuple[str, int], Seat] = WeakValueDictionary()
        self._courses: dict[str, Course] = {}
        self._made: dict[str, Course] = {}
        """Of names that clients made up."""
        self._held = 0
        """Targets of those."""
        self.turns = 0

    def of(self, target: Target) -> Standing:
        """One target's. A provider that a reload moved elsewhere, or gave another credential, begins anew."""
        provider = target.provider
        seat = self._seats.get((provider.name, provider.seat))
        if seat is None or not seat.holds(provider):
            seat = self._seats[provider.name, provider.seat] = Seat(provider)
        key = (provider.name, provider.seat, target.model)
        found = self._found.get(key)
        if found is None or found.seat is not seat:
            found = self._found[key] = Standing(target, seat)
        found.gate = self._gate(target)  # a reload may have changed it
        return found

    def along(self, route: Route) -> Course:
        """A route's; made once for each, and again when the configuration changed it."""
        courses = self._made if route.made else self._courses
        found = courses.get(route.name)
        if found is None or found.route is not route:
            made = Course(route, self.of, self._unit)  # while the one before it still holds what was learned
            self._forget(courses, route.name)
            if route.made:
                self._held += len(made.everyone)
                while self._held > MOST_MADE and courses:
                    self._forget(courses, next(iter(courses)))
            found = courses[route.name] = made
        return found

    def _forget(self, courses: dict[str, Course], name: str) -> None:
        course = courses.pop(name, None)
        if course is not None and course.route.made:
            self._held -= len(course.everyone)

    def part(self, route: Route) -> Course:
        """One that is made for a single request, of a part of a route's targets; what is learned stays with those."""
        return Course(route, self.of, self._unit)

    def asked(self, standing: Standing, tokens: int, now: float) -> None:
        """A request of so many tokens goes to a target."""
        self.turns += 1
        standing.asked(self.turns, tokens, now)

    def keep(self, routes: Collection[str], providers: Collection[str]) -> None:
        """Forget, after a reload, what no configured model leads to any more. `routes`, `providers`: the names there are."""

        def kept(course: Course) -> bool:
            route = course.route
            return (route.made or not route.entry or route.name in routes) and all(
                target.provider.name in providers for target in course.everyone
            )

        for courses in (self._courses, self._made):
            for name in [name for name, course in courses.items() if not kept(course)]:
                self._forget(courses, name)

    def all(self) -> dict[tuple[str, int, str], Standing]:
        """Everyone's, by provider, credential and model."""
        return dict(self._found)

    def unwell(self, now: float) -> list[str]:
        """The provider of each target that is not well."""
        return [key[0] for key, standing in self.all().items() if standing.state(now) != "closed"]
