"""The measurements: each section starts what it needs, measures in interleaved rounds, and checks the ledger at its end.

Targets are those of docs/benchmarks.md. How a process is read is in `processes`, how it is loaded in `load`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop

import forms
import load
import wire
from forms import FORMS, Form
from processes import CLIENT_KEY, BenchError, Cores, Gateway, Nginx, Process
from report import Row

_MB = 1024 * 1024
_ROUNDS = 3
_PACE = 10
"""Milliseconds between two chunks of a stream."""
_BODY = wire.prompt(wire.KIB)


@dataclass
class Bench:
    """What all sections share."""

    cores: Cores
    folder: Path
    upstream: int
    quick: bool
    _made: int = field(default=0, init=False)

    @property
    def seconds(self) -> float:
        """How long one round of whole answers lasts."""
        return 1.0 if self.quick else 4.0

    def place(self) -> Path:
        """A new folder."""
        self._made += 1
        folder = self.folder / f"part-{self._made}"
        folder.mkdir()
        return folder

    @contextmanager
    def gateway(self, keys: int = 1, limits: tuple[str, str] = ("", "")) -> Iterator[Gateway]:
        """A fresh gateway that listens."""
        with Gateway(self.cores, self.place(), self.upstream, keys=keys, limits=limits) as gateway:
            gateway.wait_for(gateway.port)
            yield gateway

    @contextmanager
    def nginx(self) -> Iterator[Nginx]:
        """A fresh nginx that listens."""
        with Nginx(self.cores, self.place(), self.upstream) as nginx:
            yield nginx

    def books(self, section: str, gateway: Gateway, answered: int) -> Row:
        """Stop the gateway; its ledger must have one row for each request that reached the provider, and none twice."""
        gateway.stop()
        with load.One(self.upstream) as one:
            asked = int(one.ask(b"GET /count/%b HTTP/1.1\r\n\r\n" % gateway.provider_key.encode()).body)
        rows = [json.loads(line) for line in gateway.ledger()]
        kept, good = len({row["id"] for row in rows}), sum(row["outcome"] == "ok" for row in rows)
        if kept != len(rows) or good < answered:
            raise BenchError(f"{answered} answered, {len(rows)} rows, {kept} different, {good} of them ok")
        note = (
            f"{answered:,} answers checked; what was open when a round ended makes the difference" if asked > answered else ""
        )
        return Row(section, f"ledger rows, for {asked:,} requests", "", [kept], target=asked, exact=True, note=note)


def _interleaved(sides: dict[str, Callable[[], float]], rounds: int = _ROUNDS) -> dict[str, list[float]]:
    """Each side once a round, in turns that change who begins."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            found[name].append(sides[name]())
    return found


class Tally:
    """Answers of one process, and CPU per piece of work."""

    def __init__(self, process: Process) -> None:
        self.answered = 0
        self._process = process

    def cost(self, work: Callable[[], tuple[int, int]]) -> float:
        """Microseconds of CPU per unit. `work` gives units and answers."""
        before = self._process.settled_cpu()
        units, answers = work()
        after = self._process.settled_cpu()
        self._process.alive()
        self.answered += answers
        return (after - before) / units * 1e6


def whole(bench: Bench) -> list[Row]:
    """CPU per whole request."""
    rows = []
    with bench.gateway() as gateway, bench.nginx() as nginx:
        tallies = {"gateway": Tally(gateway), "nginx": Tally(nginx)}
        ports = {"gateway": gateway.port, "nginx": nginx.port}

        def side(name: str, body: bytes, seconds: float) -> float:
            def work() -> tuple[int, int]:
                count = load.whole(ports[name], body, CLIENT_KEY, seconds, bench.folder)
                return count, count

            return tallies[name].cost(work)

        for size, label in ((wire.KIB, "1 KB"), (100 * wire.KIB, "100 KB"), (wire.KIB * wire.KIB, "1 MB")):
            body = wire.prompt(size)
            for name in ports:
                side(name, body, 1.0)  # warm
            found = _interleaved({name: partial(side, name, body, bench.seconds) for name in ports})
            what = f"{label} prompt, 1 KB answer, 32 connections"
            rows.append(Row("whole", what, "us/request", found["gateway"], found["nginx"], target=3.0))
        rows.append(bench.books("whole", gateway, tallies["gateway"].answered))
    return rows


def streams(bench: Bench) -> list[Row]:
    """CPU per streamed event."""
    rows = []
    with bench.gateway() as gateway, bench.nginx() as nginx:
        tallies = {"gateway": Tally(gateway), "nginx": Tally(nginx)}
        places = {"gateway": (gateway.port, ""), "nginx": (nginx.port, wire.UNBUFFERED)}
        merged = dict.fromkeys(places, 0.0)

        def side(name: str, each: int, phases: int, *, include_usage: bool) -> float:
            body = wire.prompt(wire.KIB, stream=(100, _PACE, phases), include_usage=include_usage)
            port, prefix = places[name]
            request = wire.request(CLIENT_KEY, port, body, prefix=prefix)
            expected = wire.stream_body(100, include_usage=include_usage)

            def work() -> tuple[int, int]:
                found = uvloop.run(load.streams(port, request, expected.__eq__, concurrent=64, each=each))
                events = expected.count(b"data: ") * len(found)
                merged[name] = max(merged[name], 1 - sum(len(stream.pieces) for stream in found) / events)
                return events, len(found)

            return tallies[name].cost(work)

        kinds = (("usage asked for", True, _PACE), ("usage not asked for", False, _PACE), ("the same, all in step", False, 1))
        for what, asked, phases in kinds:
            for name in places:
                side(name, 1, phases, include_usage=asked)  # warm
            merged.update(dict.fromkeys(places, 0.0))
            run = partial(side, each=2 if bench.quick else 4, phases=phases, include_usage=asked)
            found = _interleaved({name: partial(run, name) for name in places})
            row = Row("streams", f"64 streams, 100 chunks of 300 B, {what}", "us/chunk", found["gateway"], found["nginx"], 1.3)
            if max(merged.values()) > 0.02:
                row.note = f"merged on the way: gateway {merged['gateway']:.0%}, nginx {merged['nginx']:.0%} of the chunks"
            rows.append(row)
        rows.append(bench.books("streams", gateway, tallies["gateway"].answered))
    return rows


_PAIRS = (
    ("anthropic", "openai_chat"), ("openai_chat", "anthropic"), ("anthropic", "gemini"), ("gemini", "ollama"),
    ("ollama", "openai_chat"), ("anthropic", "anthropic"), ("gemini", "gemini"), ("ollama", "ollama"),
)  # fmt: skip
"""Client's and provider's dialect: every reader and every writer at least once, then the same dialect on both sides."""


def translated(bench: Bench) -> list[Row]:
    """CPU per streamed event where the dialects differ; nginx passes on what the provider sends."""
    rows = []
    with bench.gateway() as gateway, bench.nginx() as nginx:
        tallies = {"gateway": Tally(gateway), "nginx": Tally(nginx)}

        def side(name: str, client: Form, provider: Form, each: int) -> float:
            paced = (100, _PACE, _PACE)
            if name == "nginx":
                port, asked, prefix, model = nginx.port, provider, wire.UNBUFFERED, provider.target
            else:
                port, asked, prefix, model = gateway.port, client, "", f"{wire.MODEL}-{provider.name}"
            request = forms.request(asked, model, paced, key=CLIENT_KEY, port=port, prefix=prefix)
            said = forms.text(provider, 100)

            def work() -> tuple[int, int]:
                found = uvloop.run(load.streams(port, request, lambda body: asked.text(body) == said, concurrent=64, each=each))
                return 100 * len(found), len(found)

            return tallies[name].cost(work)

        for client, provider in ((FORMS[one], FORMS[other]) for one, other in _PAIRS):
            for name in tallies:
                side(name, client, provider, 1)  # warm
            run = partial(side, client=client, provider=provider, each=2 if bench.quick else 4)
            found = _interleaved({name: partial(run, name) for name in tallies})
            what = f"64 streams, 100 chunks of 300 B, {client.name} from {provider.name}"
            target = 1.3 if client is provider else 3.0
            rows.append(Row("translated", what, "us/chunk", found["gateway"], found["nginx"], target))
        rows.append(bench.books("translated", gateway, tallies["gateway"].answered))
    return rows


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _latencies(ports: dict[str, int], requests: dict[str, bytes], expected: bytes, count: int) -> dict[str, list[load.Timed]]:
    """One request after another, each place in turn."""
    found: dict[str, list[load.Timed]] = {name: [] for name in ports}
    ones = {name: load.One(port) for name, port in ports.items()}
    with load.no_collector():
        for _ in range(count):
            for name, one in ones.items():
                timed = one.ask(requests[name])
                if timed.body != expected:
                    raise BenchError(f"{name} did not answer what the provider sent: {timed.body[:300]!r}")
                found[name].append(timed)
    for one in ones.values():
        one.__exit__()
    return found


def latency(bench: Bench) -> list[Row]:
    """Added at one connection: to whole answers, and to the first token."""
    rows = []
    answered = 0
    with bench.gateway() as gateway, bench.nginx() as nginx:
        ports = {"direct": bench.upstream, "gateway": gateway.port, "nginx": nginx.port}
        stream = wire.prompt(wire.KIB, stream=(1, 0, 1), include_usage=True)
        kinds: list[tuple[str, bytes, bytes, Callable[[load.Timed], float], int, tuple[float | None, float]]] = [
            ("whole answer", _BODY, wire.ANSWER, lambda timed: timed.whole, 500 if bench.quick else 3000, (150, 300)),
            ("first token", stream, wire.stream_body(1, include_usage=True), lambda timed: timed.first,
             500 if bench.quick else 3000, (None, 300)),
        ]  # fmt: skip
        for what, body, expected, read, count, targets in kinds:
            prefixes = {"nginx": wire.UNBUFFERED if body is stream else ""}
            requests = {
                name: wire.request(CLIENT_KEY, port, body, prefix=prefixes.get(name, "")) for name, port in ports.items()
            }
            _latencies(ports, requests, expected, 100)
            answered += 100
            added: dict[tuple[str, float], list[float]] = {}
            for _ in range(_ROUNDS):
                found = _latencies(ports, requests, expected, count)
                answered += count
                for share in (0.5, 0.99):
                    at = {name: _quantile([read(timed) * 1e6 for timed in times], share) for name, times in found.items()}
                    for name in ("gateway", "nginx"):
                        added.setdefault((name, share), []).append(at[name] - at["direct"])
            for share, target in zip((0.5, 0.99), targets, strict=True):
                row = Row("latency", f"added to the {what}, p{share * 100:.0f}", "us", added["gateway", share], target=target)
                row.other = sorted(added["nginx", share])[_ROUNDS // 2]
                rows.append(row)
        rows.append(bench.books("latency", gateway, answered))
    return rows


def _first_answer(gateway: Gateway) -> float:
    """Seconds from the start of the process to the end of its first answer."""
    request = wire.request(CLIENT_KEY, gateway.port, _BODY)
    while time.perf_counter() - gateway.begun < 20:
        gateway.alive()
        try:
            with load.One(gateway.port) as one:
                one.ask(request)
                return time.perf_counter() - gateway.begun
        except OSError:
            time.sleep(0.001)
    raise BenchError("no answer in 20 s")


def start(bench: Bench) -> list[Row]:
    """From nothing to the first answer."""
    times = 3 if bench.quick else 5
    fresh, again = [], []
    for _ in range(times):
        with Gateway(bench.cores, bench.place(), bench.upstream) as gateway:
            fresh.append(_first_answer(gateway))
    with bench.gateway() as gateway:
        count = load.whole(gateway.port, _BODY, CLIENT_KEY, bench.seconds, bench.folder)
    for _ in range(times):
        with Gateway(bench.cores, gateway.folder, bench.upstream) as restarted:
            again.append(_first_answer(restarted))
    books = bench.books("start", restarted, count + times)
    return [
        Row("start", "to the first answer, new data directory", "s", fresh, target=1.0),
        Row("start", f"to the first answer, directory with {count:,} records", "s", again, target=1.0),
        books,
    ]


def memory(bench: Bench) -> list[Row]:
    """Idle, and with many streams open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(1000 if bench.quick else 5000, hard // 2 - 200)
    chunks, pace = (12 if bench.quick else 20), 1000
    with bench.gateway() as gateway:
        time.sleep(1.0)
        rss, pss = gateway.memory()
        load.check_whole(gateway.port, wire.request(CLIENT_KEY, gateway.port, _BODY))
        before, _ = gateway.memory()
        request = wire.request(CLIENT_KEY, gateway.port, wire.prompt(wire.KIB, stream=(chunks, pace, 10), include_usage=True))
        held = load.Held(gateway.port, request)

        async def hold() -> tuple[int, int]:
            await held.open(count)
            await asyncio.sleep(2.5 * pace / 1000)  # each has had later events by now
            return held.still_open(), gateway.memory()[0]

        async def all_of_it() -> tuple[int, int]:
            found = await hold()
            await held.finish(wire.stream_body(chunks, include_usage=True))
            return found

        still, full = uvloop.run(all_of_it())
        silence = held.longest_silence()
        books = bench.books("memory", gateway, 1 + count)
    return [
        Row("memory", "idle, resident", "MB", [rss / _MB], target=80.0, note=f"proportional share (PSS) {pss / _MB:.1f} MB"),
        Row("memory", f"per open stream, with {still:,} open", "KB", [(full - before) / 1024 / count], target=64.0),
        Row("memory", f"streams held at once, of {count:,}", "", [still], target=count, exact=True),
        Row("memory", "longest silence of any, one event being due a second", "s", [silence], target=2.0),
        books,
    ]


def keys(bench: Bench) -> list[Row]:
    """Cost by the number of keys in the file."""
    with bench.gateway() as few, bench.gateway(keys=10_000) as many:
        gateways = {"few": few, "many": many}
        tallies = {name: Tally(gateway) for name, gateway in gateways.items()}

        def side(name: str, seconds: float) -> float:
            def work() -> tuple[int, int]:
                count = load.whole(gateways[name].port, _BODY, CLIENT_KEY, seconds, bench.folder)
                return count, count

            return tallies[name].cost(work)

        for name in gateways:
            side(name, 1.0)  # warm
        found = _interleaved({name: partial(side, name, bench.seconds) for name in gateways})
        row = Row("keys", "1 KB prompt, 10,000 keys, against 1 key", "us/request", found["many"], found["few"], target=1.1)
        return [row, *(bench.books("keys", gateways[name], tally.answered) for name, tally in tallies.items())]


SECTIONS: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "whole": ("CPU per whole request", "nginx", whole),
    "streams": ("CPU per streamed chunk", "nginx", streams),
    "translated": ("CPU per streamed chunk, dialects differing or the same", "nginx", translated),
    "latency": ("Latency added at one connection, direct subtracted", "nginx", latency),
    "start": ("Start", "", start),
    "memory": ("Memory and open streams", "", memory),
    "keys": ("Growth with the number of keys", "1 key", keys),
}
"""Name -> title, what stands in the second column, the measurement."""
