"""The gateway and its scripted providers in one run of chaos: how they are set up, what was played, and the weather.

What is played for which request, and what may come of it, belongs in `model`; rounds and reports in `run`.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from chaos.model import Attempt, Plan, Route, Span, text
from chaos.plays import PLAYS, TONGUES, Part
from chaos.speech import NONCE
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import Seen, Step, completion, whole
from harness.upstream import Upstream
from real.tongues import Said

KINDS = ("openai", "anthropic", "gemini", "openai")
"""Of the flaky providers, in order. The sure one is of the first kind."""
SURE = "rock"
KEYS = {"flaky1": [PROVIDER_KEY, f"{PROVIDER_KEY}-2"]}
"""Of a provider that has several credentials."""
VARIANTS = 12
"""Of each route, with models of its own: one that failed too often rests, and the others go on being tried."""
TIMES = {"connect": "1s", "first_byte": "1s", "idle": "1s", "total": "20s"}
_BASES = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}
LAG = 0.25
"""Seconds beyond its time after which a thread that wakes up again holds that the machine stood still."""


def routes(flaky: tuple[str, ...]) -> tuple[Route, ...]:
    """The model names of a run with these flaky providers, of which there is at least one."""
    everyone = (*flaky, SURE)
    once = (
        Route("fallback", everyone, _seats(everyone), sure=True),
        Route("spread", everyone, _seats(everyone), sure=True),
        Route("again", (flaky[0], SURE), 4, sure=True),
        Route("shaky", flaky, len(flaky) + 1, sure=False),
        Route("lone", flaky[-1:], _seats(flaky[-1:]), sure=False),
        Route("hedged", everyone, _seats(everyone), sure=True, hedged=True),
    )
    return tuple(replace(route, name=f"{route.name}{variant}") for route in once for variant in range(VARIANTS))


def _seats(names: Iterable[str]) -> int:
    """How many targets they are: each credential is one."""
    return sum(len(KEYS.get(name, [PROVIDER_KEY])) for name in names)


def settings(places: dict[str, tuple[str, Upstream]]) -> dict[str, Any]:
    """The gateway's configuration for `routes`. `places`: provider -> kind and who plays it."""
    providers = {
        name: {
            "kind": kind,
            "base_url": f"http://{house.host}:{house.port}{_BASES[kind]}",
            "api_keys": KEYS.get(name, [PROVIDER_KEY]),
        }
        for name, (kind, house) in places.items()
    }
    again = {"backoff": "20ms", "max_backoff": "300ms"}
    models: dict[str, Any] = {"m": {"targets": [f"{SURE}/tiny"]}}
    for variant in range(VARIANTS):
        *flaky, sure = (f"{name}/tiny{variant}" for name in places)
        models |= {
            f"fallback{variant}": {"targets": flaky[:1], "fallbacks": [*flaky[1:], sure]},
            f"spread{variant}": {"targets": [*flaky, sure], "strategy": "weighted"},
            f"again{variant}": {"targets": [flaky[0], sure], "retry": {"attempts": 4, **again}},
            f"shaky{variant}": {"targets": flaky, "retry": {"attempts": len(flaky) + 1, **again}},
            f"lone{variant}": {"targets": flaky[-1:]},
            f"hedged{variant}": {"targets": [*flaky, sure], "hedge": {"after": "60ms", "share": 1}},
        }
    for model in models.values():
        model["timeouts"] = TIMES
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": providers,
        "models": models,
        "keys": [{"name": "tester", "secret": KEY}],
    }


class House:
    """One provider: plays what the plan of a request says, and keeps what it saw."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self.upstream = Upstream()
        self._stage = stage
        self.upstream.script(self._answer)
        self.asked: dict[str, list[tuple[str, Seen]]] = defaultdict(list)
        """Nonce -> what was played, in order."""

    def _answer(self, seen: Seen) -> Iterator[Step]:
        found = NONCE.search(seen.body)
        if found is None:
            return iter([whole(200, completion(seen))])
        plan = self._stage.plans[found[1].decode()]
        before = self.asked[plan.nonce]
        name = plan.play(self.name, len(before))
        before.append((name, seen))
        return PLAYS[name].steps(self._part(plan, seen, len(before)))

    def mark(self, nonce: str, number: int) -> str:
        """What every piece of an answer says."""
        return f"<{nonce}@{self.name}.{number}>"

    def _part(self, plan: Plan, seen: Seen, number: int) -> Part:
        dialect = next(name for name, tongue in TONGUES.items() if tongue.serves(seen.target.partition("?")[0]))
        asked = TONGUES[dialect].asked(seen)
        assert asked is not None, seen.target
        cut = random.Random(f"{plan.nonce} {self.name} {number}").random()
        return Part(dialect, asked, Said(text=text(self.mark(plan.nonce, number), plan.size)), cut)

    def attempts(self, nonce: str) -> list[Attempt]:
        """What it saw of one request."""
        return [
            Attempt(
                provider=self.name,
                play=name,
                mark=self.mark(nonce, number),
                at=seen.at,
                reused=seen.number > 1,
                ended=seen.ended,
                ended_at=seen.ended_at,
                clean=KEY.encode() not in seen.head + seen.body,
            )
            for number, (name, seen) in enumerate(self.asked.get(nonce, ()), 1)
        ]


class Stage:
    """Everything that runs."""

    def __init__(self, seed: str, count: int, folder: Path) -> None:
        """`count`: providers, 2 to 5; the last is the sure one."""
        self.seed = seed
        self.flaky = tuple(f"flaky{number}" for number in range(1, count))
        self.routes = {route.name: route for route in routes(self.flaky)}
        self.plans: dict[str, Plan] = {}
        self.outages: list[Span] = []
        self.lags: list[Span] = []
        self.houses = {name: House(name, self) for name in (*self.flaky, SURE)}
        kinds = (*KINDS[: count - 1], KINDS[0])
        self.changes = 0
        """How often the configuration was changed."""
        self._places = {house.name: (kind, house.upstream) for kind, house in zip(kinds, self.houses.values(), strict=True)}
        self.gateway = Gateway(settings(self._places), folder)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for house in self.houses.values():
            self._stack.callback(house.upstream.stop)
        self._stack.enter_context(self.gateway)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def attempts(self, nonce: str) -> list[Attempt]:
        """What all providers saw of one request, in order of time."""
        return sorted((one for house in self.houses.values() for one in house.attempts(nonce)), key=lambda one: one.at)

    def forget(self) -> None:
        """A round is over: what was seen in it is judged."""
        for house in self.houses.values():
            house.asked.clear()
            house.upstream.requests.clear()
        self.plans.clear()
        self.outages, self.lags = [], []

    def storm(self, number: int, stop: threading.Event) -> None:
        """Until `stop`, take one provider after another away for a while: listener closed, connections reset. By the seed.

        Now and then the configuration changes instead, which no request may notice.
        """
        dice = random.Random(f"{self.seed} storm {number}")
        while not stop.wait(dice.uniform(1.0, 5.0)):
            if dice.random() < 0.25:
                self._reconfigure(dice.randint(20, 25))
                continue
            house = self.houses[dice.choice(self.flaky)]
            begin = time.monotonic()
            house.upstream.close_listener()
            house.upstream.reset_all()
            stop.wait(dice.uniform(0.2, 2.5))
            house.upstream.reopen_listener()
            self.outages.append(Span(begin, time.monotonic(), house.name))

    def _reconfigure(self, total: int) -> None:
        """Another deadline for every route; told by the signal, so that it is read now."""
        written = settings(self._places)
        for model in written["models"].values():
            model["timeouts"] = TIMES | {"total": f"{total}s"}
        file = self.gateway.config_file
        other = file.with_suffix(".new")
        other.write_text(yaml.safe_dump(written))
        other.chmod(0o600)
        other.replace(file)
        os.kill(self.gateway.pid, signal.SIGHUP)
        self.changes += 1

    def watch(self, stop: threading.Event) -> None:
        """Until `stop`, note when this process did not get to run."""
        before = time.monotonic()
        while not stop.wait(0.02):
            now = time.monotonic()
            if now - before > LAG:
                self.lags.append(Span(before, now))
            before = now

    @property
    def busy(self) -> int:
        """Provider connections with an unfinished answer."""
        return sum(house.upstream.busy for house in self.houses.values())

    @property
    def idle_fds(self) -> int:
        """The gateway's descriptors, without pooled connections to providers."""
        return self.gateway.fds() - sum(house.upstream.open for house in self.houses.values())
