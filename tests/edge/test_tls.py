"""Who is trusted, driven by real handshakes on loopback."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from msgspec import structs

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import TlsSettings
from trunkline.edge.tls import client_context, server_context

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Authority:
    """A CA nobody trusts but who is told to, and certificates of it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.cert_file, self.key_file = str(folder / "cert.pem"), str(folder / "key.pem")
        leaf = self.ca.issue_cert("127.0.0.1", "localhost")
        leaf.cert_chain_pems[0].write_to_path(self.cert_file)
        leaf.private_key_pem.write_to_path(self.key_file)

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **options).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A fresh CA."""
    return Authority(tmp_path)


async def ask(rig: Any, says: Any, wire: Any, context: ssl.SSLContext, tls: TlsSettings) -> bytes:
    """The body a provider with `context` answers to a client with `tls`."""
    origin = await rig.provider(says(HELLO), context)
    answer = await rig.client.send(wire(structs.replace(origin, tls=tls)))
    body: bytes = await answer.read()
    return body


async def test_a_provider_whose_authority_is_configured(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """A company's own CA."""
    tls = TlsSettings(ca_file=authority.ca_file)
    assert await ask(rig, says, wire, authority.context("127.0.0.1"), tls) == b"hello"


async def test_a_stranger_is_refused_by_default(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """docs/faults.md B14: verification is never silently off; the words say what to look at and name no host."""
    with pytest.raises(GatewayError) as refused:
        await ask(rig, says, wire, authority.context("127.0.0.1"), TlsSettings())
    assert (refused.value.kind, refused.value.retryable) == (Kind.UPSTREAM_TLS, False)
    assert "could not be verified" in refused.value.message
    assert "127.0.0.1" not in refused.value.message
    assert rig.client.pools.popitem()[1].open == 0


async def test_a_wrong_name_is_refused(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """A valid certificate of somebody else is a man in the middle."""
    with pytest.raises(GatewayError) as refused:
        await ask(rig, says, wire, authority.context("api.example.com"), TlsSettings(ca_file=authority.ca_file))
    assert refused.value.kind is Kind.UPSTREAM_TLS


async def test_an_expired_certificate_is_refused(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """And said to be expired."""
    then = dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=365)
    context = authority.context("127.0.0.1", not_before=then, not_after=then + dt.timedelta(days=1))
    with pytest.raises(GatewayError) as refused:
        await ask(rig, says, wire, context, TlsSettings(ca_file=authority.ca_file))
    assert refused.value.kind is Kind.UPSTREAM_TLS
    assert "expired" in refused.value.message


async def test_verification_may_be_switched_off_in_so_many_words(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """A lab's self-signed server."""
    assert await ask(rig, says, wire, authority.context("api.example.com"), TlsSettings(verify=False)) == b"hello"


async def test_a_client_certificate_is_shown(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """Providers behind mutual TLS."""
    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    tls = TlsSettings(ca_file=authority.ca_file, cert_file=authority.cert_file, key_file=authority.key_file)
    assert await ask(rig, says, wire, context, tls) == b"hello"


async def test_without_its_client_certificate_there_is_no_answer(rig: Any, says: Any, wire: Any, authority: Authority) -> None:
    """TLS 1.3 tells us only after our request left: still an error, and no second request."""
    context = authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    with pytest.raises(GatewayError) as refused:
        await ask(rig, says, wire, context, TlsSettings(ca_file=authority.ca_file))
    assert refused.value.kind in {Kind.UPSTREAM_TLS, Kind.UPSTREAM_BROKEN}


async def test_a_server_that_speaks_no_tls(rig: Any, wire: Any) -> None:
    """An https URL in front of a plain port."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad\r\n\r\n")

    origin = await rig.provider(plain)
    with pytest.raises(GatewayError) as refused:
        await rig.client.send(wire(structs.replace(origin, scheme="https")))
    assert refused.value.kind is Kind.UPSTREAM_TLS


@pytest.mark.parametrize("settings", [TlsSettings(ca_file="/nowhere.pem"), TlsSettings(cert_file="/nowhere.pem")])
async def test_files_that_cannot_be_used_are_an_error_of_tls(rig: Any, wire: Any, settings: TlsSettings) -> None:
    """Falling back to the system's trust would be verification silently changed."""
    origin = await rig.provider(None)
    with pytest.raises(GatewayError) as refused:
        await rig.client.send(wire(structs.replace(origin, scheme="https", tls=settings)))
    assert refused.value.kind is Kind.UPSTREAM_TLS
    assert "nowhere" not in refused.value.message


def test_contexts_are_made_once() -> None:
    """Loading the system's roots takes 20 ms: not once per connection."""
    assert client_context(TlsSettings()) is client_context(TlsSettings())
    assert client_context(TlsSettings()).verify_mode is ssl.CERT_REQUIRED
    assert client_context(TlsSettings()).check_hostname


def test_a_key_with_a_password_is_refused_and_not_asked_for(authority: Authority) -> None:
    """OpenSSL would ask at the terminal, and a service or a check would wait for ever."""
    key = load_pem_private_key(Path(authority.key_file).read_bytes(), None)
    closed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    Path(authority.key_file).write_bytes(closed)
    program = f"from trunkline.edge.tls import server_context; server_context({authority.cert_file!r}, {authority.key_file!r})"
    words, env = [sys.executable, "-c", program], {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False)
    assert b"SSLError" in done.stderr
    assert b"pass phrase" not in done.stderr


async def test_our_listener_speaks_tls(rig: Any, authority: Authority) -> None:
    """Whole, streamed and kept alive, over TLS 1.2 and later; older is refused."""

    def handle(request: Any, reply: Any) -> None:
        if request.path == "/stream":
            reply.start(200, b"")
            for _ in range(50):
                reply.write(b"x" * 20_000)
            reply.end()
        else:
            reply.send(200, b"", b"whole")

    context = server_context(authority.cert_file, authority.key_file)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    listener = rig.serve(handle, tls=context)
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    host, _, port = listener.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"whole")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.write(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    data = await reader.read()
    assert data.count(b"x") == 1_000_000
    assert data.endswith(b"0\r\n\r\n")
    writer.close()
    await rig.quiet()


async def test_plain_bytes_on_our_tls_port_leave_no_trace(rig: Any, authority: Authority) -> None:
    """A port scan must not take a connection's place for ever."""
    listener = rig.serve(tls=server_context(authority.cert_file, authority.key_file), max_connections_per_ip=1)
    for _ in range(3):
        peer = await rig.peer(listener)
        await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await peer.rest()
        await rig.until(lambda: not listener._opening)
    assert not listener._per_ip


async def test_a_client_that_leaves_over_tls_is_noticed(rig: Any, authority: Authority) -> None:
    """The provider behind it is paid by the second."""
    gone = asyncio.Event()

    async def wait(request: Any, reply: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    listener = rig.serve(wait, tls=server_context(authority.cert_file, authority.key_file))
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    host, _, port = listener.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await rig.until(lambda: rig.app.seen)
    writer.close()
    async with asyncio.timeout(0.25):
        await gone.wait()


async def test_pipelining_and_refusals_over_tls(rig: Any, authority: Authority) -> None:
    """The same order, refusals and ends as without: TLS has no half-close, so our close waits for the client's."""
    listener = rig.serve(tls=server_context(authority.cert_file, authority.key_file))
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    host, _, port = listener.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
    post = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    writer.write(
        post % b"1" + post % b"refuse" + post % b"3" + b"POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n"
    )
    writer.write(b"x" * 500_000)
    data = await reader.read()
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"401", b"200", b"413"]
    assert data.endswith(b"The request's body is larger than 1000000 bytes.")
    writer.close()
    await rig.quiet()
