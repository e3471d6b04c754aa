"""E5: more requests than may be in flight, and pauses that are no overload. What three times the load does is in `bench`."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import Any

import pytest

from harness.client import Reply, Wire, request
from harness.gateway import Gateway, Make, settings
from harness.invariants import Case, eventually
from harness.upstream import Upstream

HIGH, LOW = "tl-canary-high-key-0123456789abcdefghijklmnopqrstu", "tl-canary-low-key-0123456789abcdefghijklmnopqrstuv"
TURN = {"role": "user", "content": "hello"}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "m", "messages": [TURN]}),
    "responses": ("/v1/responses", {"model": "m", "input": "hello"}),
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": [TURN]}),
    "gemini": ("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"text": "hello"}]}]}),
    "ollama": ("/api/chat", {"model": "m", "messages": [TURN], "stream": False}),
}


def small(upstream: Upstream, most: int) -> dict[str, Any]:
    """A gateway that takes few at a time, with a key of each priority."""
    written = settings(upstream.url, server={"limits": {"max_requests": most}})
    keys = [{"name": "vip", "secret": HIGH, "priority": "high"}, {"name": "batch", "secret": LOW, "priority": "low"}]
    return {**written, "keys": [*written["keys"], *keys]}


def told(dialect: str, reply: Reply) -> str:
    """The words of an error, where that dialect's SDKs look for them."""
    error = reply.json["error"]
    words = error if dialect == "ollama" else error["message"]
    assert isinstance(words, str)
    return words


def fill(stack: ExitStack, gateway: Gateway, upstream: Upstream, count: int) -> list[Wire]:
    """So many requests that wait for the provider."""
    wires = [stack.enter_context(gateway.connect()) for _ in range(count)]
    for wire in wires:
        wire.send(gateway.chat_bytes(model="patient", mock="hold"))
    upstream.wait_requests(count)
    return wires


def test_e5_no_more_than_may_be_in_flight(upstream: Upstream, make_gateway: Make) -> None:
    """A provider that hangs must not fill the process: who comes too much is told so at once and cheaply, and the important
    ones still get in; what was let in is answered, and afterwards everything is as before.
    """
    gateway = make_gateway(small(upstream, 5))
    case = Case(gateway, upstream)
    case.begin()
    with ExitStack() as stack:
        waiting = fill(stack, gateway, upstream, 4)
        for dialect, (path, fields) in ASKED.items():
            reply = gateway.ask(path, fields)
            assert reply.status == 503, dialect
            assert 1 <= int(reply.header("retry-after") or 0) <= 8, dialect
            assert reply.header("x-request-id"), dialect
            assert "more to do" in told(dialect, reply), dialect
        assert gateway.ask(*ASKED["openai"]).error["code"] == "overloaded"
        assert gateway.ask(*ASKED["openai"], key=LOW).status == 503
        assert gateway.chat(key=HIGH).status == 200
        assert (
            gateway.get("/healthz").status == gateway.get("/readyz").status == gateway.get("/healthz", admin=True).status == 200
        )
        shed = {name: value for name, value in gateway.metrics().items() if name.startswith("trunkline_shed_total")}
        assert shed == {
            'trunkline_shed_total{priority="high"}': 0,
            'trunkline_shed_total{priority="normal"}': len(ASKED) + 1,
            'trunkline_shed_total{priority="low"}': 1,
        }
        said = gateway.wait_log(lambda line: line.get("event") == "turned away under load")
        assert said["in_flight"] == 4
        upstream.release()
        replies = [wire.read_reply() for wire in waiting]
    assert [reply and reply.status for reply in replies] == [200] * 4
    assert [line["status"] for line in gateway.logs() if line.get("path") == "/v1/messages"] == []
    assert gateway.chat(key=LOW).status == 200
    case.check()


def test_e5_the_bound_holds_for_those_who_come_at_once(upstream: Upstream, make_gateway: Make) -> None:
    """Heads are let in before bodies are there: a hundred that wait for their bodies must not all become exchanges."""
    gateway = make_gateway(small(upstream, 5))
    case = Case(gateway, upstream)
    case.begin()
    data = gateway.chat_bytes(model="patient", mock="hold")
    with ExitStack() as stack:
        wires = [stack.enter_context(gateway.connect()) for _ in range(20)]
        for wire in wires:
            wire.send(data[:-1])
        assert gateway.get("/healthz").status == 200  # they have all been read by now
        for wire in wires:
            wire.send(data[-1:])
        shed = 'trunkline_shed_total{priority="normal"}'
        eventually(lambda: gateway.metrics()[shed] == 16, lambda: f"16 turned away (are {gateway.metrics()[shed]})")
        upstream.wait_requests(4)
        assert gateway.in_flight() == 4
        upstream.release()
        replies = [reply.status for wire in wires if (reply := wire.read_reply()) is not None]
    assert sorted(replies) == [200] * 4 + [503] * 16
    assert len(upstream.requests) == 4
    case.check()


@pytest.mark.parametrize("much", [10, 200_000], ids=["small", "large"])
def test_e5_the_body_of_who_is_turned_away(upstream: Upstream, make_gateway: Make, much: int) -> None:
    """A small body is read, so that its connection serves the next request; a large one is not, and its connection ends."""
    gateway = make_gateway(small(upstream, 1))
    case = Case(gateway, upstream)
    case.begin()
    with ExitStack() as stack:
        (waiting,) = fill(stack, gateway, upstream, 1)
        wire = stack.enter_context(gateway.connect())
        wire.send(gateway.chat_bytes(user="u" * much))
        reply = wire.read_reply()
        assert reply is not None
        assert (reply.status, reply.header("connection")) == (503, None if much == 10 else "close")
        upstream.release()
        assert waiting.read_reply() is not None
        eventually(lambda: gateway.in_flight() == 0, "the slot free again")
        if much == 10:
            wire.send(gateway.chat_bytes())
            after = wire.read_reply()
            assert after is not None
            assert after.status == 200
    case.check()


def test_e5_who_asks_first_is_told_before_it_sends(upstream: Upstream, make_gateway: Make) -> None:
    """With `Expect: 100-continue` a client is spared sending what nobody will read."""
    gateway = make_gateway(small(upstream, 1))
    case = Case(gateway, upstream)
    case.begin()
    with ExitStack() as stack:
        (waiting,) = fill(stack, gateway, upstream, 1)
        wire = stack.enter_context(gateway.connect())
        head = [("authorization", f"Bearer {HIGH}"), ("content-length", "100"), ("expect", "100-continue")]
        wire.send(request("POST", "/v1/chat/completions", head))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 503
        upstream.release()
        assert waiting.read_reply() is not None
    case.check()


def test_e5_a_pause_turns_nobody_away(case: Case) -> None:
    """The machine may stop the process for a while; those who wait meanwhile are served, not refused."""
    gateway = case.gateway
    pid = gateway.pid
    with ExitStack() as stack:
        wires = [stack.enter_context(gateway.connect()) for _ in range(50)]
        for _ in range(3):
            os.kill(pid, signal.SIGSTOP)
            try:
                for wire in wires:
                    wire.send(gateway.chat_bytes(model="patient"))
            finally:
                os.kill(pid, signal.SIGCONT)
            assert [reply and reply.status for wire in wires for reply in [wire.read_reply()]] == [200] * 50
    assert not any(value for name, value in gateway.metrics().items() if name.startswith("trunkline_shed_total"))


def test_e5_the_bound_may_be_changed(upstream: Upstream, make_gateway: Make) -> None:
    """During an incident nobody wants to restart the process to let more in."""
    gateway = make_gateway(small(upstream, 1))
    with ExitStack() as stack:
        (waiting,) = fill(stack, gateway, upstream, 1)
        assert gateway.chat().status == 503
        gateway.config_file.write_text(gateway.config_file.read_text().replace("max_requests: 1", "max_requests: 10"))
        os.kill(gateway.pid, signal.SIGHUP)
        eventually(lambda: gateway.chat().status == 200, "more are let in")
        upstream.release()
        assert waiting.read_reply() is not None
