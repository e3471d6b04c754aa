"""What limits, budgets and the ledger add to a request: inside of one process, without a network.

Everything from a body that was read to a record in the journal is the gateway's own: `admit`, the answer's head and `settle`,
with the real meters and the real journal. See docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import msgspec

import load
import wire
from processes import CLIENT_KEY
from report import Row
from routing import _no_collector
from rows import Bench, Tally, _interleaved
from trunkline.canon.usage import Usage
from trunkline.config.load import load as load_config
from trunkline.dialects.dialect import NOT_NAMED
from trunkline.dialects.table import DIALECTS
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.ledger.journal import NOWHERE, Journal
from trunkline.ledger.prices import Prices
from trunkline.meters.books import Books
from trunkline.meters.local import Local
from trunkline.meters.rule import Rule, Rules
from trunkline.pipeline.admit import admit
from trunkline.pipeline.claim import claim, gates
from trunkline.pipeline.clock import Clock
from trunkline.pipeline.estimate import estimate
from trunkline.pipeline.exchange import Door, Exchange, Parts
from trunkline.pipeline.ids import Ids
from trunkline.pipeline.outgoing import head
from trunkline.pipeline.settle import price, settle
from trunkline.policy.keys import KeyRing, Principal
from trunkline.routing.course import Standings
from trunkline.telemetry.metrics import Metrics

GOAL = 15.0
"""Microseconds that all of it together may add."""
_BATCH = 2000
_HOLDERS = ("key", "team", "organisation")
_BODY = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "Why? " * 190}]}
_USED = Usage(input=240, output=120, basis="reported")


def rules(names: Mapping[str, str]) -> Rules:
    """Requests, tokens, concurrency and a month's budget for each holder."""
    found = []
    for kind, name in names.items():
        holder = f"{kind}:{name}"
        found += [Rule(holder, "requests", 10**9), Rule(holder, "tokens", 10**12), Rule(holder, "concurrent", 10**6)]
        found.append(Rule(holder, "money", 10**15, "month"))
    return Rules(tuple(found))


class _Nowhere:
    """A journal that writes nothing."""

    def __init__(self) -> None:
        self.pending: list[object] = []

    def open(self, _record: object) -> Any:
        return NOWHERE

    def settle(self, _ticket: object, _record: object) -> None:
        pass


class Stage:
    """The parts of the gateway that an account meets."""

    def __init__(self, folder: Path, *, ledger: bool) -> None:
        file = folder / "trunkline.yaml"
        place = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "none"}
        file.write_text(json.dumps({"providers": {"p": place}, "models": {"m": {"targets": ["p/gpt-4.1"]}}}))
        file.chmod(0o600)
        snapshot = load_config(file, {})

        async def nothing(_holder: str, _window: object) -> int:
            return 0

        self.meters = Local(nothing, lambda *_: None, Books(time.monotonic_ns, time.time_ns()))
        self.principal = Principal("bench", b"x" * 32)
        live = SimpleNamespace(snapshot=snapshot, keys=KeyRing((self.principal,)), credentials={}, prices=Prices.load())
        self.parts = cast(
            "Parts",
            SimpleNamespace(
                live=live,
                prices=live.prices,
                journal=Journal(folder / "journal") if ledger else _Nowhere(),
                meters=self.meters,
                metrics=Metrics("bench"),
                log=SimpleNamespace(request=lambda _: None),
                clock_ns=time.time_ns,
                mono=time.monotonic,
                new_id=Ids(Clock()),
                dice=random.Random(5).random,
                standings=Standings(lambda _: None, gates(self.meters)),
            ),
        )
        self._body = json.dumps(_BODY).encode()
        self._reply = cast("Reply", SimpleNamespace(status=200, bytes_out=500, gone=False))

    def exchange(self, principal: Principal) -> Exchange:
        """A request whose body is in."""
        request = Request("127.0.0.1", time.monotonic())
        request.method, request.path, request.body = "POST", "/v1/chat/completions", self._body
        door = Door("chat.completions", DIALECTS["openai_chat"], NOT_NAMED)
        return Exchange(self.parts, door, principal, request, self._reply, b"")

    def go(self, exchange: Exchange) -> None:
        """From admission to the books."""
        _at_once(admit(exchange, self.parts))
        head(exchange)
        price(exchange, self.parts, _USED, "")
        settle(exchange, self.parts)

    def per_request(self, principals: list[Principal]) -> float:
        """Microseconds of this thread's own time: of each batch the mean, and of those the median."""
        times = []
        for _ in range(3):
            exchanges = [self.exchange(principals[at % len(principals)]) for at in random.sample(range(_BATCH * 5), _BATCH)]
            with _no_collector():
                begun = time.thread_time()
                for exchange in exchanges:
                    self.go(exchange)
                times.append((time.thread_time() - begun) / _BATCH)
            self.parts.journal.pending.clear()  # nobody stores them here; in a gateway their memory is used again
        return median(times) * 1e6


def _at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it waits")


def _keys(stage: Stage, count: int, holders: tuple[str, ...] = _HOLDERS) -> list[Principal]:
    """Each with limits of its own, in one of a hundred teams of one organisation, under the ring's one digest."""
    made = []
    for at in range(count):
        names = dict(zip(holders, (f"k{at}", f"t{at % 100}", "o"), strict=False))
        made.append(msgspec.structs.replace(stage.principal, name=f"k{at}", rules=rules(names)))
    for _ in range(2):  # books that grow begin their counters anew
        asyncio.run(_first(stage, made))
    return made


async def _first(stage: Stage, principals: list[Principal]) -> None:
    """The first request of each reads what was spent before."""
    for principal in principals:
        exchange = stage.exchange(principal)
        await admit(exchange, stage.parts)
        settle(exchange, stage.parts)


def _parts_of(stage: Stage, principal: Principal, rounds: int) -> dict[str, list[float]]:
    """Where the time of limits goes: the estimate, and the meters with it."""
    found: dict[str, list[float]] = {"estimate": [], "estimate, reserve and settle": []}
    for _ in range(rounds):
        exchanges = [stage.exchange(principal) for _ in range(_BATCH)]
        ways = [_at_once(admit(exchange, stage.parts)) for exchange in exchanges]
        for exchange in exchanges:
            settle(exchange, stage.parts)
        with _no_collector():
            begun = time.thread_time()
            for exchange, way in zip(exchanges, ways, strict=True):
                exchange.most = None
                estimate(exchange, stage.parts, way.candidates)
            middle = time.thread_time()
            for exchange, way in zip(exchanges, ways, strict=True):
                exchange.most = None
                _at_once(claim(exchange, stage.parts, way.route, way.candidates))
                hold, exchange.hold = exchange.hold, None
                stage.meters.settle(cast("Any", hold), 360, 1_440_000)
            end = time.thread_time()
        found["estimate"].append((middle - begun) / _BATCH * 1e6)
        found["estimate, reserve and settle"].append((end - middle) / _BATCH * 1e6)
    return found


_OWN = "limits: {rpm: 1000000000, tpm: 1000000000000, concurrent: 1000000}, budgets: [{usd: 1000000, per: month}]"
_SIDES = {
    "none": ("", ""),
    "key": (f", {_OWN}", ""),
    "all": (f", team: t, {_OWN}", f"teams:\n  t: {{organisation: o, {_OWN}}}\norganisations:\n  o: {{{_OWN}}}\n"),
}
"""More of the client's key, and more of the configuration."""


def _served(bench: Bench) -> dict[str, list[float]]:
    """CPU of the whole process per 1 KB request, by what its key is under."""
    body = wire.prompt(wire.KIB)
    with ExitStack() as stack:
        gateways = {name: stack.enter_context(bench.gateway(limits=side)) for name, side in _SIDES.items()}

        def side(name: str, seconds: float) -> float:
            def work() -> tuple[int, int]:
                count = load.whole(gateways[name].port, body, CLIENT_KEY, seconds, bench.folder)
                return count, count

            return Tally(gateways[name]).cost(work)

        for name in gateways:
            side(name, 1.0)  # warm
        return _interleaved({name: partial(side, name, bench.seconds) for name in gateways}, 3 if bench.quick else 5)


def limits(bench: Bench) -> list[Row]:
    """Requests through the whole process, with limits and without; then, inside of one process, where the time goes."""
    served = _served(bench)
    rounds = 3 if bench.quick else 9
    bare, books = Stage(bench.place(), ledger=False), Stage(bench.place(), ledger=True)
    one, many = _keys(books, 1), _keys(books, 10_000)
    keys = {"ledger": [books.principal], "four": _keys(books, 1, _HOLDERS[:1]), "all": one, "many": many}
    plain: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in keys}
    for _ in range(rounds):
        plain.append(bare.per_request([bare.principal]))
        for name, principals in keys.items():
            found[name].append(books.per_request(principals))

    def beyond(more: list[float], less: list[float]) -> list[float]:
        return [a - b for a, b in zip(more, less, strict=True)]

    parts = _parts_of(books, one[0], rounds)
    return [
        Row("limits", "1 KB prompt, no limits", "us/request", served["none"]),
        Row("limits", "four limits and budgets of its key add", "us/request", beyond(served["key"], served["none"])),
        Row("limits", "twelve, of key, team and organisation, add", "us/request", beyond(served["all"], served["none"])),
        Row("limits", "in the process: the ledger", "us/request", beyond(found["ledger"], plain)),
        Row("limits", "the ledger and four limits and budgets", "us/request", beyond(found["four"], plain), target=GOAL),
        Row("limits", "the ledger and twelve", "us/request", beyond(found["all"], plain), target=GOAL),
        *(Row("limits", f"of that: {name}, of twelve", "us/request", took) for name, took in parts.items()),
        Row("limits", "10,000 keys taking turns, against 1", "us/request", found["many"], found["all"]),
    ]


LIMITS: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "limits": ("Time that limits, budgets and the ledger add, in the process", "", limits),
}
"""As `rows.SECTIONS`."""
