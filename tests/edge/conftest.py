"""Loopback parts for the edge: a listener with a small app, raw clients, scripted providers. Async tests run on uvloop.

Only what several files need; a case's own script stands in its test.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.edge.client import Client
from trunkline.edge.limits import ServerLimits
from trunkline.edge.listener import Listener, bind
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.server import Server, Task
from trunkline.edge.timers import Sweep

PATIENCE = 20.0
"""Seconds after which a test hangs."""

Handle = Callable[[Request, Reply], Task | None]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests on a fresh uvloop, and let go of what their rig opened."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def main() -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await function(**arguments)
        finally:
            rig = arguments.get("rig")
            if rig is not None:
                await rig.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return True


def echo(request: Request, reply: Reply) -> None:
    """Answers with what came."""
    reply.send(200, b"x-path: %b\r\n" % request.path.encode(), request.body)


@dataclass
class App:
    """What the server calls. `handle` answers; paths under /refuse are refused at the head, 401."""

    handle: Handle = echo
    max_body: int = 1_000_000
    streams: bool = False
    seen: list[Request] = field(default_factory=list)
    refused: list[GatewayError] = field(default_factory=list)

    def begin(self, request: Request) -> App:
        """Let in, or not."""
        if request.path.startswith("/refuse"):
            raise GatewayError(Kind.UNAUTHENTICATED, "no key")
        return self

    def start(self, request: Request, reply: Reply) -> Task | None:
        """Answer as the test says."""
        self.seen.append(request)
        return self.handle(request, reply)

    def refuse(self, request: Request, reply: Reply, error: GatewayError) -> None:  # noqa: ARG002 - the server's interface
        """The status, and the words as body."""
        self.refused.append(error)
        reply.send(error.status, b"", error.message.encode())


@dataclass
class Got:
    """One answer as a client saw it."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool
    """The body came to the end its framing announced."""
    raw: bytes


class Peer:
    """A raw client connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        """All of it, as the other side takes it."""
        await self._loop.sock_sendall(self.sock, data)

    async def ask(self, data: bytes) -> Got:
        """Send and read one answer."""
        await self.send(data)
        return await self.answer()

    async def more(self) -> bytes:
        """What comes next; b"" when the other side ended, also by a reset."""
        try:
            return await self._loop.sock_recv(self.sock, 65536)
        except ConnectionError:
            return b""

    async def _until(self, ending: bytes) -> bytes:
        while ending not in self._buffer:
            data = await self.more()
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(ending)
        return head + ending

    async def _exactly(self, size: int) -> bytes:
        pieces, held = [self._buffer], len(self._buffer)
        while held < size and (data := await self.more()):
            pieces.append(data)
            held += len(data)
        whole = b"".join(pieces)
        self._buffer = whole[size:]
        return whole[:size]

    async def answer(self, *, head_only: bool = False) -> Got:
        """One answer, by its framing. Raises EOFError when the connection ends in or before the head."""
        raw = await self._until(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
        status = int(lines[0].split(" ")[1])
        got = Got(status, headers, b"", complete=True, raw=raw)
        if head_only or status < 200 or status in {204, 304}:
            return got
        if headers.get("transfer-encoding") == "chunked":
            await self._chunks(got)
        elif "content-length" in headers:
            got.body = await self._exactly(int(headers["content-length"]))
            got.complete = len(got.body) == int(headers["content-length"])
        else:
            got.body = await self.rest()
        return got

    async def _chunks(self, got: Got) -> None:
        body = bytearray()
        try:
            while size := int(await self._until(b"\r\n"), 16):
                piece = await self._exactly(size + 2)
                body += piece[:size]
                assert len(piece) < size + 2 or piece.endswith(b"\r\n")
            assert await self._until(b"\r\n") == b"\r\n"
        except EOFError:
            got.complete = False
        got.body = bytes(body)

    async def rest(self) -> bytes:
        """Everything until the other side ends."""
        while data := await self.more():
            self._buffer += data
        taken, self._buffer = self._buffer, b""
        return taken

    async def ended(self) -> bool:
        """Whether the other side closes, saying nothing more."""
        return await self.rest() == b""

    def done_sending(self) -> None:
        """Close the sending side only."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave."""
        self.sock.close()


class Rig:
    """Listeners, clients and providers on one loop; all let go of after the test."""

    def __init__(self) -> None:
        self._peers: list[Peer] = []
        self._listeners: list[Listener] = []
        self._providers: list[asyncio.Server] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._client: Client | None = None
        self._sweep: Sweep | None = None
        self.app = App()
        self.accepted = 0
        """Connections the providers accepted."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The test's loop."""
        return asyncio.get_running_loop()

    @property
    def sweep(self) -> Sweep:
        """One for all."""
        self._sweep = self._sweep or Sweep(self.loop)
        return self._sweep

    @property
    def client(self) -> Client:
        """To reach providers with."""
        self._client = self._client or Client(self.loop, self.sweep)
        return self._client

    def serve(self, handle: Handle = echo, tls: ssl.SSLContext | None = None, **limits: Any) -> Listener:
        """A listener that accepts, for `self.app` with `handle`."""
        self.app.handle = handle
        self.server = Server(self.loop, self.app, ServerLimits(**limits), self.sweep, lambda: b"date: now\r\n")
        listener = Listener(bind("127.0.0.1", 0), self.server, tls)
        listener.start()
        self._listeners.append(listener)
        return listener

    async def peer(self, listener: Listener, receive_buffer: int = 0) -> Peer:
        """A connected client."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer = Peer(sock)
        self._peers.append(peer)
        host, _, port = listener.address.rpartition(":")
        await self.loop.sock_connect(sock, (host, int(port)))
        return peer

    async def provider(self, script: Script, tls: ssl.SSLContext | None = None, **options: Any) -> Origin:
        """A provider that runs `script` on each connection, and the origin to reach it by."""

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            self._writers.append(writer)
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(run, "127.0.0.1", 0, ssl=tls)
        self._providers.append(server)
        port = server.sockets[0].getsockname()[1]
        return Origin("http" if tls is None else "https", "127.0.0.1", port, **options)

    async def quiet(self) -> None:
        """Wait until the server holds no connection."""
        await self.until(lambda: not self.server.connections)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for what the loop brings about and nobody announces."""
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Let go of everything."""
        for peer in self._peers:
            peer.close()
        for listener in self._listeners:
            listener.stop()
            for connection in tuple(listener._server.connections):
                connection.cut()
        if self._client is not None:
            self._client.close()
        for writer in self._writers:
            writer.transport.abort()
        for server in self._providers:
            server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0.01)


@pytest.fixture
def rig() -> Rig:
    """Fresh parts for one test."""
    return Rig()


@pytest.fixture
def peer_type() -> type[Peer]:
    """For tests that bring their own socket."""
    return Peer


def _wire(origin: Origin, body: bytes = b"{}", path: str = "/v1/x", limit: int = 1 << 20, **deadlines: float) -> WireRequest:
    return WireRequest(origin, path, b"host: provider.test\r\n", body, Deadlines(**deadlines), limit)


@pytest.fixture
def wire() -> Callable[..., WireRequest]:
    """`wire(origin, body, path, limit, **deadlines)`: a request to a provider."""
    return _wire


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


@pytest.fixture
def read_request() -> Callable[[asyncio.StreamReader], Awaitable[tuple[bytes, bytes]]]:
    """What a provider reads: (head, body) of one request."""
    return _read_request


def _says(*pieces: bytes, close: bool = False) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await _read_request(reader)
            for piece in pieces:
                writer.write(piece)
            if close:
                return

    return script


@pytest.fixture
def says() -> Callable[..., Script]:
    """`says(*pieces, close=False)`: a provider that answers every request with these bytes."""
    return _says
