"""How the process is doing, for whoever looks: targets, pools, journal, configuration. No secret, and nothing of any request.

Names of models that clients made up are not shown unless they were answered; how many such there are, is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

import msgspec

from trunkline.config.snapshot import Snapshot
from trunkline.edge.pool import Told
from trunkline.ledger.journal import Stats
from trunkline.routing.condition import Condition, condition
from trunkline.routing.course import Standings

MOST = 1000
"""Targets that are told of; those that are not well come first."""
_WORST = ("closed", "recovering", "half_open", "open")

Key = tuple[str, int, str]
"""Provider, credential and model."""


class TargetTold(msgspec.Struct, frozen=True):
    """One target."""

    provider: str
    model: str
    credential: int
    """Which of its provider's, counted from 1."""
    configured: bool
    """A model of the configuration leads there."""
    condition: Condition


class Status(msgspec.Struct, frozen=True):
    """The process at this moment."""

    version: str
    uptime: float
    """Seconds."""
    in_flight: int
    """Requests that have begun and not ended."""
    draining: bool
    source: str
    """Where the configuration in force came from."""
    generation: int
    """1 at the start; one more with each that was applied."""
    journal: Stats
    targets: tuple[TargetTold, ...]
    others: int
    """Targets that are not told of."""
    pools: tuple[Told, ...]


def targets(snapshot: Snapshot, standings: Standings, now: float, most: int = MOST) -> tuple[tuple[TargetTold, ...], int]:
    """The configured targets and those that answered, by provider and model; and how many there are besides."""
    configured, known = set(_configured(snapshot)), standings.all()
    answered = {key for key, one in known.items() if one.served and _calls(snapshot, key)}
    shown = configured | answered

    def rank(key: Key) -> tuple[int, bool, int]:
        standing = known.get(key)
        if standing is None:
            return 0, True, 0
        return _WORST.index(standing.state(now)), key in configured, standing.turn  # clients make up names

    told = [
        TargetTold(key[0], key[2], key[1] + 1, key in configured, condition(known[key], now) if key in known else Condition())
        for key in heapq.nlargest(most, shown, key=rank)
    ]
    return tuple(sorted(told, key=lambda one: (one.provider, one.model, one.credential))), len(shown | known.keys()) - len(told)


def states(snapshot: Snapshot, standings: Standings, now: float, most: int = MOST) -> Mapping[tuple[str, ...], float]:
    """For the metrics: 1 by provider, model and state, for configured targets; the worst of several credentials counts."""
    worst: dict[tuple[str, str], int] = {}
    known = standings.all()
    for key in _configured(snapshot):
        name = (key[0], key[2])
        if name in worst or len(worst) < most:
            standing = known.get(key)
            state = 0 if standing is None else _WORST.index(standing.state(now))
            worst[name] = max(worst.get(name, 0), state)
    return {(*name, _WORST[state]): 1.0 for name, state in worst.items()}


def _configured(snapshot: Snapshot) -> Iterator[Key]:
    for route in snapshot.routes.values():
        for one in (*route.targets, *route.fallbacks):
            yield one.provider.name, one.provider.seat, one.model


def _calls(snapshot: Snapshot, key: Key) -> bool:
    """Somebody is asked there: the built-in provider answers to any name."""
    provider = snapshot.providers.get(key[0])
    return provider is not None and not provider.builtin
