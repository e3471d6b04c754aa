"""How exact the books are: `python -m accuracy.run --seed 1 --requests 10000`, from `tests`.

Requests of every kind go through the real process to scripted providers that keep their own account of what they served.
Clients leave, providers break, the process is killed at random and started again on the same data. In the end every request's
row is compared with what was served for it, and totals, roll-ups and what the command line tells with the rows.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import combinations, count
from pathlib import Path
from typing import Any, Literal

from accuracy.answers import RATES, Answer, Truth, answer, prices
from harness.client import Wire, request
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.invariants import eventually
from harness.script import END, STREAM_HEADERS, Close, Pause, Seen, Step, chunk, head, whole
from harness.upstream import Upstream

Play = Literal["ok", "late", "slow", "500", "429", "drop", "cut"]
PLAYS: dict[Play, int] = {"ok": 70, "late": 8, "slow": 6, "500": 5, "429": 2, "drop": 3, "cut": 6}
FREE = frozenset({"500", "429", "drop"})
"""Whoever fails so charges nothing."""
BASES = {"one": "/v1", "two": "/v1", "ant": "", "gem": "/v1beta", "oll": ""}
KINDS = {"one": "openai", "two": "openai", "ant": "anthropic", "gem": "gemini", "oll": "ollama"}
PATHS = {
    "/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/messages": "messages", "/v1beta/models/": "gemini",
    "/api/chat": "ollama", "/v1/embeddings": "embeddings", "/v1/images/generations": "images",
}  # fmt: skip
CHAT_ROUTES = ("p", "r", "h", "a", "c", "g", "o")
BUDGET = 10**13
"""Nano-dollars: ten thousand dollars."""


@dataclass
class Served:
    """One attempt, as its provider saw it."""

    play: Play
    truth: Truth
    seen: Seen

    @property
    def known(self) -> bool:
        """The provider said what it used, and the gateway took it."""
        return self.play in {"ok", "late", "slow"} and self.seen.ended == "done"


@dataclass
class Report:
    """What was asked, served, and booked."""

    seed: str
    asked: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    booked: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    served: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    kills: int = 0
    duplicates: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        """The figures."""
        lines = [
            f"seed {self.seed}: {self.asked:,} requests in {self.seconds:.0f} s, {self.kills} times killed",
            f"{'':<14}{'rows':>8}{'tokens in':>14}{'tokens out':>14}{'nano-dollars':>20}",
        ]
        for name, rows in sorted(self.classes.items()):
            for what, sums in (("booked", self.booked[name]), ("served", self.served[name])):
                shown = f"{name:<14}{rows:>8,}" if what == "booked" else " " * 22
                lines.append(f"{shown}{sums[0]:>14,}{sums[1]:>14,}{sums[2]:>20,}  {what}")
        off = [a - b for a, b in zip(self.booked["exact"], self.served["exact"], strict=True)]
        lines.append(
            f"settled requests differ by {off[0]} tokens in, {off[1]} out, {off[2]} nano-dollars; {self.duplicates} duplicates"
        )
        lines.append("kinds: " + ", ".join(f"{name} {n}" for name, n in sorted(self.kinds.items())))
        return "\n".join([*lines, *self.wrong[:10]])


def settings(places: dict[str, Upstream]) -> dict[str, Any]:
    """The gateway's configuration: a model name of its own for every request, so that each row can be found."""
    providers = {
        name: {
            "kind": KINDS[name],
            "base_url": f"http://{one.host}:{one.port}{BASES[name]}",
            "api_key": PROVIDER_KEY,
            "breaker": False,
        }
        for name, one in places.items()
    }
    again = {"attempts": 4, "backoff": "10ms", "max_backoff": "100ms"}
    models: dict[str, dict[str, Any]] = {
        "m": {"targets": ["one/x-m"]},
        "p-*": {"targets": ["one/x-*"], "fallbacks": ["two/x-*"]},
        "r-*": {"targets": ["two/x-*", "one/x-*"], "retry": again},
        "h-*": {"targets": ["one/x-*", "two/x-*"], "hedge": {"after": "40ms", "share": 1}},
        "a-*": {"targets": ["ant/x-*"]},
        "c-*": {"targets": ["ant/x-*"], "fallbacks": ["one/x-*"]},
        "g-*": {"targets": ["gem/x-*"], "fallbacks": ["two/x-*"]},
        "o-*": {"targets": ["oll/x-*"]},
        "i-*": {"targets": ["one/pix-*"], "fallbacks": ["two/pix-*"]},
    }
    for model in models.values():
        model["timeouts"] = {"connect": "2s", "first_byte": "5s", "idle": "5s", "total": "20s"}
    limits = {"rpm": 10**6, "tpm": 10**10, "concurrent": 1000}
    key = {"name": "tester", "secret": KEY, "limits": limits, "budgets": [{"usd": f"{BUDGET // 10**9}", "per": "total"}]}
    return {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": providers, "models": models, "prices": prices(), "keys": [key],
    }  # fmt: skip


class Run:
    """One run."""

    def __init__(self, seed: str, folder: Path, *, kills: int) -> None:
        self.report = Report(seed)
        self._kills = kills
        self._stack = ExitStack()
        self._places = {name: Upstream() for name in KINDS}
        self._served: dict[str, list[Served]] = defaultdict(list)
        self._lock = threading.Lock()
        for name, place in self._places.items():
            self._stack.callback(place.stop)
            place.script(lambda seen, name=name: self._serve(name, seen))
        self.gateway = self._stack.enter_context(Gateway(settings(self._places), folder))
        self._up = threading.Event()
        self._up.set()

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    # providers ----------------------------------------------------------------------------------------------------------

    def _serve(self, name: str, seen: Seen) -> Iterator[Step]:
        asked, path = seen.fields, seen.target.partition("?")[0]
        dialect = next(dialect for begin, dialect in PATHS.items() if path.startswith(begin))
        model = str(asked.get("model") or path.rpartition("/")[2].partition(":")[0])
        nonce = model.partition("-")[2]
        with self._lock:
            number = len(self._served[nonce])
            dice = random.Random(f"{self.report.seed} {nonce} {name} {number}")
            stream = bool(asked.get("stream", dialect == "ollama")) or ":stream" in path
            found = answer(dialect, dice, asked, stream=stream and dialect not in {"embeddings", "images"})
            play = dice.choices(list(PLAYS), list(PLAYS.values()))[0] if nonce != "m" else "ok"
            self._served[nonce].append(Served(play, found.truth, seen))
        return _steps(found, play, dice)

    # clients ------------------------------------------------------------------------------------------------------------

    def play(self, requests: int, clients: int) -> Report:
        """Ask so many times; then look at the books."""
        began, numbers, total = time.monotonic(), count(1), requests
        dice = random.Random(f"{self.report.seed} kills")
        stops = sorted(dice.sample(range(total // 10, total), self._kills))

        def client() -> None:
            while (number := next(numbers)) <= total:
                self._up.wait()
                if stops and number >= stops[0]:
                    self._kill(stops)
                self._ask(number)

        with ThreadPoolExecutor(clients) as pool:
            for one in [pool.submit(client) for _ in range(clients)]:
                one.result()
        self._settle()
        self._judge()
        self._check_totals()
        self._check_budget()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _kill(self, stops: list[int]) -> None:
        with self._lock:
            if not stops or not self._up.is_set():
                return
            stops.pop(0)
            self._up.clear()
        self.gateway.kill()
        self.gateway.restart()
        self.report.kills += 1
        self._up.set()

    def _ask(self, number: int) -> None:
        nonce = f"{self.report.seed}{number}"
        dice = random.Random(f"{self.report.seed} client {number}")
        kind, path, fields = _question(dice, nonce)
        self.report.kinds[kind] += 1
        self.report.asked += 1
        body = json.dumps(fields).encode()
        try:
            with Wire(self.gateway.listen, timeout=30.0) as wire:
                wire.send(
                    request("POST", path, [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")], body)
                )
                manner = dice.random()
                if manner < 0.06:
                    time.sleep(dice.random() * 0.03)
                    wire.reset()
                elif manner < 0.14:
                    reply = wire.read_head()
                    if reply is not None and reply.header("transfer-encoding") == "chunked":
                        wire.chunk()
                    wire.reset()
                else:
                    wire.read_reply()
        except OSError:
            return  # the gateway was killed meanwhile

    # books --------------------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Everything has ended, and stands in the store."""
        gateway = self.gateway
        eventually(lambda: gateway.in_flight() == 0, "nothing is in flight", 30)
        assert gateway.held() == {}, "something stays reserved"
        for place in self._places.values():
            eventually(lambda place=place: place.busy == 0, "no provider is busy", 30)
        assert gateway.chat().status == 200
        eventually(lambda: gateway.metrics()["trunkline_journal_backlog"] == 0, "all is stored", 30)

    def _rows(self) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{self.gateway.data}/trunkline.db?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM usage")]

    def _judge(self) -> None:
        report, rows = self.report, defaultdict(list)
        for row in self._rows():
            rows[row["model"].partition("-")[2] or "m"].append(row)
        report.duplicates = sum(len(some) - 1 for nonce, some in rows.items() if nonce != "m")
        for nonce in self._served.keys() - rows.keys():
            report.wrong.append(f"{nonce}: a provider was asked, and there is no row")
        for nonce, some in rows.items():
            if nonce != "m":
                self._judge_one(nonce, some[0])
        if report.duplicates:
            report.wrong.append(f"{report.duplicates} duplicates")

    def _judge_one(self, nonce: str, row: dict[str, Any]) -> None:
        report, attempts = self.report, self._served.get(nonce, [])
        known = [one.truth for one in attempts if one.known]
        cut = [one.truth for one in attempts if one.seen.ended in {"eof", "rst"}]
        sure = all(one.known or one.play in FREE for one in attempts)
        sums = [sum(getattr(one, name) for one in known) for name in ("input", "output", "nano")]
        booked = [row["input_tokens"], row["output_tokens"], row["cost_nano"] or 0]
        name = (
            "interrupted" if row["outcome"] == "interrupted" else "exact" if row["basis"] == "reported" else str(row["basis"])
        )
        report.classes[name] += 1
        for more in range(1, len(cut) + 1):  # it had said what it used, and was hung up on after that
            for some in combinations(cut, more) if name == "exact" and booked != sums else ():
                said = [sum(getattr(one, what) for one in (*known, *some)) for what in ("input", "output", "nano")]
                sums = said if said == booked else sums
        for kept, values in ((report.booked[name], booked), (report.served[name], sums)):
            kept[:] = [a + b for a, b in zip(kept, values, strict=True)]
        if name == "exact" and booked != sums:
            report.wrong.append(
                f"{nonce}: booked {booked}, served {sums}: {row} {[(one.play, one.seen.ended) for one in attempts]}"
            )
        raced = (
            row["model"].startswith("h-") and row["attempts"] > 1
        )  # the other one is hung up on, be it that it had just ended
        left = row["outcome"] == "client_cancelled"
        if sure and not (left or raced) and ((name == "estimated") or (name == "none" and any(sums))):
            report.wrong.append(f"{nonce}: served {sums}, and the row is {name}: {row}")
        if name == "none" and any(booked):
            report.wrong.append(f"{nonce}: nothing was used, and {booked} is booked")

    def _check_totals(self) -> None:
        """Roll-ups and the command line say what the rows say."""
        rows = self._rows()
        sums = [sum(row[name] or 0 for row in rows) for name in ("input_tokens", "output_tokens", "cost_nano")]
        done = self.gateway.run("usage", "--json", "--data", str(self.gateway.data))
        told = json.loads(done.stdout) if done.returncode == 0 else []
        said = _said(told)
        if said != [len(rows), *sums]:
            self.report.wrong.append(
                f"`trunkline usage` says {said}, the rows {[len(rows), *sums]}: {str(told)[:300]} {done.stderr.decode()}"
            )

    def _check_budget(self) -> None:
        """What is left of the budget after all is what the ledger says: the next request fits to the token, or does not."""
        self.gateway.kill()
        self.gateway.restart()
        spent = sum(row["cost_nano"] or 0 for row in self._rows())
        fits = (BUDGET - spent - self._most({"model": "m", "max_tokens": 10**9})) * 1000 // RATES["output"]
        too_much = self.gateway.chat(model="m", max_tokens=fits + 500)
        if too_much.status != 402:
            self.report.wrong.append(f"after a restart {fits + 500} tokens more than the budget has got {too_much.status}")
        enough = self.gateway.chat(model="m", max_tokens=fits - 500)
        if enough.status != 200:
            self.report.wrong.append(
                f"after a restart {fits - 500} tokens, which the budget has, got {enough.status}: {enough.body!r}"
            )

    def _most(self, fields: dict[str, Any]) -> int:
        """What the prompt of such a request is reserved for."""
        size = len(json.dumps({"messages": [{"role": "user", "content": "hello"}], **fields}))
        return (size // 4 * 2 + 1024) * RATES["input"] // 1000


def _said(told: list[dict[str, Any]]) -> list[int]:
    return [sum(one[name] or 0 for one in told) for name in ("requests", "input_tokens", "output_tokens", "cost_nano")]


def _question(dice: random.Random, nonce: str) -> tuple[str, str, dict[str, Any]]:
    """Kind, path and body of a request."""
    text, stream = "word " * dice.randint(1, 30), dice.random() < 0.5
    route = dice.choice(CHAT_ROUTES)
    model, messages = f"{route}-{nonce}", [{"role": "user", "content": text}]
    kind = dice.choices(
        ["chat", "messages", "gemini", "responses", "ollama", "completions", "embeddings", "images"],
        [30, 15, 12, 10, 6, 7, 10, 5],
    )[0]
    match kind:
        case "chat":
            return kind, "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream, "max_tokens": 500}
        case "messages":
            return kind, "/v1/messages", {"model": model, "messages": messages, "stream": stream, "max_tokens": 500}
        case "gemini":
            action = "streamGenerateContent" if stream else "generateContent"
            return kind, f"/v1beta/models/{model}:{action}", {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        case "responses":
            return (
                kind,
                "/v1/responses",
                {"model": model, "input": text, "stream": stream, "store": False, "max_output_tokens": 500},
            )
        case "ollama":
            return kind, "/api/chat", {"model": model, "messages": messages, "stream": stream}
        case "completions":
            prompts: Any = text if stream else [text] * dice.randint(1, 3)
            return kind, "/v1/completions", {"model": model, "prompt": prompts, "stream": stream, "max_tokens": 50}
        case "embeddings":
            return kind, "/v1/embeddings", {"model": f"{dice.choice('pr')}-{nonce}", "input": [text] * dice.randint(1, 4)}
        case _:
            return kind, "/v1/images/generations", {"model": f"i-{nonce}", "prompt": text, "n": dice.randint(1, 4)}


def _steps(found: Answer, play: Play, dice: random.Random) -> Iterator[Step]:
    if play in {"500", "429"}:
        yield whole(int(play), b'{"error":{"message":"scripted","type":"t","code":"c"}}')
        return
    if play == "drop":
        yield Close()
        return
    if play == "late":
        yield Pause(0.02 + dice.random() * 0.1)
    if not found.frames:
        if play == "cut":
            yield head(200, [("content-type", "application/json"), ("content-length", str(len(found.body)))])
            yield found.body[: len(found.body) // 2]
            yield Pause(0.005)
            yield Close()
        yield whole(200, found.body)
        return
    headers = [
        ("content-type", found.content_type) if name == "content-type" else (name, value) for name, value in STREAM_HEADERS
    ]
    yield head(200, headers)
    last = max(1, int(dice.random() * (len(found.frames) - 2))) if play == "cut" else len(found.frames)
    for at, frame in enumerate(found.frames[:last]):
        yield chunk(frame)
        if play == "slow" and at < 5:
            yield Pause(0.01)
    if play == "cut":
        yield Pause(0.005)
        yield Close()
    yield END


def accuracy(seed: str, requests: int, *, clients: int = 16, kills: int = 2) -> Report:
    """One run."""
    with tempfile.TemporaryDirectory(prefix="trunkline-accuracy-") as folder:
        run = Run(seed, Path(folder), kills=kills)
        try:
            return run.play(requests, clients)
        finally:
            run.close()


def main(arguments: list[str] | None = None) -> int:
    """The program; 1 where the books are wrong."""
    parser = argparse.ArgumentParser(prog="python -m accuracy.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", default=secrets.token_hex(3))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--kills", type=int, default=5)
    told = parser.parse_args(arguments)
    report = accuracy(told.seed, told.requests, clients=told.clients, kills=told.kills)
    sys.stdout.write(report.table() + "\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
