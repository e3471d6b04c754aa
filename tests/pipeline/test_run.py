"""A request's life: it ends in one answer and one settlement, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from harness.invariants import eventually
from harness.upstream import Upstream
from pipeline.by_hand import Line, by_hand
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.pipeline import run as run_module
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.run import run


def test_whole(inside: Inside) -> None:
    """The ordinary case: the provider's bytes, and one row that says what was used."""
    reply = inside.chat(nonce="n1")
    assert (reply.status, reply.content) == (200, "n1")
    settled = inside.settled(1)
    assert (settled.outcome, settled.status, settled.finish) == ("ok", 200, "stop")
    assert (settled.usage.input, settled.usage.output, settled.usage.basis) == (7, 3, "reported")
    assert 0 < settled.first_byte_us <= settled.duration_us


def test_stream(inside: Inside) -> None:
    """Streamed: the provider's events to the end mark, and the same row."""
    with inside.stream(nonce="n2") as stream:
        events = stream.rest()
        assert stream.complete
    assert [json.loads(event)["choices"][0]["delta"] for event in events[:-1]] == [{"content": "n2"}] * 3 + [{}]
    assert events[-1] == b"[DONE]"
    settled = inside.settled(1)
    assert (settled.outcome, settled.opened.stream, settled.usage.output, settled.usage.basis) == ("ok", True, 3, "reported")


@pytest.mark.parametrize("at", ["admit", "attempt", "relay"])
def test_a_fault_of_ours_is_answered(inside: Inside, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """A bug must be a 500 in the client's dialect, with a trace in the log and a row, not a hung connection."""
    real = getattr(run_module, at)

    async def fail(*args: Any) -> None:
        if at == "admit":
            await real(*args)
        raise ZeroDivisionError("a bug with tl-secrets in it")

    monkeypatch.setattr(run_module, at, fail)
    reply = inside.chat()
    assert reply.status == 500
    assert reply.error["type"] == "server_error"
    assert "tl-secrets" not in reply.body.decode()
    settled = inside.settled(1)
    assert (settled.outcome, settled.status, settled.error) == ("error", 500, "internal")


def test_a_fault_in_mid_stream_ends_it_with_an_error(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head is out: an error event, no end mark, and the provider's connection closed."""
    real, fed = ChatTap.feed, count(1)

    def feed(tap: ChatTap, data: bytes) -> bytes:
        if next(fed) > 2:
            raise ZeroDivisionError
        return real(tap, data)

    monkeypatch.setattr(ChatTap, "feed", feed)
    with inside.stream(mock="endless;gap=5") as stream:
        events = stream.rest()
        assert stream.complete
    assert json.loads(events[-1])["error"]["type"] == "server_error"
    assert (inside.settled(1).outcome, inside.settled(1).status) == ("error", 200)


def test_a_client_that_leaves_before_the_answer(inside: Inside, upstream: Upstream) -> None:
    """Nobody reads it any more: the provider is let go at once, and the row says who left, with an estimate of the cost."""
    with inside.connect() as wire:
        wire.send(inside.chat_bytes(model="patient", mock="hold"))
        seen = upstream.wait_requests(1)[0]
        wire.reset()
        assert upstream.wait_ended(seen) in {"eof", "rst"}
    settled = inside.settled(1)
    assert (settled.outcome, settled.status, settled.error) == ("client_cancelled", 499, "client_gone")
    assert (settled.usage.basis, settled.usage.input > 0, settled.usage.output) == ("estimated", True, 0)


def test_a_client_that_leaves_in_mid_stream(inside: Inside, upstream: Upstream) -> None:
    """What was streamed so far was generated, and will be on the bill."""
    with inside.stream(model="patient", mock="frames=1000;gap=5") as stream:
        for _ in range(3):
            stream.next()
        stream.wire.reset()
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}
    settled = inside.settled(1)
    assert (settled.outcome, settled.status) == ("client_cancelled", 200)
    assert settled.usage.basis == "estimated"
    assert settled.usage.output >= 3


def test_shutdown(upstream: Upstream, tmp_path: Path) -> None:
    """A stop that cannot wait: streams end with an error event, waiting requests with 503, and each has its row."""
    upstream.clear()
    with Inside(tmp_path, upstream.url) as inside:
        stream = inside.stream(model="patient", mock="hold_at=2")
        events = [stream.next(), stream.next()]
        waiting = inside.connect()
        waiting.send(inside.chat_bytes(model="patient", mock="hold"))
        upstream.wait_requests(2)
        inside.do(inside.server.interrupt)
        events += stream.rest()
        assert stream.complete
        assert json.loads(events[-1] or b"")["error"]["code"] == "shutting_down"
        assert stream.wire.closed()
        reply = waiting.read_reply()
        assert reply is not None
        assert (reply.status, reply.header("retry-after")) == (503, "1")
        assert [(inside.settled(n).outcome, inside.settled(n).error) for n in (1, 2)] == [("shutdown", "shutting_down")] * 2
        assert {inside.settled(n).status for n in (1, 2)} == {200, 503}
        stream.close()
        waiting.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("ticks", range(1, 14))
def test_cancelled_at_every_step(inside: Inside, stream: bool, gone: bool, ticks: int) -> None:
    """Whichever tick the client leaves in, the last one too: one settlement, and never two answers."""

    async def life() -> tuple[Exchange, Line]:
        exchange, line = by_hand(inside, stream=stream)
        task = asyncio.ensure_future(run(exchange, inside.parts, "chat"))
        for _ in range(ticks):
            await asyncio.sleep(0 if ticks < 12 else 0.003)
        exchange.reply.gone = gone and not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return exchange, line

    _, line = inside._thread.run(life())
    assert len(inside.books.settled) == len(inside.books.opened) == 1
    assert line.sent.count(b"HTTP/1.1 ") <= 1
    assert line.sent.count(b"\r\n0\r\n\r\n") <= 1
    assert inside.settled(1).outcome in {"ok", "client_cancelled", "shutdown"}


def test_cancelled_in_the_tick_in_which_the_answer_ended(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is in, the request's task has not run yet, and the client leaves: usage as reported, settled once."""
    whole = asyncio.Event()

    async def life() -> None:
        exchange, line = by_hand(inside, stream=True)
        task = asyncio.ensure_future(run(exchange, inside.parts, "chat"))
        real = line.write

        def write(data: bytes) -> None:
            real(data)
            if b"[DONE]" in data:
                whole.set()

        monkeypatch.setattr(line, "write", write)
        await whole.wait()
        exchange.reply.gone = True
        task.cancel()
        await task

    inside._thread.run(life())
    settled = inside.settled(1)
    assert (settled.usage.basis, settled.usage.output) == ("reported", 3)
    assert len(inside.books.settled) == 1


def test_interrupted_tells_who() -> None:
    """The edge cancels for two reasons; taken for one another, a deployment would look like clients leaving."""

    class Told:
        """As much of an exchange as is asked."""

        def __init__(self, gone: bool) -> None:
            self.reply = type("R", (), {"gone": gone})()

    errors: list[GatewayError] = [run_module._interrupted(Told(gone)) for gone in (True, False)]  # type: ignore[arg-type]
    assert [(error.kind, error.retry_after) for error in errors] == [(Kind.CLIENT_GONE, None), (Kind.SHUTTING_DOWN, 1.0)]


SCRIPTS = st.sampled_from(
    [
        "",
        "frames=0",
        "frames=5;gap=1",
        "nodone",
        "error_at=0",
        "error_at=2",
        "rst_at=0",
        "rst_at=2",
        "eof_at=1",
        "badchunk_at=1",
        "drop",
        "drop=rst",
        "html",
        "empty",
        "short",
        "cut",
        "status=429;retry_after=1",
        "status=500",
        "redirect=/x",
        "ce=gzip",
        "sleep=3",
    ]
)
Client = Literal["reads", "leaves at once", "leaves after an event", "half-closes"]


@given(st.lists(st.tuples(SCRIPTS, st.booleans(), st.sampled_from(Client.__args__)), min_size=1, max_size=6))  # type: ignore[attr-defined]
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_open_count_is_settle_count(shared: Inside, upstream: Upstream, steps: list[tuple[str, bool, Client]]) -> None:
    """The promise of the ledger: each accepted request is settled once, whatever client and provider do."""
    upstream.clear()
    for script, stream, client in steps:
        with shared.connect() as wire:
            wire.send(shared.chat_bytes(mock=script, stream=stream))
            if client == "leaves at once":
                wire.reset()
                continue
            if client == "half-closes":
                wire.half_close()
            if client == "leaves after an event":
                wire.read_head()
                wire.chunk() if stream and b"chunked" in wire.received else None
                wire.reset()
            else:
                reply = wire.read_reply()
                assert reply is not None
                assert reply.complete
    eventually(lambda: not shared.server.connections, "every client's end was seen")
    eventually(shared.balanced, "every opening settled once")
    assert shared.metrics_page.requests_in_flight == 0
    assert shared.failures_seen == []
