"""In which order a request's targets are tried. Pure: the dice are handed in.

What follows when one of them fails belongs in `retry`.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.providers.provider import Target
from trunkline.routing.route import Route


def order(route: Route, dice: Callable[[], float], may: Callable[[Target], bool]) -> tuple[Target, ...]:
    """All of a route's targets, the first to be tried first; its fallbacks come after them, as they are written.

    Those that `may` says no to, because they are not well, come last of all: better asked than nobody.

    `dice`: a number from 0 to 1, a new one each time. Weighted: a target stands first as often as its weight is of all
    weights, and second as often as its weight is of those left (Efraimidis and Spirakis, "Weighted random sampling with a
    reservoir", 2006).
    """
    targets = route.targets
    if route.strategy == "weighted" and len(targets) > 1:
        drawn = {id(target): dice() ** (1 / target.weight) for target in targets}
        targets = tuple(sorted(targets, key=lambda target: -drawn[id(target)]))
    everyone = (*targets, *route.fallbacks)
    return everyone if len(everyone) == 1 else tuple(sorted(everyone, key=lambda target: not may(target)))
