"""How the process is doing, for whoever looks: targets, pools, journal, configuration. No secret, and nothing of any request.

Names of models that clients made up are not shown unless they were answered; how many such there are, is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

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


class WorkerTold(msgspec.Struct, frozen=True):
    """One of several processes."""

    worker: int
    process: int | None
    """Its id; None where it ended and is to be replaced."""
    state: Literal["serving", "draining", "silent", "ended", "failing"]
    """`silent`: it does not answer; `failing`: it ends again and again."""
    deaths: int
    """How often it was replaced."""
    uptime: float = 0.0
    in_flight: int = 0
    generation: int = 0
    backlog: int = 0
    """Settlements not yet in the store."""


class Status(msgspec.Struct, frozen=True):
    """The process at this moment; where there are several, all of them together."""

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
    workers: tuple[WorkerTold, ...] = ()
    """Each of them, where there are several."""


def together(told: Sequence[Status], workers: Sequence[WorkerTold]) -> Status:
    """Several processes as one: what is counted is summed; else the worst is told. `told`: of those who said something."""
    most = max(told, key=lambda one: one.uptime)
    return msgspec.structs.replace(
        most,
        in_flight=sum(one.in_flight for one in told),
        draining=all(one.draining for one in told),
        generation=min(one.generation for one in told),
        journal=_journals([one.journal for one in told]),
        targets=tuple(_of_all(target for one in told for target in one.targets)),
        others=max(one.others for one in told),
        pools=tuple(_pools(pool for one in told for pool in one.pools)),
        workers=tuple(workers),
    )


def _journals(stats: Sequence[Stats]) -> Stats:
    return Stats(
        healthy=all(one.healthy for one in stats),
        appended=sum(one.appended for one in stats),
        failed=sum(one.failed for one in stats),
        lost=sum(one.lost for one in stats),
        backlog=sum(one.backlog for one in stats),
    )


def _of_all(told: Iterable[TargetTold]) -> Iterator[TargetTold]:
    """Each target once."""
    same: dict[Key, list[TargetTold]] = {}
    for one in told:
        same.setdefault((one.provider, one.credential, one.model), []).append(one)
    for some in sorted(same.values(), key=lambda some: (some[0].provider, some[0].model, some[0].credential)):
        conditions = [one.condition for one in some]
        yield msgspec.structs.replace(some[0], condition=_worst_of(conditions))


def _worst_of(conditions: Sequence[Condition]) -> Condition:
    return Condition(
        state=max((one.state for one in conditions), key=_WORST.index),
        rests=max(one.rests for one in conditions),
        failed=max(one.failed for one in conditions),
        busy=sum(one.busy for one in conditions),
        served=sum(one.served for one in conditions),
        first_p50=max((one.first_p50 for one in conditions if one.first_p50 is not None), default=None),
        first_p95=max((one.first_p95 for one in conditions if one.first_p95 is not None), default=None),
        requests_left=min((one.requests_left for one in conditions if one.requests_left is not None), default=None),
        tokens_left=min((one.tokens_left for one in conditions if one.tokens_left is not None), default=None),
    )


def _pools(told: Iterable[Told]) -> Iterator[Told]:
    """Each provider's once."""
    same: dict[str, Told] = {}
    for one in told:
        known = same.get(one.provider)
        counts = {} if known is None else {name: getattr(known, name) + getattr(one, name) for name in _COUNTS}
        same[one.provider] = msgspec.structs.replace(one, **counts)
    yield from same.values()


_COUNTS = tuple(name for name in Told.__struct_fields__ if name != "provider")


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
