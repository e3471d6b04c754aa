"""B14: a provider whose certificate is not right gets no request and no key."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.certs import Authority
from harness.gateway import Gateway, Make, settings
from harness.invariants import eventually
from harness.proxy import ConnectProxy
from harness.upstream import Upstream


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA of this file."""
    return Authority(tmp_path_factory.mktemp("ca"))


def trusting(authority: Authority, url: str, **more: Any) -> dict[str, Any]:
    """Settings that trust the CA."""
    return settings(url, provider={"tls": {"ca": str(authority.ca_file), **more}})


@pytest.mark.parametrize("kind", ["expired", "wrong_host", "stranger"])
def test_b14_bad_certificate(authority: Authority, make_gateway: Make, kind: str) -> None:
    """Whoever sits between must get nothing, and the operator must read why."""
    with Upstream(tls=getattr(authority, kind)()) as upstream:
        gateway = make_gateway(trusting(authority, upstream.url))
        reply = gateway.chat()
        assert reply.status == 502
        assert any(word in reply.error["message"].lower() for word in ("certificate", "tls"))
        assert upstream.requests == []
        assert upstream.bytes_read == 0
        eventually(lambda: [row["outcome"] for row in gateway.ledger()] == ["upstream_error"], "its row")
        assert gateway.in_flight() == 0


def test_b14_system_trust_by_default(authority: Authority, make_gateway: Make) -> None:
    """Without a word about TLS a private CA is not trusted."""
    with Upstream(tls=authority.good()) as upstream:
        assert make_gateway(settings(upstream.url)).chat().status == 502
        assert upstream.requests == []


def test_b14_own_ca_and_reuse(authority: Authority, make_gateway: Make) -> None:
    """A private CA that is configured is trusted, and its connection kept: a handshake costs more than a request."""
    with Upstream(tls=authority.good()) as upstream:
        gateway = make_gateway(trusting(authority, upstream.url))
        for number in range(5):
            assert gateway.chat(nonce=str(number)).content == str(number)
        with gateway.stream(nonce="s") as stream:
            assert stream.rest()[-1] == b"[DONE]"
        assert upstream.accepted == 1


@pytest.mark.parametrize("kind", ["expired", "wrong_host", "stranger"])
def test_b14_verification_off_is_an_explicit_choice(authority: Authority, make_gateway: Make, kind: str) -> None:
    """A lab with self-signed certificates works when, and only when, it says so."""
    with Upstream(tls=getattr(authority, kind)()) as upstream:
        gateway = make_gateway(settings(upstream.url, provider={"tls": {"verify": False}}))
        assert gateway.chat(nonce="lab").content == "lab"


def test_b14_client_certificate(authority: Authority, make_gateway: Make) -> None:
    """A provider that knows its clients by certificate is served one, and refuses us without it."""
    certificate, key = authority.client_files()
    with Upstream(tls=authority.demanding()) as upstream:
        gateway = make_gateway(trusting(authority, upstream.url, cert=str(certificate), key=str(key)))
        assert gateway.chat(nonce="known").content == "known"
        stranger = make_gateway(trusting(authority, upstream.url))
        assert stranger.chat().status == 502
        assert len(upstream.requests) == 1


@contextlib.contextmanager
def mute_server(first: bytes = b"") -> Iterator[int]:
    """Accepts, says `first`, and then nothing: a handshake that never ends."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    taken.append(connection)
                    connection.sendall(first)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    for connection in taken:
        connection.close()


def test_b14_handshake_that_never_ends(make_gateway: Make) -> None:
    """Half-open TLS ends at the connect deadline."""
    with mute_server() as port:
        gateway = make_gateway(settings(f"https://127.0.0.1:{port}/v1"))
        begin = time.monotonic()
        reply = gateway.chat()
        assert reply.status in {502, 504}
        assert 0.9 < time.monotonic() - begin < 1.8
        assert gateway.in_flight() == 0


def test_b14_plain_http_behind_https(make_gateway: Make) -> None:
    """A provider that speaks no TLS where it should is refused; the key is not sent in the clear."""
    with Upstream() as upstream:
        gateway = make_gateway(settings(f"https://127.0.0.1:{upstream.port}/v1"))
        assert gateway.chat().status in {502, 504}
        assert upstream.requests == []


def through(proxy: ConnectProxy, config: dict[str, Any]) -> dict[str, Any]:
    """The settings with a proxy."""
    config["providers"]["lab"]["proxy"] = proxy.url
    return config


def test_b14_tls_through_a_proxy(authority: Authority, make_gateway: Make) -> None:
    """The tunnel is end to end: the proxy sees a host name and no key, and a bad certificate is still bad."""
    with ConnectProxy() as proxy, Upstream(tls=authority.good()) as good, Upstream(tls=authority.stranger()) as bad:
        gateway = make_gateway(through(proxy, trusting(authority, good.url)))
        assert gateway.chat(nonce="tunnel").content == "tunnel"
        assert proxy.asked[0].startswith(f"CONNECT 127.0.0.1:{good.port} HTTP/1.1\r\n".encode())
        assert b"authorization" not in b"".join(proxy.asked).lower()
        other = make_gateway(through(proxy, trusting(authority, bad.url)))
        assert other.chat().status == 502
        assert bad.requests == []


def test_b14_proxy_that_refuses(authority: Authority, make_gateway: Make) -> None:
    """A proxy's no is our 502, and nothing goes around the proxy."""
    with ConnectProxy(status=407) as proxy, Upstream(tls=authority.good()) as upstream:
        gateway = make_gateway(through(proxy, trusting(authority, upstream.url)))
        assert gateway.chat().status == 502
        assert upstream.accepted == 0


def test_b14_server_side(authority: Authority, upstream: Upstream, make_gateway: Make, tmp_path: Path) -> None:
    """Plain HTTP to a TLS listener is closed, not answered; the process stays."""
    certificate, key = authority.client_files()
    gateway: Gateway = make_gateway(settings(upstream.url, server={"tls": {"cert": str(certificate), "key": str(key)}}))
    assert not gateway.raw_request(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert gateway.get("/healthz", admin=True).status == 200
