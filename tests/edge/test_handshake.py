"""WebSocket's opening handshake: who asks for it as he must, and what a provider's 101 must say."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from msgspec import structs

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.answer import Answer
from trunkline.edge.handshake import accept, accepting, key_of, new_key
from trunkline.edge.side import Side

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    b"connection": b"Upgrade",
    b"upgrade": b"websocket",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": KEY,
}


@pytest.mark.parametrize("headers", [GOOD, {**GOOD, b"connection": b"keep-alive, upgrade", b"upgrade": b"WebSocket"}])
def test_who_asks_as_he_must(headers: dict[bytes, bytes]) -> None:
    """Browsers and libraries write it in their own ways."""
    assert key_of(headers) == KEY


@pytest.mark.parametrize(
    "headers",
    [
        *({name: value for name, value in GOOD.items() if name != left} for left in GOOD),
        {**GOOD, b"connection": b"keep-alive"},
        {**GOOD, b"upgrade": b"h2c"},
        {**GOOD, b"sec-websocket-version": b"8"},
        {**GOOD, b"sec-websocket-key": b"short"},
        {**GOOD, b"sec-websocket-key": KEY + b", " + KEY},
    ],
)
def test_anything_else_is_an_ordinary_request(headers: dict[bytes, bytes]) -> None:
    """RFC 6455 section 4.2.1: a server must not open a WebSocket for it."""
    assert key_of(headers) == b""


def test_what_is_said_to_a_key() -> None:
    """The example of RFC 6455 section 1.3; keys of our own are 16 bytes that nobody else has."""
    assert accept(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accepting(KEY)
    assert len(base64.b64decode(new_key())) == 16
    assert new_key() != new_key()


# a provider's answer ----------------------------------------------------------------------------------------------------


def get(wire: Any, origin: Any, **deadlines: float) -> Any:
    """A request for a WebSocket."""
    return structs.replace(wire(origin, b"", "/rt?model=m", **deadlines), method="GET")


def answers(rig: Any, build: Any) -> Any:
    """A provider that answers each GET with what `build(accept line)` makes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            rig.asked = head
            key = head.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
            writer.write(build(b"Sec-WebSocket-Accept: %b\r\n" % accept(key)))

    return script


UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


async def test_what_is_asked_and_what_comes_back(rig: Any, wire: Any) -> None:
    """No extension is offered, so that what passes can be read; the 101's headers and the bytes behind it are kept."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    origin = await rig.provider(answers(rig, lambda line: early + UPGRADED + line + b"X-Y: z\r\n\r\nbehind"))
    sent: list[int] = []
    side = await rig.client.upgrade(get(wire, origin), lambda: sent.append(1))
    assert isinstance(side, Side)
    assert (side.headers[b"x-y"], side._ahead, sent) == (b"z", b"behind", [1])
    assert b"link" not in side.headers
    key = rig.asked.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
    assert rig.asked == (
        b"GET /rt?model=m HTTP/1.1\r\nhost: provider.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n" % key
    )
    pool = rig.client.pools[origin]
    assert (pool.open, pool.idle) == (1, 0)
    side.cut()
    await rig.until(lambda: pool.open == 0)


@pytest.mark.parametrize(
    "build",
    [
        lambda _: UPGRADED + b"\r\n",
        lambda _: UPGRADED + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        lambda line: UPGRADED.replace(b"websocket", b"h2c") + line + b"\r\n",
        lambda line: b"HTTP/1.1 101 Switching Protocols\r\n" + line + b"\r\n",
        lambda line: UPGRADED + line + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        lambda _: b"SSH-2.0-x\r\n\r\n",
    ],
)
async def test_a_101_that_agrees_to_something_else(rig: Any, wire: Any, build: Any) -> None:
    """A cache, another protocol, or bytes that could not be read: an error, and the connection is gone."""
    origin = await rig.provider(answers(rig, build))
    with pytest.raises(GatewayError) as refused:
        await rig.client.upgrade(get(wire, origin))
    assert refused.value.kind is Kind.UPSTREAM_PROTOCOL
    await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_a_refusal_leaves_the_connection_in_order(rig: Any, wire: Any) -> None:
    """An ordinary answer: read to its end, and used again for whatever comes next."""
    origin = await rig.provider(answers(rig, lambda _: b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"))
    answer = await rig.client.upgrade(get(wire, origin))
    assert isinstance(answer, Answer)
    assert (answer.status, await answer.read()) == (403, b"no")
    answer.close()
    assert rig.client.pools[origin].idle == 1


async def test_a_provider_that_says_nothing(rig: Any, wire: Any) -> None:
    """docs/faults.md B1: the deadline for a first byte holds for the handshake."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    origin = await rig.provider(script)
    with pytest.raises(GatewayError) as refused:
        await rig.client.upgrade(get(wire, origin, first_byte=0.2))
    assert refused.value.kind is Kind.UPSTREAM_TIMEOUT
    await rig.until(lambda: rig.client.pools[origin].open == 0)


async def test_the_bound_of_an_origin_holds(rig: Any, wire: Any) -> None:
    """docs/faults.md B10: sessions count; where all connections are open, an idle one is upgraded rather than waited for."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"upgrade" not in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
        key = head.partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
        writer.write(UPGRADED + b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept(key))
        await reader.read()

    origin = structs.replace(await rig.provider(script), max_connections=1, pool_wait=0.1)
    await (await rig.client.send(get(wire, origin))).read()
    side = await rig.client.upgrade(get(wire, origin))
    assert isinstance(side, Side)
    assert rig.accepted == 1
    with pytest.raises(GatewayError) as busy:
        await rig.client.upgrade(get(wire, origin))
    assert busy.value.kind is Kind.OVERLOADED
    side.cut()
    await rig.until(lambda: rig.client.pools[origin].open == 0)


@pytest.mark.parametrize("steps", range(1, 14))
async def test_cancelled_at_any_point_nothing_stays_open(rig: Any, wire: Any, steps: int) -> None:
    """Also in the tick in which the 101 came: nobody would ever close that connection."""
    origin = await rig.provider(answers(rig, lambda line: UPGRADED + line + b"\r\n"))
    task = asyncio.ensure_future(rig.client.upgrade(get(wire, origin)))
    if steps > 7:
        await rig.until(lambda: hasattr(rig, "asked"))
    for _ in range(steps % 8):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result().cut()
    await rig.until(lambda: not any(pool.open for pool in rig.client.pools.values()))


async def test_cancelled_in_the_tick_of_the_101(rig: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is in, and the caller is cancelled before it hears of it."""
    origin = await rig.provider(answers(rig, lambda line: UPGRADED + line + b"\r\n"))
    task: Any = None
    plain = Side.__init__

    def made(*arguments: Any, **options: Any) -> None:
        plain(*arguments, **options)
        task.cancel()

    monkeypatch.setattr(Side, "__init__", made)
    task = asyncio.ensure_future(rig.client.upgrade(get(wire, origin)))
    await asyncio.wait([task])
    assert task.cancelled()
    await rig.until(lambda: rig.client.pools[origin].open == 0)
