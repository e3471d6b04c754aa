"""Accepting, and when not to."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from trunkline.edge.limits import ServerLimits
from trunkline.edge.listener import Fair, Listener, bind, room
from trunkline.edge.server import Server

FDS = Path("/proc/self/fd")
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def test_bind_says_what_is_wrong() -> None:
    """An operator whose port is taken must hear it at start, and a port of ours must be free again at once."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port)):
            other, _ = first.accept() if first.getblocking() else (None, None)
            assert other is None
    bind("127.0.0.1", port).close()
    with pytest.raises(OSError, match=r"."):
        bind("192.0.2.1", 0)


async def test_addresses(rig: Any) -> None:
    """What `trunkline serve` prints must be something to click."""
    listener = rig.serve()
    assert listener.address == f"127.0.0.1:{listener._sock.getsockname()[1]}"
    try:
        six = type(listener)(bind("::1", 0), rig.server)
    except OSError:  # a machine without IPv6
        return
    assert six.address.startswith("[::1]:")
    six.stop()


async def test_who_asks_is_known(rig: Any) -> None:
    """Allow-lists, failure counts and logs go by the address; on a dual-stack socket too."""
    listener = rig.serve()
    peer = await rig.peer(listener)
    await peer.ask(GET)
    assert rig.app.seen[0].client == "127.0.0.1"
    try:
        sock = bind("::", 0)
    except OSError:
        return
    both = type(listener)(sock, rig.server)
    both.start()
    with socket.socket() as client:
        client.setblocking(False)
        await rig.loop.sock_connect(client, ("127.0.0.1", sock.getsockname()[1]))
        await rig.loop.sock_sendall(client, GET)
        await rig.until(lambda: len(rig.app.seen) == 2)
    assert rig.app.seen[1].client == "127.0.0.1"
    both.stop()


async def test_nodelay_is_set(rig: Any) -> None:
    """The last piece of a stream must not wait 40 ms for an acknowledgement."""
    peer = await rig.peer(rig.serve())
    await peer.ask(GET)
    (connection,) = rig.server.connections
    sock = connection._transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_at_the_bound_accepting_pauses_and_goes_on(rig: Any) -> None:
    """docs/faults.md A11: a flood waits in the kernel's queue; whoever leaves makes room for the next."""
    listener = rig.serve(max_connections=3)
    peers = [await rig.peer(listener) for _ in range(5)]
    for peer in peers:
        await peer.send(GET)
    for peer in peers[:3]:
        assert (await peer.answer()).status == 200
    await asyncio.sleep(0.05)
    assert len(rig.server.connections) == 3
    assert not listener._accepting
    assert len(rig.app.seen) == 3
    peers[0].close()
    assert (await peers[3].answer()).status == 200
    peers[1].close()
    assert (await peers[4].answer()).status == 200


async def test_a_burst_below_the_bound_is_accepted_whole(rig: Any) -> None:
    """Connections still being opened must not be counted twice, and then leave accepting paused for ever."""
    listener = rig.serve(max_connections=30)
    peers = [await rig.peer(listener) for _ in range(29)]
    for peer in peers:
        await peer.send(GET)
    for peer in peers:
        assert (await peer.answer()).status == 200
    assert listener._accepting
    peer = await rig.peer(listener)
    assert (await peer.ask(GET)).status == 200


async def test_one_address_may_not_take_all(rig: Any) -> None:
    """A client that opens without end meets its own bound, not everybody's."""
    listener = rig.serve(max_connections_per_ip=2)
    first, second = await rig.peer(listener), await rig.peer(listener)
    assert (await first.ask(GET)).status == 200
    assert (await second.ask(GET)).status == 200
    third = await rig.peer(listener)
    assert await third.ended()
    first.close()
    await rig.until(lambda: listener._per_ip["127.0.0.1"] == 1)
    fourth = await rig.peer(listener)
    assert (await fourth.ask(GET)).status == 200


async def test_who_leaves_before_he_is_served_is_not_counted(rig: Any) -> None:
    """A reset in the queue has no address any more; counting it for ever would lock its owner out."""
    listener = rig.serve(max_connections_per_ip=2)
    for _ in range(20):
        peer = await rig.peer(listener)
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
    await rig.until(lambda: not listener._per_ip)
    peer = await rig.peer(listener)
    assert (await peer.ask(GET)).status == 200


@pytest.mark.parametrize(
    ("soft", "wanted", "bound"), [(1024, 10_000, 480), (1024, 100, 100), (20, 100, 1), (resource.RLIM_INFINITY, 10_000, 10_000)]
)
def test_a_flood_leaves_descriptors_for_the_rest(monkeypatch: pytest.MonkeyPatch, soft: int, wanted: int, bound: int) -> None:
    """Providers, the ledger and the operator's own listener need some when all clients are there (docs/faults.md A11)."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert room(wanted) == bound


def _highest_descriptor() -> int:
    return max(int(path.name) for path in FDS.iterdir())


async def test_out_of_descriptors_it_rests_and_recovers(rig: Any) -> None:
    """docs/faults.md A11, E7: no spin at 100 % CPU, no dead listener afterwards; open connections go on."""
    listener = rig.serve()
    before = await rig.peer(listener)
    assert (await before.ask(GET)).status == 200
    late = socket.socket()
    late.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = _highest_descriptor()
    fillers = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        while True:
            try:
                fillers.append(os.dup(0))
            except OSError:
                break
        host, _, port = listener.address.rpartition(":")
        await rig.loop.sock_connect(late, (host, int(port)))
        await rig.loop.sock_sendall(late, GET)
        busy, begun = time.process_time(), time.monotonic()
        await asyncio.sleep(0.5)
        assert time.process_time() - busy < (time.monotonic() - begun) / 2
        assert len(rig.app.seen) == 1
        assert (await before.ask(GET)).status == 200
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    data = await rig.loop.sock_recv(late, 65536)
    late.close()
    assert data.startswith(b"HTTP/1.1 200 OK")


async def test_stop_refuses_new_connections_and_keeps_the_old(rig: Any) -> None:
    """The first step of a drain."""
    listener = rig.serve(max_connections=1)
    peer = await rig.peer(listener)
    assert (await peer.ask(GET)).status == 200
    address = listener.address
    listener.stop()
    listener.stop()
    listener.start()
    host, _, port = address.rpartition(":")
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await rig.loop.sock_connect(sock, (host, int(port)))
    assert (await peer.ask(GET)).status == 200
    peer.close()
    await rig.quiet()


def test_who_takes_the_next_connection() -> None:
    """Those that have the fewest, nearly; nobody waits for one that is not there."""
    fair = Fair(3)
    fair.enter(0)
    fair.enter(1)
    assert fair.first(0)
    fair.count(0, 1)
    assert [fair.first(0), fair.first(1)] == [False, True]
    fair.leave(1)
    assert fair.first(0)
    fair.enter(1)
    fair.count(0, 80)
    fair.count(1, 72)
    assert fair.first(0), "a few more among many are not worth a wait"
    fair.count(0, 1)
    assert not fair.first(0)


async def test_two_that_share_a_socket_have_as_many(rig: Any) -> None:
    """Whoever wakes first would take all of them, and the other's processor would idle."""
    sock, fair = bind("127.0.0.1", 0), Fair(2)
    servers = [Server(rig.loop, rig.app, ServerLimits(), rig.sweep, lambda: b"date: now\r\n") for _ in range(2)]
    both = [Listener(sock.dup(), server, shared=(fair, number)) for number, server in enumerate(servers)]
    sock.close()
    for listener in both:
        listener.start()
    peers = [await rig.peer(both[0]) for _ in range(8)]
    for peer in peers:
        await peer.ask(GET)
    assert [len(server.connections) for server in servers] == [4, 4]
    both[0].stop()  # the other goes on, alone
    more = [await rig.peer(both[1]) for _ in range(4)]
    for peer in more:
        await peer.ask(GET)
    assert [len(server.connections) for server in servers] == [4, 8]
    both[1].stop()


async def test_one_that_has_fewest_and_hangs_keeps_nobody_out(rig: Any) -> None:
    """Its part of the connections goes to those that take them, a moment later."""
    fair = Fair(2)
    fair.enter(1)
    server = Server(rig.loop, rig.app, ServerLimits(), rig.sweep, lambda: b"date: now\r\n")
    listener = Listener(bind("127.0.0.1", 0), server, shared=(fair, 0))
    listener.start()
    for _ in range(5):
        await (await rig.peer(listener)).ask(GET)
    assert len(server.connections) == 5
    listener.stop()
