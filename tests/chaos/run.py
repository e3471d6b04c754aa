"""A seeded run of chaos against the real process: `python -m chaos.run --seed 1 --seconds 600`, from `tests`, or `make chaos`.

Rounds of some seconds: random clients ask, scripted providers fail, then everything comes to rest, every request is compared
with the model and every invariant is looked at. The seed tells what each request's client does and what each provider
would do to it; `--only 17,18` plays these requests of that seed alone, one after another, and tells all of it.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.clients import Client
from chaos.model import Attempt, Plan, Seen, Weather, account, judge, plan
from chaos.plays import PLAYS
from chaos.stage import SURE, Stage
from harness.invariants import SECRETS, eventually

ROUND = 20.0
"""Seconds of a round."""
REST = 12.0
"""Seconds in which everything must have come to rest after a round."""
FD_SLACK = 6
MAY_TURN_AWAY = 0.02
"""Of all requests, how many may be refused because the gateway had too much to do."""
PAUSE = 0.08
"""Seconds between two requests of a client, at the least: a human pace, so that the machine is not what is tested."""
RUSH = 7
"""Each so many seconds all clients wait for the next one, and ask at once."""
MOST = 10
"""Violations after which a run ends."""


@dataclass
class Report:
    """What was played, and what was wrong."""

    seed: str
    requests: int = 0
    wrong: list[str] = field(default_factory=list)
    plays: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    sure: Counter[str] = field(default_factory=Counter)
    outages: int = 0
    changes: int = 0
    turned_away: int = 0
    lenient: int = 0
    """Requests in whose time the machine stood still, so that deadlines were not held against the gateway."""
    rows: int = 0

    def table(self) -> str:
        """The closing table."""
        lines = [f"{'attempts by play':<24}{'':>8}   {'answers by ending':<24}"]
        plays, endings = sorted(self.plays.items(), key=lambda one: -one[1]), self.endings.most_common()
        for play, ending in itertools.zip_longest(plays, endings, fillvalue=("", "")):
            lines.append(f"{play[0]:<24}{play[1]:>8}   {ending[0]:<24}{ending[1]:>8}".rstrip())
        unplayed = sorted(set(PLAYS) - set(self.plays))
        lines.append(f"never played: {', '.join(unplayed) or 'nothing'}")
        lines.append(f"on routes with a sure provider: {dict(self.sure)}")
        lines.append(
            f"{self.requests} requests, {self.rows} rows; {self.lenient} leniently judged, {self.turned_away} turned away"
        )
        lines.append(f"{self.outages} outages, {self.changes} changes of the configuration")
        return "\n".join(lines)


class Run:
    """One run on one stage."""

    def __init__(self, stage: Stage, clients: int, *, storms: bool = True) -> None:
        self.stage = stage
        self.report = Report(stage.seed)
        self._clients = clients
        self._storms = storms
        self._numbers = itertools.count(1)
        self._seen: dict[str, Seen] = {}
        self._client = Client(stage.gateway.listen)
        self._since = 0
        self._settle()
        self._idle_fds = stage.idle_fds

    def _settle(self) -> None:
        """The first requests of a process open files that stay open."""
        for _ in range(3):
            assert self.stage.gateway.chat().status == 200
        eventually(lambda: len(self.stage.gateway.stored()) == 3, "the first rows")
        self._since = 3

    def plan(self, number: int) -> Plan:
        """Request `number`, made known to the providers."""
        stage = self.stage
        made = plan(stage.seed, number, list(stage.routes.values()), stage.flaky, SURE)
        stage.plans[made.nonce] = made
        return made

    def one(self, number: int) -> tuple[Plan, Seen]:
        """Play one request."""
        made = self.plan(number)
        seen = self._seen[made.nonce] = self._client.play(made)
        return made, seen

    def round(self, number: int, seconds: float) -> None:
        """Clients for so long, then rest, then judgement."""
        stop = threading.Event()
        jobs = [threading.Thread(target=self._keep_asking, args=(stop,)) for _ in range(self._clients)]
        jobs.append(threading.Thread(target=self.stage.watch, args=(stop,)))
        if self._storms:
            jobs.append(threading.Thread(target=self.stage.storm, args=(number, stop)))
        for job in jobs:
            job.start()
        time.sleep(seconds)
        stop.set()
        for job in jobs:
            job.join()
        self.judge()

    def _keep_asking(self, stop: threading.Event) -> None:
        while not stop.wait(_pause(time.monotonic())):
            self.one(next(self._numbers))

    # judgement --------------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Everything since the last judgement."""
        with self._tells("the invariants"):
            self._rested()
        rows = self._rows()
        weather = Weather(tuple(self.stage.outages), tuple(self.stage.lags))
        by_id = {row["id"]: row for row in rows}
        if len(by_id) != len(rows):
            self.report.wrong.append("an id stands twice in the ledger")
        for nonce, seen in self._seen.items():
            made = self.stage.plans[nonce]
            attempts = self.stage.attempts(nonce)
            wrong = judge(made, self.stage.routes[made.route], seen, attempts, weather)
            wrong += self._booked(made, seen, attempts, weather, by_id)
            self._count(made, seen, attempts, weather)
            if wrong:
                self.report.wrong.append(self.story(made, seen, attempts, wrong))
        self._nameless(by_id)
        self._turned_away()
        self.report.rows += len(rows)
        self.report.outages += len(self.stage.outages)
        self.report.changes = self.stage.changes
        self._seen.clear()
        self.stage.forget()

    @contextlib.contextmanager
    def _tells(self, what: str) -> Any:
        try:
            yield
        except AssertionError as error:
            self.report.wrong.append(f"{what}: {error}")

    def _rested(self) -> None:
        """The process lives, nothing stays occupied, the next request is served, and no secret was told."""
        stage, gateway = self.stage, self.stage.gateway
        assert gateway.alive, f"the gateway died\n{gateway.output()}"
        eventually(lambda: gateway.in_flight() == 0, lambda: f"in flight back to 0 (is {gateway.in_flight()})", REST)
        eventually(lambda: stage.busy == 0, lambda: f"no provider connection busy (are {stage.busy})", REST)
        bound = self._idle_fds + FD_SLACK
        eventually(lambda: stage.idle_fds <= bound, lambda: f"descriptors back to {bound} (are {stage.idle_fds})", REST)
        after = gateway.chat(nonce="after-the-round")
        assert (after.status, after.content) == (200, "after-the-round"), f"the next request got {after}"
        for house in stage.houses.values():
            assert house.upstream.strays == [], f"bytes outside any request at {house.name}: {house.upstream.strays[:2]}"
            assert house.upstream.failures == [], f"{house.name} could not play: {house.upstream.failures[:2]}"
        crashes = [line for line in gateway.logs() if line.get("level") == "error" or "unparsed" in line]
        assert crashes == [], f"an error of our own: {crashes[:3]}"
        told = [*gateway.stdout, *gateway.stderr, gateway.metrics_text().encode()]
        leaks = [text for text in told for secret in SECRETS if secret in text]
        assert leaks == [], f"a secret was told: {leaks[:1]}"
        gateway.stdout.clear()

    def _rows(self) -> list[dict[str, Any]]:
        """The ledger's rows since the last judgement, the request after the round the last of them (and not given)."""
        file = f"file:{self.stage.gateway.data}/trunkline.db?mode=ro"
        found: list[dict[str, Any]] = []

        def complete() -> bool:
            with contextlib.closing(sqlite3.connect(file, uri=True)) as database:
                database.row_factory = sqlite3.Row
                rows = database.execute("SELECT * FROM usage ORDER BY rowid LIMIT -1 OFFSET ?", (self._since,)).fetchall()
            found[:] = [dict(row) for row in rows]
            return any(row["model"] == "m" for row in found)

        with self._tells("the ledger"):
            eventually(complete, "the last row in the database")
            time.sleep(0.3)  # a row too many would come now
            complete()
        self._since += len(found)
        return [row for row in found if row["model"] != "m"]

    def _booked(
        self, made: Plan, seen: Seen, attempts: list[Attempt], weather: Weather, rows: dict[str, dict[str, Any]]
    ) -> list[str]:
        ident = seen.headers.get("x-request-id", "")
        row = rows.pop(ident, None)
        if made.manner == "bad":
            return ["a request that was never accepted has a row"] if row is not None else []
        if row is None:
            shed = seen.status == 503 and not attempts
            return ["an accepted request has no row"] if ident and not shed else []
        return account(self.stage.routes[made.route], seen, attempts, weather, row)

    def _nameless(self, rows: dict[str, dict[str, Any]]) -> None:
        """What is left in the ledger belongs to clients that left before they knew their request's id."""
        headless = [nonce for nonce, seen in self._seen.items() if not seen.status and self.stage.plans[nonce].manner != "bad"]
        asked = sum(1 for nonce in headless if self.stage.attempts(nonce))
        if not asked <= len(rows) <= len(headless):
            ids = list(rows)[:5]
            self.report.wrong.append(f"{len(rows)} rows for {asked} to {len(headless)} clients that left early: {ids}")
        strange = [row for row in rows.values() if row["outcome"] in {"interrupted", "shutdown"} or row["error"] == "internal"]
        if strange:
            self.report.wrong.append(f"rows that cannot be: {strange[:2]}")

    def _turned_away(self) -> None:
        """At this load nobody should be; a machine that stands still makes the gateway think otherwise, for a moment."""
        report = self.report
        report.turned_away += sum(1 for seen in self._seen.values() if seen.turned_away)
        counts = self.stage.gateway.metrics()
        told = sum(value for name, value in counts.items() if name.startswith("trunkline_shed_total"))
        if report.turned_away > told:
            report.wrong.append(f"{report.turned_away} requests were turned away, and the metric tells of {told}")
        if report.turned_away > 20 + MAY_TURN_AWAY * report.requests:
            report.wrong.append(f"{report.turned_away} of {report.requests} requests were turned away")

    def _count(self, made: Plan, seen: Seen, attempts: Iterable[Attempt], weather: Weather) -> None:
        report = self.report
        report.requests += 1
        report.plays.update(one.play for one in attempts)
        ending = f"bad: {seen.status}" if made.manner == "bad" else seen.ending
        report.endings[f"error {seen.status}" if ending == "error" else ending] += 1
        report.lenient += weather.lagged(seen.began, seen.ended)
        if not seen.turned_away and made.manner in {"reads", "slow", "half_closes"} and self.stage.routes[made.route].sure:
            report.sure[seen.ending] += 1

    def story(self, made: Plan, seen: Seen, attempts: Iterable[Attempt], wrong: Iterable[str] = ()) -> str:
        """One request, told."""
        number, begin = made.nonce.rpartition("-")[2], seen.began
        lines = [f"request {made.nonce}: " + "; ".join(wrong)]
        lines.append(f"  plan: {made}")
        lines.append(f"  route: {self.stage.routes[made.route]}")
        for one in attempts:
            span = f"{one.at - begin:.3f} to {one.ended_at - begin:.3f} s ({one.ended})"
            lines.append(f"  asked {one.provider}: played {one.play!r}, {span}{', reused' if one.reused else ''}")
        told = f"{seen.status} {seen.ending} in {seen.ended - begin:.3f} s {seen.text[:60]!r}"
        lines.append(f"  client: {told} {seen.headers} {seen.problem}".rstrip())
        spans = [span for span in self.stage.outages + self.stage.lags if span.meets(begin - 1, seen.ended + 1)]
        lines += [f"  weather: {span.provider or 'lag'} {span.begin - begin:.3f} to {span.end - begin:.3f} s" for span in spans]
        count = len(self.stage.houses)
        lines.append(f"  alone: python -m chaos.run --seed {self.stage.seed} --upstreams {count} --only {number}")
        return "\n".join(lines)


def _pause(now: float) -> float:
    """Seconds until a client asks again."""
    return 1 - now % 1 if int(now) % RUSH == 0 else PAUSE


def _say(text: str) -> None:
    """A line on standard output, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def chaos(seed: str, seconds: float, upstreams: int, clients: int = 16, *, tell: bool = True) -> Report:
    """A run of so many seconds. Ends early after `MOST` violations."""
    with tempfile.TemporaryDirectory() as folder, Stage(seed, upstreams, Path(folder)) as stage:
        run = Run(stage, clients)
        report, begin, number = run.report, time.monotonic(), 0
        while (left := seconds - (time.monotonic() - begin)) > 0.5 and len(report.wrong) < MOST and stage.gateway.alive:
            before = len(report.wrong)
            run.round(number, min(ROUND, left))
            number += 1
            if tell:
                took, answers = time.monotonic() - begin, dict(report.endings.most_common(3))
                _say(f"seed {seed} at {took:.0f} s: {report.requests} requests, {answers}, {len(report.wrong)} wrong")
                for one in report.wrong[before : before + MOST]:
                    _say(f"\n{one}\n")
    return report


def replay(seed: str, upstreams: int, numbers: Iterable[int]) -> Report:
    """Some requests of a run, one after another, in good weather; each told in full."""
    with tempfile.TemporaryDirectory() as folder, Stage(seed, upstreams, Path(folder)) as stage:
        run = Run(stage, 1, storms=False)
        for number in numbers:
            made, seen = run.one(number)
            time.sleep(1.0 if made.manner in {"leaves", "resets"} else 0.05)
            _say(run.story(made, seen, stage.attempts(made.nonce)))
        run.judge()
        return run.report


def main(words: list[str]) -> int:
    """The command line; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m chaos.run", description="Random faults and clients, by a seed.")
    parser.add_argument("--seed", default="", help="what was printed before; else a new one")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--upstreams", type=int, default=4, choices=range(2, 6))
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--only", default="", help="numbers of requests to play alone, with commas between them")
    given = parser.parse_args(words)
    seed = given.seed or secrets.token_hex(3)
    _say(f"seed {seed}, {given.upstreams} upstreams, {given.clients} clients, {given.seconds:.0f} s")
    if given.only:
        report = replay(seed, given.upstreams, [int(number) for number in given.only.split(",")])
    else:
        report = chaos(seed, given.seconds, given.upstreams, given.clients)
        _say(f"\n{report.table()}")
    for one in report.wrong if given.only else ():
        _say(f"\n{one}")
    _say(f"seed {seed}: {f'{len(report.wrong)} violations' if report.wrong else 'every invariant holds'}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
