"""HTTP/1.1 in: one client connection, its phases, its deadlines.

Reads a request, hands it over, carries the reply; one request at a time, in order. What a path means belongs to the
gateway; how a head is parsed to `request`, how a body is gathered to `held`, how it is passed on while it arrives to `inflow`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import cast

from typing_extensions import override

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.held import Held
from trunkline.edge.inflow import Inflow, too_large, too_slow
from trunkline.edge.reply import Reply
from trunkline.edge.request import HeadParser, Request
from trunkline.edge.server import Call, Server
from trunkline.edge.side import Side
from trunkline.edge.timers import NEVER

_DRAIN = 64 * 1024
"""Bytes of an unwanted body that are still read, so that the refusal can be seen; the rest is left to wait."""
_LINGER = 1.0
"""Seconds a client may take to close after us."""
_PROBE_FIRST = 0.02
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER without time: closing sends a reset


class Connection(asyncio.Protocol):
    """One client's connection.

    Phases: `head` (idle, or a head arrives), `body`, `stream` (a request is being answered while its body still arrives),
    `busy` (a request is being answered), `done` (it was answered; what we wrote has yet to leave, or the next request already
    waits in `_ahead`), `linger` (we said our last word and wait for the client to close), `tunnel` (a `Side` has the
    transport), `closed`.
    """

    def __init__(self, server: Server, client: str) -> None:
        self._server = server
        self._limits = server.limits
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.client = client
        self.date = b""
        self.deadline = NEVER
        self._phase = "head"
        self._ahead = b""
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._waiting_bytes = 0
        self._lingered = 0
        self._half_closed = False
        self._tls = False
        self._next_request(first=True)

    def _next_request(self, *, first: bool) -> None:
        limits, now = self._limits, self._server.loop.time()
        self._phase = "head"
        self._request = Request(self.client, now)
        self._head = HeadParser(self._request, limits)
        self._call: Call | None = None
        self._refusal: GatewayError | None = None
        self._body: Held | None = None
        self._inflow: Inflow | None = None
        self._body_read = False
        self._reply: Reply | None = None
        self.deadline = now + (limits.header_timeout if first else limits.keep_alive)

    # the transport's calls ------------------------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tls = transport.get_extra_info("sslcontext") is not None
        self._transport.set_write_buffer_limits(high=self._limits.write_high)
        self._server.connections.add(self)
        self._server.sweep.watch(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._phase in {"head", "body", "stream"}:
            self._read(self._ahead + data if self._ahead else data)
        elif self._phase in {"busy", "done"}:
            self._ahead += data
            if len(self._ahead) > _DRAIN:
                self._transport.pause_reading()
        elif self._phase == "linger":
            self._lingered += len(data)
            if self._lingered > _DRAIN:
                self._transport.pause_reading()  # closing now would reset, and the client might never see our words

    @override
    def eof_received(self) -> bool:
        if self._phase not in {"busy", "done"} or self._tls:
            return False
        self._half_closed = True
        self._probe(_PROBE_FIRST)
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        tunnelled, self._phase = self._phase == "tunnel", "closed"
        self._server.connections.discard(self)
        self._server.sweep.leave(self)
        if self._reply is not None:
            self._reply.gone = True
        if self._inflow is not None:
            self._inflow.fail(GatewayError(Kind.CLIENT_GONE, "The client closed the connection."))
        if self._task is not None and not tunnelled:  # a tunnel has another end to see to
            self._task.cancel()
        self._reply = self._task = self._inflow = None  # they know us: a circle otherwise
        self._server.on_close(self)

    @override
    def pause_writing(self) -> None:
        self._paused = True
        self._waiting_bytes = self._transport.get_write_buffer_size()
        self.deadline = self._server.loop.time() + self._limits.stall_timeout
        if self._reply is not None and self._reply.flow is not None:
            self._reply.flow.pause()

    @override
    def resume_writing(self) -> None:
        self._paused = False
        if self._phase == "done":
            self.deadline = NEVER
            self._server.loop.call_soon(self._go_on)
        elif self._phase in {"busy", "stream"}:
            self.deadline = NEVER if self._phase == "busy" else self._server.loop.time() + 1.0
            if self._reply is not None and self._reply.flow is not None:
                self._reply.flow.resume()

    # reading a request ----------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._ahead = b""
        try:
            if self._phase == "head":
                data = self._read_head(data)
            if self._phase == "body" and (data or self._request.length == 0):
                self._read_body(data)
            elif self._phase == "stream":
                self._read_stream(data)
        except GatewayError as error:
            self._refuse_now(error)
        except BaseException:
            self._transport.abort()
            raise

    def _read_head(self, data: bytes) -> bytes:
        if self._head.size == 0:
            data = data.lstrip(b"\r\n")  # empty lines before a request (RFC 9112 section 2.2) are not its beginning
        if data and self._head.size == 0:
            self.deadline = self._server.loop.time() + self._limits.header_timeout
            self._request.started = time.monotonic()  # the loop's clock has milliseconds only
        while data and not self._head.done:
            tail = self._head.tail
            end = (tail + data).find(b"\r\n\r\n") if tail else data.find(b"\r\n\r\n")
            cut = len(data) if end < 0 else end + 4 - len(tail)
            self._head.feed(data[:cut])
            data = data[cut:]
        if self._head.done:
            self._begin(waiting=not data)
        return data

    def _begin(self, *, waiting: bool) -> None:
        request = self._request
        self.date = self._server.date()
        keep = request.keep_alive and not self._server.draining
        self._reply = Reply(self, head_only=request.method == "HEAD", keep=keep, chunked=request.version == "1.1")
        self._phase = "body"
        expects = request.headers.get(b"expect", b"").lower() == b"100-continue"
        try:
            self._call = call = self._server.app.begin(request)
            if request.length is not None and request.length > call.max_body:
                raise too_large(call.max_body)
        except GatewayError as error:
            if expects or request.length is None or request.length > _DRAIN:
                raise
            self._refusal = error
        now = self._server.loop.time()
        self.deadline = now + self._limits.body_grace
        waits = expects and waiting and request.version == "1.1" and request.length != 0
        if self._refusal is None and call.streams and request.length != 0:
            self._stream(call, waits=waits)
            return
        self._body = Held(request.length, self._call.max_body if self._call else 0, self._limits, now)
        if waits:
            self._transport.write(_CONTINUE)

    def _read_body(self, data: bytes) -> None:
        body = cast("Held", self._body)
        rest = body.feed(data)
        if rest is None:
            return
        self._phase, self.deadline = "busy", NEVER
        self._ahead, self._body, self._body_read = rest, None, True
        request, reply = self._request, cast("Reply", self._reply)
        request.body = body.take()
        if self._refusal is not None or self._call is None:
            self._server.app.refuse(request, reply, cast("GatewayError", self._refusal))
            return
        self._start(self._call, reply)

    def _start(self, call: Call, reply: Reply) -> None:
        task = call.start(self._request, reply)
        if task is not None:
            self._task = self._server.loop.create_task(task)

    def _refuse_now(self, error: GatewayError) -> None:
        """Answer before the request was read to its end; nothing after it on this connection can be trusted."""
        if self._reply is None:
            self.date = self._server.date()
            self._reply = Reply(self, head_only=False, keep=False, chunked=True)
        self._reply.close_after()
        self._phase = "busy"
        try:
            self._server.app.refuse(self._request, self._reply, error)
        except BaseException:
            self._transport.abort()
            raise

    # a body that is passed on while it arrives ----------------------------------------------------------------------

    def _stream(self, call: Call, *, waits: bool) -> None:
        """Hand the request over before its body. Until that is in, its answer ends the connection."""
        request, reply = self._request, cast("Reply", self._reply)
        self._phase = "stream"
        reply.close_after()
        bounds = (request.length, call.max_body)
        self._inflow = request.stream = Inflow(self._transport, self, self._limits, bounds, expects=waits)
        self._start(call, reply)

    def _read_stream(self, data: bytes) -> None:
        rest = cast("Inflow", self._inflow).feed(data)
        if rest is not None:
            self.forsake()
            self._body_read = True
            self._ahead = rest
            if self._request.keep_alive and not self._server.draining:
                cast("Reply", self._reply).keep_after()

    def invite(self) -> None:
        """Tell the client that its body is wanted."""
        if not cast("Reply", self._reply).started:
            self._transport.write(_CONTINUE)

    def forsake(self) -> None:
        """Nothing more is read for this request."""
        self._inflow = None
        if self._phase == "stream":
            self._phase = "busy"
            if not self._paused:
                self.deadline = NEVER

    # the reply's calls ----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes of the current reply."""
        if self._paused:
            self._waiting_bytes += len(data)
        self._transport.write(data)

    def write_parts(self, parts: list[bytes]) -> None:
        """Send pieces of the current reply."""
        if self._paused:
            self._waiting_bytes += sum(map(len, parts))
        self._transport.writelines(parts)

    def cut(self) -> None:
        """Drop the connection. To HTTP/1.0, where a body may end with the connection, only a reset tells that it was cut."""
        if self._request.version == "1.0":
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def finish(self, *, keep: bool) -> None:
        """The current reply is complete."""
        self._task = None
        if self._inflow is not None:
            self._inflow.fail(GatewayError(Kind.BAD_REQUEST, "The request was answered before its body was in."))
        if keep and not self._server.draining and (self._ahead or not self._half_closed):
            self._phase = "done"
            if not self._paused:
                if self._ahead:
                    self._server.loop.call_soon(self._go_on)
                else:
                    self._next_request(first=False)
        else:
            self._close()

    def switch(self) -> Side:
        """Stop speaking HTTP on this connection. It stays ours to count until it is lost."""
        self._phase, self.deadline = "tunnel", NEVER
        ahead, self._ahead = self._ahead, b""
        return Side(self._transport, self.connection_lost, ahead, ended=self._half_closed)

    def _go_on(self) -> None:
        if self._phase != "done":
            return
        self._next_request(first=False)
        if self._ahead:
            self._read(self._ahead)
        if len(self._ahead) <= _DRAIN and not self._half_closed:
            self._transport.resume_reading()
        if (self._half_closed and self._phase in {"head", "body"}) or (self._server.draining and self._idle()):
            self._close()

    def _idle(self) -> bool:
        return self._phase == "head" and self._head.size == 0

    def _close(self) -> None:
        """End the connection once what was written is out. While the client may still be sending, only our side closes."""
        unread = self._ahead or (self._phase == "busy" and not self._body_read)
        self._waiting_bytes = self._transport.get_write_buffer_size()
        self.deadline = self._server.loop.time() + (self._limits.stall_timeout if self._waiting_bytes else _LINGER)
        if unread and not self._tls and not self._half_closed:
            self._phase, self._lingered = "linger", 0
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._phase = "closed"
            self._transport.close()

    def drain(self) -> None:
        """Close when idle; a busy connection closes after its answer."""
        if self._idle():
            self._close()
        elif self._reply is not None:
            self._reply.close_after()

    def interrupt(self) -> None:
        """Cancel the request being answered, or close."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._close()

    # deadlines ------------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """A deadline passed: the meaning depends on the phase."""
        if self._paused or self._phase in {"linger", "closed"}:
            self._check_stall(now)
        elif self._idle():
            self._close()
        elif self._phase == "head":
            self._refuse_now(GatewayError(Kind.REQUEST_TIMEOUT, "The request's head did not arrive in time."))
        elif self._phase == "body":
            if cast("Held", self._body).too_slow(now):
                self._refuse_now(too_slow())
            else:
                self.deadline = now + 1.0
        elif self._inflow is not None:
            self.deadline = now + 1.0
            if self._inflow.too_slow(now):
                self._inflow.fail(too_slow())
        else:
            self.deadline = NEVER

    def _check_stall(self, now: float) -> None:
        """Cut a client that took nothing since the last look; one that has all of it and does not close, too."""
        size = self._transport.get_write_buffer_size()
        if 0 < size < self._waiting_bytes:
            self._waiting_bytes = size
            self.deadline = now + self._limits.stall_timeout
        else:
            self._transport.abort()

    def _probe(self, delay: float) -> None:
        """The client closed its sending side: it may still listen (legal) or be gone. Ask, at growing intervals."""
        if self._phase in {"busy", "done"}:
            if not self._paused:
                cast("Reply", self._reply).probe()
            self._server.loop.call_later(delay, self._probe, min(delay * 2, 1.0))
