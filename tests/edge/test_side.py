"""One end of a tunnel, over loopback: silent until it is joined, and it tells what happens to it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from trunkline.edge.side import Side


class Taker:
    """Remembers what its side told."""

    def __init__(self) -> None:
        self.data = b""
        self.told: list[str] = []

    def came(self, side: Side, data: bytes) -> None:  # noqa: ARG002 - the interface
        """Remember."""
        self.data += data

    def ended(self, side: Side) -> None:  # noqa: ARG002 - the interface
        """Remember."""
        self.told.append("ended")

    def lost(self, side: Side) -> None:  # noqa: ARG002 - the interface
        """Remember."""
        self.told.append("lost")

    def full(self, side: Side) -> None:  # noqa: ARG002 - the interface
        """Remember."""
        self.told.append("full")

    def free(self, side: Side) -> None:  # noqa: ARG002 - the interface
        """Remember."""
        self.told.append("free")


async def pair(rig: Any, ahead: bytes = b"", *, ended: bool = False) -> tuple[Side, socket.socket, list[Any]]:
    """A side, the socket at its other end, and what its keeper was told."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for sock in (ours, theirs):
        sock.setblocking(False)
    kept: list[Any] = []
    transport, _ = await rig.loop.create_connection(asyncio.Protocol, sock=ours)
    return Side(transport, kept.append, ahead, ended=ended), theirs, kept


async def test_nothing_is_read_before_it_is_joined(rig: Any) -> None:
    """The other end may still be being opened; what comes meanwhile waits in the system's buffers."""
    side, theirs, kept = await pair(rig, b"ahead,")
    await rig.loop.sock_sendall(theirs, b"then")
    await asyncio.sleep(0.02)
    assert side._ahead == b"ahead,"
    side.data_received(b"from TLS,")  # which may have read on before it was told not to
    taker = Taker()
    side.join(taker)
    await rig.until(lambda: taker.data.endswith(b"then"))
    assert taker.data == b"ahead,from TLS,then"
    theirs.close()
    await rig.until(lambda: taker.told)
    assert taker.told == ["ended"]
    side.cut()
    await rig.until(lambda: kept)
    assert taker.told == ["ended", "lost"]
    assert side.gone


@pytest.mark.parametrize("ended", [True, False])
async def test_what_happened_before_is_told_when_it_is_joined(rig: Any, ended: bool) -> None:
    """A client that half-closed, or left, while its provider was being asked."""
    side, theirs, kept = await pair(rig, ended=ended)
    if not ended:
        side.pause_writing()
        side.resume_writing()
        side.cut()
        await rig.until(lambda: kept)
    taker = Taker()
    side.join(taker)
    assert taker.told == (["ended"] if ended else ["lost"])
    side.cut()
    theirs.close()
    await rig.until(lambda: kept)


async def test_a_slow_peer_is_told_of(rig: Any) -> None:
    """Bytes in our memory for a peer that does not read are bounded by whoever brings them."""
    side, theirs, kept = await pair(rig)
    taker = Taker()
    side.join(taker)
    side.transport.write(b"x" * 20_000_000)
    assert taker.told == ["full"]
    while taker.told == ["full"]:
        await rig.loop.sock_recv(theirs, 1_000_000)
    assert taker.told == ["full", "free"]
    side.cut()
    theirs.close()
    await rig.until(lambda: kept)


async def test_the_system_looks_whether_the_peer_lives(rig: Any) -> None:
    """A session may be silent for hours, and its peer's machine be gone for as long."""
    side, theirs, kept = await pair(rig)
    sock = side.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    side.cut()
    theirs.close()
    await rig.until(lambda: kept)
