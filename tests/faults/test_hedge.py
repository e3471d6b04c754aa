"""A slow provider, and a second one asked beside it: the real process, from outside.

How a race goes in detail is in `tests/pipeline/test_hedge.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.client import Reply, request
from harness.gateway import KEY, PROVIDER_KEY, Gateway, settings
from harness.invariants import Case, eventually
from harness.script import STREAM_HEADERS, Close, Hold, Plan, Seen, chunk, delta, head, whole
from harness.upstream import Upstream

CANCELLED = 0.25
"""Seconds after which a provider that is not wanted any more must have been hung up on."""
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
    "responses": ("/v1/responses", {"input": "hello"}),
    "anthropic": ("/v1/messages", {"max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}),
    "gemini": ("/v1beta/models/hedged:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]}),
}


@dataclass
class Two:
    """The process, a slow provider and its spare; a case's invariants after each test."""

    gateway: Gateway
    slow: Upstream
    spare: Upstream
    rows: int = 1
    """That the test must add to the ledger."""
    _before: set[str] = field(default_factory=set)

    def ask(self, client: str, *, stream: bool) -> Reply:
        """One request of a client's API, answered."""
        with self.gateway.connect() as wire:
            wire.send(self.bytes(client, stream=stream))
            reply = wire.read_reply()
        assert reply is not None
        return reply

    def bytes(self, client: str, *, stream: bool) -> bytes:
        """What goes over the wire for it."""
        path, body = BODIES[client]
        if client != "gemini":
            body = {"model": "hedged", "stream": stream, **body}
        elif stream:
            path = path.replace("generateContent", "streamGenerateContent?alt=sse")
        return request("POST", path, [("authorization", f"Bearer {KEY}")], json.dumps(body).encode())

    def row(self, number: int = -1) -> dict[str, Any]:
        """One of the new rows, waited for."""
        eventually(lambda: len(self.new()) >= self.rows, lambda: f"{len(self.new())} of {self.rows} rows")
        found = self.gateway.stored_row(self.new()[number])
        assert found is not None
        return found

    def new(self) -> list[str]:
        """Ids of the rows since the case began, oldest first."""
        return [row["id"] for row in self.gateway.stored() if row["id"] not in self._before]

    def hedges(self) -> dict[str, float]:
        """What became of all second targets so far."""
        samples = self.gateway.metrics()
        return {result: samples[f'trunkline_hedges_total{{result="{result}"}}'] for result in ("won", "lost", "failed")}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with Upstream() as slow, Upstream() as spare:
        config = settings(slow.url)
        config["providers"]["spare"] = {"kind": "openai", "base_url": spare.url, "api_key": PROVIDER_KEY}
        patient = {"connect": "1s", "first_byte": "10s", "idle": "10s", "total": "30s"}
        targets = {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/gpt-4.1-mini"], "timeouts": patient}
        config["models"]["hedged"] = {**targets, "hedge": {"after": "100ms", "share": "100%"}}
        config["models"]["rare"] = {**targets, "hedge": {"after": "5ms", "share": "5%"}}
        with Gateway(config, tmp_path_factory.mktemp("hedge")) as gateway:
            yield Two(gateway, slow, spare)


@pytest.fixture
def two(pair: Two) -> Iterator[Two]:
    """Both providers as good as new; afterwards nothing is open or in flight, and every request has its one row."""
    case = Case(pair.gateway, pair.slow)
    case.begin()
    pair.spare.clear()
    pair.rows = 1
    pair._before = {row["id"] for row in pair.gateway.stored()}
    yield pair
    pair.slow.release()
    pair.spare.release()
    case.rows = pair.rows
    case.fd_slack += pair.spare.open
    case.check()
    eventually(lambda: pair.spare.busy == 0, "the spare is not busy")
    assert pair.spare.strays == []


def never(_: Seen) -> Plan:
    """A provider that never begins."""
    return [Hold()]


@contextmanager
def hung_up_on(upstream: Upstream) -> Iterator[None]:
    """The answer that this provider is giving must be cancelled within the time that is allowed."""
    yield
    begun = time.monotonic()
    assert upstream.wait_ended(upstream.requests[-1]) in {"eof", "rst"}
    assert upstream.requests[-1].ended_at - begun < CANCELLED


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", BODIES)
def test_a_slow_provider_is_not_noticed(two: Two, client: str, stream: bool) -> None:
    """Whatever API a client speaks, it gets the spare's answer; the slow one is hung up on; both are paid for, to the token."""
    two.slow.script(never)
    before = two.hedges()["won"]
    begun = time.monotonic()
    with hung_up_on(two.slow):
        reply = two.ask(client, stream=stream)
    assert time.monotonic() - begun < 3
    assert (reply.status, reply.header("x-trunkline-provider"), reply.header("x-trunkline-attempts")) == (200, "spare", "2")
    assert reply.complete
    assert len(two.slow.requests) == len(two.spare.requests) == 1
    row = two.row()
    guessed = row["input_tokens"] - 7
    assert (row["outcome"], row["attempts"], row["target"], row["basis"]) == ("ok", 2, "gpt-4.1-mini", "estimated")
    assert 0 < guessed < 100
    assert row["output_tokens"] == 3
    assert row["cost_nano"] == 7 * 400 + 3 * 1600 + guessed * 2000
    steps = json.loads(row["trail"])["steps"]
    assert [(step["provider"], step.get("error"), step.get("hedged")) for step in steps] == [
        ("lab", "outrun", None),
        ("spare", None, True),
    ]
    assert two.hedges()["won"] == before + 1


def test_the_first_is_quicker_after_all(two: Two) -> None:
    """The second one is hung up on as fast."""
    two.slow.then("hold")
    two.spare.script(never)
    with two.gateway.connect() as wire:
        wire.send(two.bytes("chat", stream=True))
        two.spare.wait_requests(1)
        with hung_up_on(two.spare):
            two.slow.release()
            reply = wire.read_reply()
    assert reply is not None
    assert (reply.complete, reply.header("x-trunkline-provider")) == (True, "lab")
    row = two.row()
    assert (row["outcome"], row["target"], row["output_tokens"]) == ("ok", "gpt-4.1", 3)


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_leaves_while_both_are_asked(two: Two, stream: bool) -> None:
    """Neither provider generates for nobody, and the row has the prompts of both."""
    two.slow.script(never)
    two.spare.script(never)
    with two.gateway.connect() as wire:
        wire.send(two.bytes("chat", stream=stream))
        two.spare.wait_requests(1)
        with hung_up_on(two.slow), hung_up_on(two.spare):
            wire.reset()
    row = two.row()
    assert (row["outcome"], row["attempts"], row["basis"], row["output_tokens"]) == ("client_cancelled", 2, "estimated", 0)
    assert row["input_tokens"] > 0
    assert row["cost_nano"] == row["input_tokens"] // 2 * 2400


def test_the_slow_one_fails_first(two: Two) -> None:
    """It just leaves the other."""
    two.slow.then([Hold(), whole(500, b"{}")])
    two.spare.then("sleep=300")
    with two.gateway.connect() as wire:
        wire.send(two.bytes("chat", stream=False))
        two.spare.wait_requests(1)
        two.slow.release()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.header("x-trunkline-provider")) == (200, "spare")
    assert two.row()["outcome"] == "ok"


def test_a_winner_that_breaks_off(two: Two) -> None:
    """The client saw its beginning: there is no second one, and no clean end."""
    two.slow.script(never)
    two.spare.script(lambda seen: [head(200, STREAM_HEADERS), chunk(delta(seen, "beginning")), Close()])
    reply = two.ask("chat", stream=True)
    assert b"beginning" in reply.body
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    assert (len(two.slow.requests), len(two.spare.requests)) == (1, 1)
    assert two.row()["outcome"] == "upstream_broken"


def test_the_share_holds(two: Two) -> None:
    """200 requests to a slow provider, a twentieth of them asked twice: not one more."""
    two.rows = 200
    two.slow.script("sleep=30")
    for _ in range(200):
        assert two.gateway.chat(model="rare").status == 200
    assert len(two.slow.requests) == 200
    assert len(two.spare.requests) == 10
