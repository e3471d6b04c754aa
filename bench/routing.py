"""What routing adds to a request, and how well affinity keeps sessions together: inside of one process, without a network.

Everything from a model's name to a target and back is the gateway's own: `allowed`, `find_way`, and what is learned of the
answer. See docs/benchmarks.md.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

from report import Row
from rows import Bench
from trunkline.canon.errors import GatewayError, Kind
from trunkline.config.load import load
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.dialect import NOT_NAMED
from trunkline.dialects.table import DIALECTS
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.pipeline.admit import allowed, find_way
from trunkline.pipeline.exchange import Door, Exchange, Parts
from trunkline.routing.course import Standings

_ROUTES, _TARGETS = 1000, 20
_FEW = 10
"""Routes that stay in the processor's cache: what is left is the work itself."""
_BATCH = 20
_GOAL = 5.0
"""Microseconds that routing may add to a request."""
_SESSIONS, _REQUESTS = 500, 10_000
_HEADERS = {b"host": b"h", b"content-type": b"application/json", b"user-agent": b"bench", b"x-claude-code-session-id": b"5e55"}
_TALK = [{"role": "system", "content": "You are a helpful assistant. " * 10}, {"role": "user", "content": "Why? " * 120}]
_RULES: list[dict[str, Any]] = [
    {"when": {"images": True}, "use": "p1/eyes"},
    {"when": {"tokens_over": 100_000}, "use": "p2/long"},
    {"when": {"tags": ["batch"]}, "use": "p3/cheap"},
    {"when": {"headers": {"x-team": "research-*"}}, "use": "p4/research"},
]
_FACTS = {"context": 200_000, "media": ["image"]}

Kinds = Mapping[str, dict[str, Any]]
_PLAIN: dict[str, dict[str, Any]] = {
    name: {"strategy": name} for name in ("ordered", "weighted", "latency", "least_busy", "cost")
}
_MORE: dict[str, dict[str, Any]] = {
    "weighted, 4 rules that do not hold": {"strategy": "weighted", "rules": _RULES},
    "weighted, filters by size and media": {"strategy": "weighted", "filters": True},
    "weighted, affinity by session": {"strategy": "weighted", "affinity": "session"},
    "weighted, affinity by prompt": {"strategy": "weighted", "affinity": "prompt"},
    "cost, rules, filters, affinity by session": {
        "strategy": "cost", "rules": _RULES, "filters": True, "affinity": "session",
    },
}  # fmt: skip


def _snapshot(folder: Path, models: Mapping[str, Any], targets: int = _TARGETS) -> Snapshot:
    """The configuration with these models on as many providers as targets. The last one's models are known to be small."""
    place = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "none"}
    providers: dict[str, dict[str, Any]] = {f"p{at}": dict(place) for at in range(targets)}
    providers[f"p{targets - 1}"]["facts"] = {"filtered-*": {"context": 4096, "media": []}}
    file = folder / "trunkline.yaml"
    keys = [{"name": "bench", "secret": "tl-bench-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"}]
    file.write_text(json.dumps({"providers": providers, "models": models, "keys": keys}))
    file.chmod(0o600)
    return load(file, {})


def _model(number: int, kind: dict[str, Any], targets: int = _TARGETS) -> dict[str, Any]:
    spec = {name: value for name, value in kind.items() if name != "filters"}
    stem = "filtered" if kind.get("filters") else "plain"
    return {**spec, "targets": [f"p{at}/{stem}-{number}" for at in range(targets)]}


class Stage:
    """The parts of the gateway that routing meets."""

    def __init__(self, snapshot: Snapshot, mono: Callable[[], float] = time.monotonic) -> None:
        self.snapshot = snapshot
        unit = {f"p{at}": (100.0 + at, 400.0 + at) for at in range(_TARGETS)}
        self.standings = Standings(lambda target: unit[target.provider.name])
        live = SimpleNamespace(snapshot=snapshot, credentials={})
        self.parts = cast(
            "Parts",
            SimpleNamespace(
                live=live, new_id=str, clock_ns=time.time_ns, mono=mono, dice=random.Random(5).random, standings=self.standings
            ),
        )

    def exchange(self, model: str, headers: Mapping[bytes, bytes] = _HEADERS, **fields: Any) -> Exchange:
        """A request as it stands when its body was read."""
        request = Request("127.0.0.1", 0.0)
        request.headers = dict(headers)
        request.body = json.dumps({"model": model, "messages": _TALK, "max_tokens": 500, **fields}).encode()
        door = Door("chat.completions", DIALECTS["openai_chat"], NOT_NAMED)
        exchange = Exchange(self.parts, door, self.snapshot.principals[0], request, cast("Reply", None), b"")
        exchange.ask = exchange.dialect.read_request(request.body, NOT_NAMED)
        return exchange

    def go(self, exchange: Exchange, model: str) -> int:
        """One request there and back; the place of its target."""
        way = find_way(exchange, self.parts, allowed(exchange, model))
        standing = way.candidates.course.standings[way.first]
        way.candidates.tried(way.first)
        begun = self.parts.mono()
        self.standings.asked(standing, way.candidates.tokens, begun)
        standing.busy -= 1
        standing.succeeded(begun, self.parts.mono(), None)
        return way.first


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def costs(folder: Path, kinds: Kinds, routes: int, rounds: int) -> dict[str, list[float]]:
    """Microseconds a request by kind, one figure a round through all routes: the median of its batches. The requests are at
    hand, as if they had just come in; the routes are met in no order.
    """
    found: dict[str, list[float]] = {}
    for name, kind in kinds.items():
        stage = Stage(_snapshot(folder, {f"m{number}": _model(number, kind) for number in range(routes)}))
        models = [f"m{number}" for number in range(routes)]
        random.Random(3).shuffle(models)
        for model in models:  # what each route makes once; and for those that go by it, how quick each target is
            stage.go(stage.exchange(model), model)
            for standing in stage.standings.along(stage.snapshot.routes[model]).standings if name == "latency" else ():
                now = stage.parts.mono()
                standing.succeeded(now - 0.2, now, None)
        with _no_collector():
            found[name] = [_round(stage, models) for _ in range(rounds)]
    return found


def _round(stage: Stage, models: list[str]) -> float:
    exchanges = [stage.exchange("m0", user=f"user-{number}") for number in range(_BATCH)]
    times = []
    for start in range(0, max(len(models), _BATCH), _BATCH):
        batch = [(exchange, models[(start + at) % len(models)]) for at, exchange in enumerate(exchanges)]
        begun = time.perf_counter()
        for exchange, model in batch:
            stage.go(exchange, model)
        times.append((time.perf_counter() - begun) / _BATCH)
    return median(times) * 1e6


class Kept:
    """Sessions over five targets of which one falls ill in the middle third: who met the target that has its prompt cached."""

    def __init__(self, folder: Path, strategy: str, affinity: str, *, ill: bool) -> None:
        kind = {"strategy": strategy, "affinity": affinity}
        self.now = 1000.0
        stage = Stage(_snapshot(folder, {"m": _model(0, kind, 5)}, 5), lambda: self.now)
        dice = random.Random(11)
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        self.hits = self.again = self.spilled = self.at_ill = self.returned = 0
        down = GatewayError(Kind.UPSTREAM_UNREACHABLE, "down")
        sick = stage.standings.along(stage.snapshot.routes["m"]).standings[2]
        self.shares: Counter[int] = Counter()
        for number in range(_REQUESTS):
            self.now += 0.02
            third = number * 3 // _REQUESTS
            if ill and third == 1:
                for _ in range(5):
                    sick.circuit.failed(self.now, down)
            session = dice.randrange(_SESSIONS)
            headers = _HEADERS | {b"x-claude-code-session-id": b"session-%d" % session}
            talk = [{"role": "user", "content": f"Question {session}"}, *_TALK[1:] * (number % 3)]
            at = stage.go(stage.exchange("m", headers, messages=talk), "m")
            self.shares[at] += 1
            if session in last:
                self.again += 1
                self.hits += last[session] == at
            last[session] = at
            home = first.setdefault(session, at)
            if ill and home == 2:
                self.at_ill += third == 1
                self.spilled += third == 1 and at != 2
                self.returned += number >= _REQUESTS * 0.9 and at == 2
        self.late = sum(home == 2 for home in first.values())

    @property
    def rate(self) -> float:
        """Percent of requests that met the target of their session's last one."""
        return self.hits / self.again * 100


def routing(bench: Bench) -> list[Row]:
    """Time of everything between a model's name and a target, and back; then affinity."""
    rounds = 5 if bench.quick else 15
    many = costs(bench.place(), _PLAIN | _MORE, _ROUTES, rounds)
    few = costs(bench.place(), _PLAIN | _MORE, _FEW, rounds * 10)
    what = f"{_ROUTES:,} routes x {_TARGETS}: {{}}"
    rows = [Row("routing", what.format(name), "us/request", figures, target=_GOAL) for name, figures in many.items()]
    for row, name in zip(rows, many, strict=True):
        row.other = median(few[name])
    for affinity in ("none", "session", "prompt"):
        kept = Kept(bench.place(), "weighted", affinity, ill=False)
        rows.append(
            Row("routing", f"{_REQUESTS:,} requests of {_SESSIONS} sessions, affinity: {affinity}, hits", "%", [kept.rate])
        )
    kept = Kept(bench.place(), "weighted", "session", ill=True)
    rows.append(Row("routing", "the same by session, one of five ill for a third, hits", "%", [kept.rate]))
    rows.append(Row("routing", "what spilled of the ill one's share meanwhile", "%", [kept.spilled / kept.at_ill * 100]))
    return rows


ROUTING: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "routing": ("Time that routing adds, in the process", f"{_FEW} routes", routing),
}
"""As `rows.SECTIONS`."""
