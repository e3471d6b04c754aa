"""The harness itself: a fault that is not really injected proves nothing about the gateway."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest
from typing_extensions import override

from harness.certs import Authority
from harness.client import Reply, Stream, Wire, request
from harness.gateway import Gateway, GatewayDied
from harness.proxy import ConnectProxy
from harness.script import Script, replay
from harness.shim import Shim
from harness.upstream import Upstream

LOCAL = "127.0.0.1"


def ask(address: tuple[str, int], mock: str = "", nonce: str = "n1", **fields: object) -> Wire:
    """A connection on which a chat request was sent."""
    wire = Wire(address, timeout=5)
    body = json.dumps({"model": "m", "messages": [], "x_mock": mock, "x_nonce": nonce, **fields}).encode()
    try:
        wire.send(request("POST", "/v1/chat/completions", [], body))
    except OSError:  # a peer that refuses may have reset it by now: nobody else would close the socket
        wire.close()
        raise
    return wire


def whole(upstream: Upstream, mock: str = "", nonce: str = "n1") -> Reply | None:
    """One whole answer of the mock."""
    with ask((LOCAL, upstream.port), mock, nonce) as wire:
        return wire.read_reply()


def test_whole_and_stream_carry_the_nonce() -> None:
    """A desync case would pass in silence if answers did not tell whose they are."""
    with Upstream() as upstream:
        reply = whole(upstream, nonce="mine")
        assert reply is not None
        assert reply.content == "mine"
        with ask((LOCAL, upstream.port), "frames=2", "yours", stream=True, stream_options={"include_usage": True}) as wire:
            head = wire.read_head()
            assert head is not None
            stream = Stream(wire, head)
            events = stream.rest()
        assert [b"yours" in event for event in events] == [True, True, True, True, False]
        assert json.loads(events[3])["usage"]["total_tokens"] == 10
        assert (events[-1], stream.complete) == (b"[DONE]", True)
        upstream.wait(lambda: upstream.open == 0)
        assert [seen.ended for seen in upstream.requests] == ["done", "done"]
        assert upstream.accepted == 2


@pytest.mark.parametrize(
    ("mock", "status", "complete"),
    [
        ("status=429;retry_after=2", 429, True),
        ("html", 200, True),
        ("empty", 200, True),
        ("redirect=http://127.0.0.1:1/", 302, True),
        ("short", 200, False),
        ("cut", 200, False),
        ("ce=gzip", 200, True),
        ("bomb=1", 200, True),
        ("big=1", 200, True),
        ("sleep=10", 200, True),
        ("raw=" + base64.b64encode(b"HTTP/1.1 207 X\r\ncontent-length: 2\r\n\r\nhi").decode(), 207, True),
    ],
)
def test_whole_scripts(mock: str, status: int, complete: bool) -> None:
    """Each fault of a whole answer is the fault it says."""
    with Upstream() as upstream:
        reply = whole(upstream, mock)
        assert reply is not None
        assert (reply.status, reply.complete) == (status, complete)


@pytest.mark.parametrize(
    ("mock", "frames", "complete", "last"),
    [
        ("frames=8;rst_at=4", 4, False, b"data"),
        ("frames=8;eof_at=4", 4, False, b"data"),
        ("frames=3;nodone", 4, True, b"stop"),
        ("frames=3;error_at=1", 2, True, b"mock broke"),
        ("frames=0", 2, True, b"[DONE]"),
    ],
)
def test_stream_scripts(mock: str, frames: int, complete: bool, last: bytes) -> None:
    """Each fault of a stream comes after exactly the frames it says."""
    with Upstream() as upstream, ask((LOCAL, upstream.port), mock, "data", stream=True) as wire:
        head = wire.read_head()
        assert head is not None
        stream = Stream(wire, head)
        events = stream.rest()
        assert len(events) == frames
        assert stream.complete is complete
        assert last in events[-1]


def test_sees_a_cancel_at_once() -> None:
    """The promise of 250 ms can only be checked by a mock that looks at its read side while it sends nothing."""
    with Upstream() as upstream:
        for leave, expected in ((Wire.close, "eof"), (Wire.reset, "rst")):
            wire = ask((LOCAL, upstream.port), "hold")
            seen = upstream.wait_requests(1)[-1]
            left_at = time.monotonic()
            leave(wire)
            assert upstream.wait_ended(seen) == expected
            assert seen.ended_at - left_at < 0.1
            upstream.clear()
        upstream.wait(lambda: upstream.open == 0)


def test_hold_waits_for_release() -> None:
    """Cases that need a request to be in flight hold it instead of sleeping."""
    with Upstream() as upstream, ask((LOCAL, upstream.port), "hold") as wire:
        upstream.wait_requests(1)
        assert upstream.busy == 1
        upstream.release()
        reply = wire.read_reply()
        assert reply is not None
        assert reply.status == 200


def test_queue_and_handler_come_before_the_request() -> None:
    """A case may script by order as well as by request."""
    with Upstream() as upstream:
        upstream.then("status=500")
        upstream.script(lambda seen: "status=418" if seen.nonce == "tea" else None)
        statuses = [reply.status for nonce in ("tea", "tea", "x") if (reply := whole(upstream, "", nonce))]
        assert statuses == [500, 418, 200]


def test_back_pressure_blocks_the_mock() -> None:
    """An endless stream to a reader that stops must not grow the mock, or the test would measure itself."""
    with Upstream() as upstream, ask((LOCAL, upstream.port), "endless;size=1000", stream=True) as wire:
        assert wire.read_head() is not None
        seen = upstream.requests[0]
        before = -1
        while seen.sent != before:
            before = seen.sent
            time.sleep(0.2)
        assert seen.sent < 20_000_000


def test_idle_close_only_when_idle() -> None:
    """`close_after` models a provider's keep-alive timeout: it never drops a request it has seen."""
    with Upstream() as upstream, Wire((LOCAL, upstream.port)) as wire:
        upstream.script("close_after=50")
        for _ in range(2):
            wire.send(request("POST", "/v1/chat/completions", [], b"{}"))
            assert wire.read_reply() is not None
        assert wire.closed(1.0)
        assert len(upstream.requests) == 2


def test_strays_are_kept() -> None:
    """Two requests at once on a provider connection are a smuggled one; the mock must say so."""
    with Upstream() as upstream, Wire((LOCAL, upstream.port)) as wire:
        wire.send(request("POST", "/", [], b"{}") + b"GET /admin HTTP/1.1\r\n\r\n")
        assert wire.read_reply() is not None
        assert upstream.strays == [b"GET /admin HTTP/1.1\r\n\r\n"]


def test_reads_chunked_requests() -> None:
    """Whatever framing the gateway uses toward a provider, the mock sees the body."""
    with Upstream() as upstream, Wire((LOCAL, upstream.port)) as wire:
        wire.send(b'POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{"a\r\n')
        wire.send(b'5\r\n": 1}\r\n0\r\n\r\n')
        assert wire.read_reply() is not None
        assert upstream.requests[0].fields == {"a": 1}


def test_replay_slices() -> None:
    """A recording is sent byte for byte, in the pieces asked for."""
    raw = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert b"".join(step for step in replay(raw, [1, 7, 100]) if isinstance(step, bytes)) == raw
    with Upstream() as upstream:
        upstream.script(lambda _: replay(raw, [1] * 10, pause=0.001))
        reply = whole(upstream)
        assert reply is not None
        assert reply.body == b"hello"


def test_script_words() -> None:
    """The script language is two characters deep."""
    assert Script.parse("a=1;b;c=x=y") == {"a": "1", "b": "", "c": "x=y"}


def test_thousands_of_requests() -> None:
    """A slow mock would hide a fast gateway's faults."""
    with Upstream() as upstream:
        bytes_ = request("POST", "/v1/chat/completions", [], b'{"x_nonce":"q"}')

        def many() -> None:
            with Wire((LOCAL, upstream.port)) as wire:
                for _ in range(500):
                    wire.send(bytes_)
                    reply = wire.read_reply()
                    assert reply is not None
                    assert reply.content == "q"

        threads = [threading.Thread(target=many) for _ in range(4)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(upstream.requests) == 2000
        assert time.monotonic() - begin < 10


def test_shim_relays_delays_and_kills() -> None:
    """The network's faults, without root."""
    with Upstream() as upstream, Shim((LOCAL, upstream.port)) as shim:
        with ask((LOCAL, shim.port)) as wire:
            reply = wire.read_reply()
            assert reply is not None
            assert reply.content == "n1"
        shim.delay = 0.05
        begin = time.monotonic()
        with ask((LOCAL, shim.port)) as wire:
            assert wire.read_reply() is not None
            assert time.monotonic() - begin >= 0.1
        shim.delay = 0.0
        with ask((LOCAL, shim.port), "hold") as wire:
            upstream.wait_requests(3)
            shim.reset_all()
            assert wire.read_reply() is None
        upstream.wait_ended(upstream.requests[2])
        shim.blackhole = True
        with ask((LOCAL, shim.port)) as wire:
            wire.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                wire.read_reply()
            shim.blackhole = False
            wire.sock.settimeout(5)
            assert wire.read_reply() is not None
        shim.refuse = True
        with contextlib.suppress(OSError), ask((LOCAL, shim.port)) as wire:
            assert wire.read_reply() is None
        assert len(upstream.requests) == 4


def test_shim_throttles() -> None:
    """A slow network is slow."""
    with Upstream() as upstream, Shim((LOCAL, upstream.port)) as shim:
        shim.rate = 4000
        begin = time.monotonic()
        with ask((LOCAL, shim.port), "frames=10;size=100", stream=True) as wire:
            assert wire.read_reply() is not None
        assert time.monotonic() - begin > 0.5


def test_tls_variants(tmp_path: Path) -> None:
    """Each bad certificate is bad in its one way, and the good one is good."""
    authority = Authority(tmp_path)
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    cases = {"good": "", "wrong_host": "mismatch", "expired": "expired", "stranger": "self-signed|unable to get"}
    for name, reason in cases.items():
        with Upstream(tls=getattr(authority, name)()) as upstream, socket.create_connection((LOCAL, upstream.port)) as raw:
            if reason:
                with pytest.raises(ssl.SSLCertVerificationError, match=reason):
                    trust.wrap_socket(raw, server_hostname=LOCAL)
            else:
                with trust.wrap_socket(raw, server_hostname=LOCAL) as secure:
                    secure.sendall(request("POST", "/", [], b"{}"))
                    assert secure.recv(100).startswith(b"HTTP/1.1 200")


def test_tls_client_certificate(tmp_path: Path) -> None:
    """The demanding server knows who came with the right certificate."""
    authority = Authority(tmp_path)
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    trust.load_cert_chain(*map(str, authority.client_files()))
    with (
        Upstream(tls=authority.demanding()) as upstream,
        socket.create_connection((LOCAL, upstream.port)) as raw,
        trust.wrap_socket(raw, server_hostname=LOCAL) as secure,
    ):
        secure.sendall(request("POST", "/", [], b"{}"))
        assert secure.recv(100).startswith(b"HTTP/1.1 200")


def test_proxy_counts_and_tunnels() -> None:
    """The proxy sees CONNECT and nothing else."""
    with Upstream() as upstream, ConnectProxy() as proxy, Wire((LOCAL, proxy.port)) as wire:
        wire.send(f"CONNECT 127.0.0.1:{upstream.port} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = wire.read_head()
        assert head is not None
        assert head.status == 200
        wire.send(request("POST", "/", [], b'{"x_nonce": "t"}'))
        reply = wire.read_reply()
        assert reply is not None
        assert reply.content == "t"
        assert len(proxy.asked) == 1
    with ConnectProxy() as proxy, Wire((LOCAL, proxy.port)) as wire:
        wire.send(request("GET", "http://example.com/", []))
        head = wire.read_head()
        assert head is not None
        assert head.status == 403


READY = """import json, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("banner", file=sys.stderr, flush=True)
print(json.dumps({"event": "ready", "listen": "127.0.0.1:1", "admin": "[::1]:2"}), flush=True)
time.sleep(60)
"""


class Dummy(Gateway):
    """Runs a Python text instead of the gateway."""

    text = READY

    @override
    def command(self, *words: str) -> list[str]:
        """The text, whatever the words."""
        return [sys.executable, "-c", self.text]


def test_gateway_waits_for_ready_and_reports_its_exit(tmp_path: Path) -> None:
    """Every case stands on a process that is ready when it begins and gone when it ends."""
    with Dummy({}, tmp_path) as gateway:
        assert (gateway.listen, gateway.admin) == (("127.0.0.1", 1), ("::1", 2))
        assert gateway.fds() >= 3
        assert gateway.rss() > 1_000_000
        pid = gateway.pid
        assert gateway.stop() == 7
        assert not gateway.alive
        assert b"banner" in b"".join(gateway.stderr)
        gateway.restart()
        assert gateway.pid != pid
    assert not gateway.alive


def test_gateway_that_dies_shows_its_words(tmp_path: Path) -> None:
    """A start that fails must say why, at once, not after a timeout."""
    gateway = Dummy({}, tmp_path)
    gateway.text = "import sys; sys.exit('no such port')"
    begin = time.monotonic()
    with pytest.raises(GatewayDied, match="no such port"):
        gateway.start()
    gateway.kill()
    assert time.monotonic() - begin < 5
