"""One question to an issuer or a receiver: whole, bounded, in time; nothing followed, nothing told of hosts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from harness.loop import LoopThread
from harness.upstream import Upstream
from trunkline.canon.wire import Origin, TlsSettings
from trunkline.edge.call import CallFailed, Place, Said, get, post
from trunkline.edge.client import Client
from trunkline.edge.timers import Sweep


class World:
    """A client and a place to ask."""

    def __init__(self, port: int, origin: Origin | None = None) -> None:
        self.thread = LoopThread("call")
        self.client = self.thread.call(lambda: Client(self.thread.loop, Sweep(self.thread.loop)))
        self.place = Place(origin or Origin("http", "127.0.0.1", port, keep_idle=0.0), "/keys?v=1")

    def get(self, limit: int = 1000, seconds: float = 5.0) -> Said:
        """Ask."""
        return self.thread.run(get(self.client, self.place, limit, seconds))

    def post(self, seconds: float = 5.0) -> int:
        """Tell."""
        return self.thread.run(post(self.client, self.place, b"webhook-id: x\r\n", b"{}", seconds))

    def stop(self) -> None:
        """End."""
        self.thread.call(self.client.close)
        self.thread.stop()


@pytest.fixture
def there() -> Iterator[Upstream]:
    """Whom is asked."""
    with Upstream() as running:
        yield running


@pytest.fixture
def world(there: Upstream) -> Iterator[World]:
    """Who asks."""
    made = World(there.port)
    yield made
    made.stop()


def test_a_question_and_its_answer(world: World, there: Upstream) -> None:
    """Another page would be asked for, or compressed in a way that nobody asked for."""
    there.script("status=404")
    said = world.get()
    assert said.status == 404
    assert b"mock says no" in said.body
    seen = there.requests[0]
    assert seen.head.startswith(b"GET /keys?v=1 HTTP/1.1\r\n")
    assert seen.header("host") == f"127.0.0.1:{there.port}"
    assert seen.header("accept-encoding") == "identity"
    assert (seen.header("authorization"), seen.header("cookie"), seen.body) == (None, None, b"")


def test_what_is_told_arrives_as_it_is(world: World, there: Upstream) -> None:
    """The signature would be over another body."""
    there.script("big=8")
    assert world.post() == 200  # and of what it answers nothing is read
    seen = there.requests[0]
    assert (seen.body, seen.header("webhook-id"), seen.header("content-type")) == (b"{}", "x", "application/json")


def test_redirects_are_not_followed(world: World, there: Upstream) -> None:
    """An answer of somebody else would count as the one that was asked."""
    with Upstream() as elsewhere:
        there.script(f"redirect={elsewhere.url}")
        assert world.get().status == 302
        assert world.post() == 302
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("big=1", "its host's answer is not sound HTTP"),
        ("bomb=1", "its host's answer is not sound HTTP"),
        ("drop", "its host broke off in the middle"),
        ("short", "its host broke off in the middle"),
        ("hold", "its host took too long"),
        ("sleep=100;hold", "its host took too long"),
    ],
)
def test_there_is_no_answer(world: World, there: Upstream, script: str, why: str) -> None:
    """A broken issuer would fill the memory or be waited for without end."""
    there.script(script)
    began = time.monotonic()
    with pytest.raises(CallFailed, match=why):
        world.get(seconds=0.5)
    assert time.monotonic() - began < 5


def test_nobody_is_there(there: Upstream) -> None:
    """The operator could not tell a wrong address from a broken server."""
    there.close_listener()
    world = World(there.port)
    for ask in (world.get, world.post):
        with pytest.raises(CallFailed, match="its host could not be reached"):
            ask()
    world.stop()


def test_whom_nobody_vouches_for_is_not_asked(tmp_path: Path) -> None:
    """Keys could be replaced on the way."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    import ssl  # noqa: PLC0415 - only here

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Upstream(tls=context) as there:
        for tls, fails in ((TlsSettings(), True), (TlsSettings(ca_file=str(tmp_path / "ca.pem")), False)):
            origin = Origin("https", "localhost", there.port, tls, address="127.0.0.1", keep_idle=0.0)
            world = World(there.port, origin)
            if fails:
                with pytest.raises(CallFailed, match="no certificate that can be trusted"):
                    world.get()
            else:
                assert world.get().status == 200
                assert there.requests[0].header("host") == f"localhost:{there.port}"
            world.stop()


def test_hosts_are_written_as_they_must_be() -> None:
    """Servers that go by the host's name would answer for another."""
    heads = []

    class Told(Client):
        async def send(self, request, on_sent=None):  # noqa: ARG002 - as the real one
            heads.append(request.head.split(b"\r\n")[0])
            raise RuntimeError

    async def play() -> None:
        for origin in (Origin("https", "a.example", 443), Origin("http", "::1", 80), Origin("https", "::1", 8443)):
            with pytest.raises(RuntimeError):
                await get(Told(asyncio.get_running_loop(), Sweep(asyncio.get_running_loop())), Place(origin, "/"), 1, 1)

    asyncio.run(play())
    assert heads == [b"host: a.example", b"host: [::1]", b"host: [::1]:8443"]
