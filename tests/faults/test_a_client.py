"""A1 to A5, A10, A11: clients that leave, dawdle, hurry or flood."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from harness.client import Wire
from harness.gateway import Gateway, Make, settings
from harness.invariants import Case, eventually
from harness.upstream import Upstream

MIB = 2**20
CANCEL = 0.25
"""Seconds from a client's leaving to the provider's seeing it: a published promise."""
LEAVE: list[Callable[[Wire], None]] = [Wire.close, Wire.reset]


@pytest.mark.parametrize("leave", LEAVE)
def test_a1_client_leaves_in_mid_stream(case: Case, leave: Callable[[Wire], None]) -> None:
    """Tokens nobody reads are paid for as long as the provider goes on."""
    stream = case.gateway.stream(model="patient", mock="frames=4;hang_at=2")
    first = [stream.next(), stream.next()]
    assert None not in first
    left_at = time.monotonic()
    leave(stream.wire)
    seen = case.upstream.requests[0]
    assert case.upstream.wait_ended(seen) in {"eof", "rst"}
    assert seen.ended_at - left_at < CANCEL
    eventually(case.new_rows, "a row")
    row = case.new_rows()[0]
    assert row["outcome"] == "client_cancelled"
    assert row["output_tokens"] > 0, "the part that was streamed is not accounted"
    case.outcomes = ["client_cancelled"]


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize("stream", [False, True])
def test_a2_client_leaves_before_the_first_byte(case: Case, leave: Callable[[Wire], None], stream: bool) -> None:
    """A client that timed out and tries again must not leave two generations running."""
    with case.gateway.connect() as wire:
        wire.send(case.gateway.chat_bytes(model="patient", mock="hold", stream=stream))
        seen = case.upstream.wait_requests(1)[0]
        left_at = time.monotonic()
        leave(wire)
        assert case.upstream.wait_ended(seen) in {"eof", "rst"}
    assert seen.ended_at - left_at < CANCEL
    case.outcomes = ["client_cancelled"]


@pytest.mark.parametrize("leave", LEAVE)
def test_a2_client_leaves_while_queued(upstream: Upstream, make_gateway: Make, leave: Callable[[Wire], None]) -> None:
    """What was never sent must not be sent after its client left."""
    config = settings(upstream.url, provider={"pool": {"max_connections": 1, "wait": "5s"}})
    gateway = make_gateway(config)
    case = Case(gateway, upstream)
    case.begin()
    with gateway.connect() as first, gateway.connect() as second:
        first.send(gateway.chat_bytes(model="patient", mock="hold", nonce="first"))
        upstream.wait_requests(1)
        second.send(gateway.chat_bytes(model="patient", nonce="second"))
        eventually(lambda: gateway.in_flight() == 2, "both in flight")
        leave(second)
        eventually(lambda: gateway.in_flight() == 1, "the queued one let go")
        upstream.release()
        reply = first.read_reply()
    assert reply is not None
    assert reply.content == "first"
    assert [seen.nonce for seen in upstream.requests] == ["first"]
    case.rows = 2
    case.outcomes = ["ok", "client_cancelled"]
    case.check()


@pytest.mark.parametrize("stream", [False, True])
def test_a3_half_close_is_no_abort(case: Case, stream: bool) -> None:
    """A client that says it has no more to send (legal, `nc -N` does it) still wants its answer."""
    with case.gateway.connect() as wire:
        wire.send(case.gateway.chat_bytes(mock="sleep=300;frames=6;gap=50", stream=stream, nonce="whole"))
        wire.half_close()
        reply = wire.read_reply()
    assert reply is not None
    assert (reply.status, reply.complete) == (200, True)
    assert reply.body.count(b"whole") >= (6 if stream else 1)
    if stream:
        assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a4_slow_reader_stops_the_provider(case: Case) -> None:
    """One phone in a tunnel must not hold a whole answer in our memory, nor be mistaken for a stalled provider."""
    before = case.gateway.rss()
    with case.gateway.stream(mock="frames=200000;size=1000", receive_buffer=4096) as stream:
        seen = case.upstream.requests[0]
        written = -1
        while written != seen.sent:
            written = seen.sent
            time.sleep(0.4)
        assert not seen.ended, "the stream ended while its reader was slow"
        assert seen.sent < 16 * MIB
        assert case.gateway.rss() - before < 2 * MIB
        for _ in range(200):
            assert stream.next() is not None
        assert not seen.ended
    assert case.upstream.wait_ended(seen) in {"eof", "rst"}
    case.outcomes = ["client_cancelled"]


def test_a4_many_slow_readers_cost_little(case: Case) -> None:
    """Memory for a slow stream is bounded by design, not by luck: 256 KiB each."""
    before = case.gateway.rss()
    streams = [case.gateway.stream(model="patient", mock="endless;size=1000", receive_buffer=4096) for _ in range(40)]
    total = -1
    while total != sum(seen.sent for seen in case.upstream.requests):
        total = sum(seen.sent for seen in case.upstream.requests)
        time.sleep(0.4)
    grown = case.gateway.rss() - before
    for stream in streams:
        stream.close()
    assert grown / len(streams) < 256 * 1024


def test_a4_stalled_reader_is_cut(upstream: Upstream, make_gateway: Make) -> None:
    """A reader that takes nothing for the stall timeout gives its slot back."""
    gateway = make_gateway(settings(upstream.url, server={"limits": {"stall_timeout": "1s"}}))
    case = Case(gateway, upstream)
    case.begin()
    with gateway.stream(mock="endless;size=1000", receive_buffer=4096):
        seen = upstream.requests[0]
        assert upstream.wait_ended(seen, 6.0) in {"eof", "rst"}
    case.outcomes = ["client_cancelled"]
    case.check()


def trickle(wires: list[Wire], data: bytes, seconds: float, alive: threading.Event) -> None:
    """One byte a tick on each connection, from another thread."""
    for at in range(len(data)):
        if alive.wait(seconds):
            return
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.send(data[at : at + 1])


@pytest.mark.parametrize("part", ["head", "body"])
def test_a5_slow_loris(upstream: Upstream, make_gateway: Make, part: str) -> None:
    """Fifty sockets at a byte a tick are ended by a deadline for the whole, and nobody else feels them."""
    server = {"limits": {"header_timeout": "1s", "body_grace": "1s"}}
    gateway = make_gateway(settings(upstream.url, server=server))
    case = Case(gateway, upstream)
    case.begin()
    wires = [gateway.connect() for _ in range(50)]
    data = gateway.chat_bytes(body=b" " * 4000)
    head = data.index(b"\r\n\r\n") + 4
    if part == "body":
        for wire in wires:
            wire.send(data[:head])
    alive = threading.Event()
    slow = threading.Thread(target=trickle, args=(wires, data if part == "head" else data[head:], 0.05, alive))
    begin = time.monotonic()
    slow.start()
    try:
        took = []
        for _ in range(20):
            at = time.monotonic()
            assert gateway.chat().status == 200
            took.append(time.monotonic() - at)
        assert max(took) < 0.25
        statuses = [reply and reply.status for reply in (wire.read_reply() for wire in wires)]
        assert statuses == [408] * 50
        assert all(wire.closed() for wire in wires)
        assert time.monotonic() - begin < 4
    finally:
        alive.set()
        slow.join()
        for wire in wires:
            wire.close()
    case.check()


def test_a10_pipelined_in_order(case: Case) -> None:
    """Answers in the order of the questions, even where the second is ready first."""
    gateway = case.gateway
    with gateway.connect() as wire:
        wire.send(gateway.chat_bytes(nonce="one", mock="sleep=200") + gateway.chat_bytes(nonce="two"))
        replies = [wire.read_reply(), wire.read_reply()]
    assert [reply and reply.content for reply in replies] == ["one", "two"]


def test_a10_pipelined_behind_a_stream(case: Case) -> None:
    """A whole request behind a stream waits for the stream's end."""
    gateway = case.gateway
    with gateway.connect() as wire:
        wire.send(gateway.chat_bytes(nonce="one", mock="frames=5;gap=20", stream=True) + gateway.chat_bytes(nonce="two"))
        replies = [wire.read_reply(), wire.read_reply()]
    first, second = replies
    assert first is not None
    assert second is not None
    assert first.complete
    assert first.body.endswith(b"[DONE]\n\n")
    assert second.content == "two"


def test_a10_each_request_has_its_own_key(case: Case) -> None:
    """The credential of the first request must never serve the second."""
    gateway = case.gateway
    with gateway.connect() as wire:
        wire.send(gateway.chat_bytes() + gateway.chat_bytes(key=None) + gateway.chat_bytes())
        statuses = [reply and reply.status for reply in (wire.read_reply() for _ in range(3))]
    assert statuses in ([200, 401, 200], [200, 401, None])


@pytest.mark.parametrize(
    "bad", [{"body": b"{"}, {"model": "unknown"}, {"key": "tl-wrong"}, {"mock": "status=500"}, {"mock": "html"}]
)
def test_a10_reuse_after_an_error(case: Case, bad: dict[str, Any]) -> None:
    """An error leaves nothing behind for the next request of the connection."""
    gateway = case.gateway
    with gateway.connect() as wire:
        wire.send(gateway.chat_bytes(**bad))
        first = wire.read_reply()
        assert first is not None
        assert first.status >= 400
        wire.send(gateway.chat_bytes(nonce="next"))
        second = wire.read_reply()
        assert second is not None
        assert second.content == "next"


def flood(gateway: Gateway, count: int) -> list[Wire]:
    """Idle connections."""
    wires: list[Wire] = []
    with contextlib.suppress(OSError):
        wires.extend(gateway.connect(timeout=5) for _ in range(count))
    return wires


def test_a11_connection_flood(upstream: Upstream, make_gateway: Make) -> None:
    """More connections than descriptors: the operator still gets in, the CPU stays cool, and it recovers by itself."""
    gateway = make_gateway(settings(upstream.url), wrap=["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"])
    case = Case(gateway, upstream)
    case.begin()
    wires = flood(gateway, 400)
    try:
        begin = gateway.cpu()
        time.sleep(1.0)
        assert gateway.cpu() - begin < 0.5, "it spins"
        assert gateway.get("/healthz", admin=True, timeout=3).status == 200
    finally:
        for wire in wires:
            wire.close()
    case.check()


def test_a11_connections_of_one_address(upstream: Upstream, make_gateway: Make) -> None:
    """One address cannot take all connections where the operator set a share."""
    gateway = make_gateway(settings(upstream.url, server={"limits": {"max_connections_per_ip": 10}}))
    wires = flood(gateway, 20)
    closed = [wire.closed(0.2) for wire in wires]
    for wire in wires:
        wire.close()
    assert closed.count(True) == 10
    eventually(gateway.serves, "served again")
