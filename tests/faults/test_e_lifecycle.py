"""E1, E7, E9, E11, E12: starting, ending, and running out of what a process needs."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faults import offline
from harness.client import Stream, Wire, request
from harness.gateway import Gateway, Make, python_path, settings
from harness.invariants import Case, eventually
from harness.upstream import Upstream


def open_streams(gateway: Gateway, count: int, mock: str) -> list[Stream]:
    """Streams that have their first event."""
    streams = [gateway.stream(model="patient", mock=mock) for _ in range(count)]
    for stream in streams:
        assert stream.next() is not None
    return streams


def test_e1_streams_finish_on_sigterm(upstream: Upstream, make_gateway: Make) -> None:
    """A deployment must cost no user an answer: TERM, and twenty open streams come to their own end."""
    gateway = make_gateway(settings(upstream.url))
    idle = gateway.connect()
    idle.send(request("GET", "/healthz", []))
    assert idle.read_reply() is not None
    streams = open_streams(gateway, 20, "frames=12;gap=100")
    term_at = time.monotonic()
    gateway.terminate()
    eventually(lambda: gateway.get("/readyz", admin=True).status == 503, "not ready at once", 0.5)
    assert gateway.get("/healthz", admin=True).status == 200
    eventually(lambda: refuses_connections(gateway), "new connections refused", 0.5)
    assert idle.closed(0.5), "an idle keep-alive connection holds the drain up"
    idle.close()
    endings = [(stream.rest()[-1], stream.complete) for stream in streams]
    assert endings == [(b"[DONE]", True)] * 20
    assert gateway.wait(5) == 0
    assert time.monotonic() - term_at < 4
    assert [row["outcome"] for row in gateway.ledger()] == ["ok"] * 20
    for stream in streams:
        stream.close()


def refuses_connections(gateway: Gateway) -> bool:
    """Whether the data plane's port is closed."""
    try:
        gateway.connect(timeout=1).close()
    except OSError:
        return True
    return False


def test_e1_drain_has_an_end(upstream: Upstream, make_gateway: Make) -> None:
    """Past the drain timeout what still runs ends with an error event, and every row is written."""
    gateway = make_gateway(settings(upstream.url, server={"drain_timeout": "700ms"}))
    streams = open_streams(gateway, 10, "frames=1000;gap=50")
    with gateway.connect() as waiting:
        waiting.send(gateway.chat_bytes(model="patient", mock="hold"))
        upstream.wait(lambda: upstream.busy == 11)
        term_at = time.monotonic()
        gateway.terminate()
        for stream in streams:
            last = stream.rest()[-1]
            assert b'"error"' in last
            assert stream.complete
            stream.close()
        reply = waiting.read_reply()
    assert reply is not None
    assert reply.status == 503
    assert gateway.wait(5) == 0
    assert 0.6 < time.monotonic() - term_at < 2.5
    upstream.wait(lambda: upstream.busy == 0)
    assert [row["outcome"] for row in gateway.ledger()] == ["shutdown"] * 11


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_e1_a_second_signal_ends_it_now(upstream: Upstream, make_gateway: Make, second: signal.Signals) -> None:
    """An operator who presses twice means it; the accounts still hold."""
    gateway = make_gateway(settings(upstream.url))
    streams = open_streams(gateway, 5, "frames=1000;gap=50")
    gateway.terminate()
    time.sleep(0.2)
    os.kill(gateway.pid, second)
    gateway.wait(3)
    for stream in streams:
        assert stream.rest()[-1:] != [b"[DONE]"]
        stream.close()
    gateway.restart()
    eventually(lambda: len(gateway.ledger()) == 5, "five rows")
    assert {row["outcome"] for row in gateway.ledger()} <= {"shutdown", "interrupted", "upstream_broken", "client_cancelled"}


def test_e1_requests_during_the_grace(upstream: Upstream, make_gateway: Make) -> None:
    """A load balancer needs a moment to notice: who comes within the grace is served, on a connection that then closes."""
    gateway = make_gateway(settings(upstream.url, server={"drain_grace": "1s"}))
    gateway.terminate()
    eventually(lambda: gateway.get("/readyz", admin=True).status == 503, "not ready at once", 0.5)
    reply = gateway.chat()
    assert reply.status == 200
    assert reply.header("connection") == "close"
    assert gateway.wait(5) == 0


def test_e1_idle_stop_is_quick(upstream: Upstream, make_gateway: Make) -> None:
    """With nothing to wait for, nothing is waited for."""
    gateway = make_gateway(settings(upstream.url))
    gateway.chat()
    begin = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begin < 1.5
    assert len(gateway.ledger()) == 1


def test_e7_out_of_descriptors(case: Case) -> None:
    """At the descriptor limit a running gateway refuses or waits, keeps its accounts and recovers by itself."""
    gateway = case.gateway
    case.gateway.chat()
    gateway.limit(resource.RLIMIT_NOFILE, gateway.fds() + 8)
    wires: list[Wire] = []
    try:
        wires.extend(gateway.connect(timeout=5) for _ in range(60))
        begin = gateway.cpu()
        time.sleep(0.7)
        assert gateway.cpu() - begin < 0.4, "it spins"
        assert gateway.alive
    finally:
        for wire in wires:
            wire.close()
        gateway.limit(resource.RLIMIT_NOFILE, None)
    eventually(gateway.serves, "served again")


def test_e7_low_limit_from_the_start(upstream: Upstream, make_gateway: Make) -> None:
    """`ulimit -n 64`: more clients than descriptors get an answer each, later or by a refusal, and rows are written."""
    gateway = make_gateway(settings(upstream.url), wrap=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    case = Case(gateway, upstream)
    case.begin()
    statuses: list[int] = []

    def one() -> None:
        try:
            statuses.append(gateway.chat(mock="sleep=50", timeout=8).status)
        except (OSError, AssertionError):
            statuses.append(0)

    threads = [threading.Thread(target=one) for _ in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {0, 200, 503}, "our own shortage is told as the provider's failure"
    assert statuses.count(200) >= 10
    case.rows_up_to = 80
    case.check()


def namespaces() -> bool:
    """Whether this machine lets us make a network namespace without root."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no unprivileged network namespaces here")
def test_e9_starts_without_a_network(tmp_path: Path) -> None:
    """On a laptop in a train it starts, says it is well, and answers from what is there."""
    tests = str(Path(offline.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, python_path()])}
    command = ["unshare", "-Urn", sys.executable, str(offline.__file__), str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_e9_provider_that_comes_later(make_gateway: Make) -> None:
    """The order in which things start does not matter."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    gateway = make_gateway(settings(f"http://127.0.0.1:{port}/v1"))
    assert gateway.chat().status == 502
    assert gateway.get("/readyz").status == 200
    with Upstream(port=port):
        assert gateway.chat(nonce="late").content == "late"


def test_e11_nobody_reads_the_log(case: Case) -> None:
    """A stuck log collector fills a pipe of 64 KiB: requests go on, lines are dropped and counted, and none is torn."""
    gateway, batch = case.gateway, 100
    before = gateway.rss()
    gateway.hear.clear()
    try:
        with gateway.connect(timeout=5) as wire:
            for number in range(130):
                chats = number % 10 == 0
                wire.send((gateway.chat_bytes() if chats else request("GET", "/nowhere", [])) * batch)
                for _ in range(batch):
                    reply = wire.read_reply()
                    assert reply is not None
                    assert reply.status == (200 if chats else 404)
        dropped = gateway.metrics()["trunkline_log_lines_dropped_total"]
        assert dropped > 0, "the pipe was never full: the case proves nothing"
        assert gateway.rss() - before < 32 * 2**20
    finally:
        gateway.hear.set()
    told = gateway.wait_log(lambda line: line.get("event") == "log lines dropped")
    assert told["total"] >= dropped
    assert gateway.chat(nonce="heard").status == 200
    eventually(lambda: gateway.logs()[-1].get("status") == 200, "lines flow again")
    assert all("unparsed" not in line for line in gateway.logs())


def test_e11_log_reader_gone(upstream: Upstream, make_gateway: Make) -> None:
    """Standard output closed under us is no reason to die."""
    gateway = make_gateway(settings(upstream.url))
    case = Case(gateway, upstream)
    case.begin()
    gateway.deaf = True
    for _ in range(50):
        assert gateway.chat().status == 200
        assert gateway.chat(stream=True).status == 200
    assert gateway.alive
    case.check()


def test_e12_a_hundred_thousand_frames(case: Case) -> None:
    """Nothing in a stream's path may grow with its length."""
    gateway, frames = case.gateway, 100_000
    with gateway.stream(mock="frames=1000") as warm:
        warm.rest()
    before, count = gateway.rss(), 0
    with gateway.stream(mock=f"frames={frames}", nonce="t") as stream:
        while (data := stream.next()) is not None:
            count += 1
            last = data
        assert stream.complete
    assert count == frames + 2
    assert last == b"[DONE]"
    assert gateway.rss() - before < 4 * 2**20


@pytest.mark.parametrize("stream", [False, True])
def test_e12_total_deadline(upstream: Upstream, make_gateway: Make, stream: bool) -> None:
    """The only clock that ends a lively stream is the one the operator set: with an error, not a clean end."""
    gateway = make_gateway(settings(upstream.url, timeouts={"total": "800ms", "first_byte": "30s"}))
    begin = time.monotonic()
    reply = gateway.chat(mock="endless;gap=50" if stream else "hold", stream=stream)
    assert 0.7 < time.monotonic() - begin < 1.6
    assert reply.complete
    assert reply.status == (200 if stream else 504)
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    upstream.wait(lambda: upstream.busy == 0)


def test_e12_idle_keep_alive_ends_quietly(upstream: Upstream, make_gateway: Make) -> None:
    """A connection kept for days costs a descriptor: after its time it is closed without a word, never in mid-request."""
    gateway = make_gateway(settings(upstream.url, server={"limits": {"keep_alive": "500ms"}}))
    with gateway.connect() as wire:
        for _ in range(3):
            wire.send(gateway.chat_bytes(mock="sleep=400"))
            reply = wire.read_reply()
            assert reply is not None
            assert reply.status == 200
            time.sleep(0.2)
        received = len(wire.received)
        assert wire.closed(1.5)
        assert len(wire.received) == received
