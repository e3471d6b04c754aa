"""A byte tunnel between a client and a provider that agreed on WebSocket: bytes pass both ways in the tick they arrive in.

A tunnel lives as long as both ends do, at most `LIFE`; no deadline of ordinary exchanges holds for it. Who is slow pauses the
other; who takes nothing at all is cut. What a message means belongs to whoever watches; here only frames are known, so that a
last word can be said between two of them.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from typing import Literal

from trunkline.canon.errors import GatewayError
from trunkline.edge.handshake import accepting
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.edge.side import Side
from trunkline.edge.websocket import Messages

LIFE = 24 * 3600.0
"""Seconds a tunnel may live."""
_STALL = 60.0
"""Seconds an end may take none of what waits for it, and one may be left open after the other said its last byte."""
_LINGER = 5.0
"""Seconds in which a closed end must have taken the rest."""
_ANSWER = 1.0
"""Seconds in which an end may answer our last word, which spares it a reset."""
_GOING_AWAY = 1001
_POLICY = 1008
_FAILED = 1011
_MAX_SHOWN = 1024 * 1024
"""Bytes of a message that the watch is shown; a longer one only passes."""
_CLOSE = 0x88
_TEXT = 0x81
_SHORT = 126
"""Bytes from which on a frame's length has two bytes of its own (RFC 6455 section 5.2)."""
_MASKED = 0x80

Party = Literal["client", "provider", "gateway"]


Watch = Callable[[bytes], None]
"""Sees the provider's text messages before their last bytes pass. What it raises ends the tunnel, and those never pass."""


async def tunnel(  # noqa: PLR0913 - the two ends, who watches, and the rare ways in which it ends
    request: Request,
    reply: Reply,
    provider: Side,
    watch: Watch,
    *,
    lines: bytes = b"",
    life: float = LIFE,
    over: asyncio.Future[bytes] | None = None,
) -> Party | None:
    """Tell the client 101, then carry bytes both ways until both connections are gone. Returns who broke off; None where a
    side said its last word, a close frame.

    `request.websocket` must be set. `provider` is what `Client.upgrade` returned; the subprotocol it chose is told to the
    client. `lines`: header lines for the 101. `life`: seconds. `over`: once done, its text is the last message to the client,
    and both ends are told 1008 and closed. Raises what `watch` raised, after both ends were closed
    (WebSocket status 1008 for a `GatewayError`, 1011 for the rest). When cancelled, as at the end of a drain, both ends are
    told 1001 and closed.
    """
    chosen = provider.headers.get(b"sec-websocket-protocol")
    if chosen is not None:
        lines += b"sec-websocket-protocol: %b\r\n" % chosen
    try:
        client = reply.switch(accepting(request.websocket) + lines)
    except BaseException:
        provider.cut()
        raise
    return await _Tunnel(client, provider, watch).run(life, over)


class _End:
    """What the tunnel knows of one of its sides."""

    def __init__(self, name: Party, side: Side, most: int) -> None:
        """`most`: bytes of a message of its that is shown."""
        self.name = name
        self.side = side
        self.came = Messages(most)
        """What comes from it."""
        self.between = True
        """What was passed on of it ends with a frame,"""
        self.closed = False
        """and holds a close frame: it has said its last word."""
        self.shut = False
        """We will send it no more."""
        self.timer: asyncio.TimerHandle | None = None

    def rest(self) -> None:
        """No deadline."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class _Tunnel:
    """Two sides, joined."""

    def __init__(self, client: Side, provider: Side, watch: Watch) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = _End("client", client, 0)
        self._provider = _End("provider", provider, _MAX_SHOWN)
        self._watch = watch
        self._first: Party | None = None
        self._error: Exception | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def run(self, life: float, over: asyncio.Future[bytes] | None) -> Party | None:
        """Until both are gone."""
        timer = self._loop.call_later(life, self._end, "gateway", _GOING_AWAY)
        if over is not None:
            over.add_done_callback(lambda told: self._end("gateway", _POLICY, _text(told.result())))
        self._provider.side.join(self)
        self._client.side.join(self)
        try:
            await self._over
        except asyncio.CancelledError:
            self._end("gateway", _GOING_AWAY)
            raise
        finally:
            timer.cancel()
        if self._error is not None:
            raise self._error
        return None if self._client.closed or self._provider.closed else self._first

    # the sides' calls -----------------------------------------------------------------------------------------------

    def came(self, side: Side, data: bytes) -> None:
        """Bytes arrived: watched, and passed on."""
        end, other = self._ends(side)
        messages = end.came.feed(data)
        if other.shut:
            if end.shut and end.came.closed:
                self._close(end)  # it answered our last word
            return
        try:
            for message in messages:
                self._watch(message)
        except Exception as error:  # noqa: BLE001 - raised by `run`, to whoever brought the watch
            self._error = error
            self._end("gateway", _POLICY if isinstance(error, GatewayError) else _FAILED)
            return
        end.between, end.closed = end.came.between, end.came.closed
        other.side.transport.write(data)

    def ended(self, side: Side) -> None:
        """Its peer said its last byte: so do we, to the other. An end that is left open so has a minute."""
        end, other = self._ends(side)
        self._first = self._first or end.name
        if other.side.ended or not (other.side.transport.can_write_eof() and side.transport.can_write_eof()):
            self._close(other)
            self._close(end)
        elif not other.shut:
            other.shut = True
            other.side.transport.write_eof()
            self._allow(other, _STALL)

    def lost(self, side: Side) -> None:
        """The connection is gone: so is the other, once it took the rest."""
        end, other = self._ends(side)
        self._first = self._first or end.name
        end.rest()
        end.shut = True
        self._close(other)
        if other.side.gone and not self._over.done():
            self._over.set_result(None)

    def full(self, side: Side) -> None:
        """Its peer is slow: nothing more is read from the other."""
        end, other = self._ends(side)
        other.side.transport.pause_reading()
        if not end.shut:
            self._watch_stall(end, side.transport.get_write_buffer_size())

    def free(self, side: Side) -> None:
        """Its peer caught up."""
        end, other = self._ends(side)
        if not end.shut:
            end.rest()
        other.side.transport.resume_reading()

    # ----------------------------------------------------------------------------------------------------------------

    def _ends(self, side: Side) -> tuple[_End, _End]:
        """(this end, the other)."""
        return (self._client, self._provider) if side is self._client.side else (self._provider, self._client)

    def _watch_stall(self, end: _End, waiting: int) -> None:
        end.rest()
        end.timer = self._loop.call_later(_STALL, self._check_stall, end, waiting)

    def _check_stall(self, end: _End, waited: int) -> None:
        """Cut an end that took nothing since the last look."""
        waiting = end.side.transport.get_write_buffer_size()
        if waiting < waited:
            self._watch_stall(end, waiting)
        else:
            self._first = self._first or "gateway"
            end.side.cut()

    def _allow(self, end: _End, seconds: float) -> None:
        end.rest()
        end.timer = self._loop.call_later(seconds, end.side.cut)

    def _close(self, end: _End) -> None:
        """Close an end as soon as it took what was written; soon, in any case."""
        end.shut = True
        if not end.side.gone:
            end.side.transport.close()
            self._allow(end, _LINGER)

    def _end(self, party: Party, code: int, words: bytes = b"") -> None:
        """Say a last word to both where it would stand between two frames, to the client after `words`, and close."""
        self._first = self._first or party
        for side in (self._client.side, self._provider.side):
            end, other = self._ends(side)
            if end.shut:
                continue
            if side.gone or other.closed or not other.between:
                self._close(end)
            else:
                end.shut = True
                told = b"" if end is self._provider else words
                side.transport.write(told + _goodbye(code, masked=end is self._provider))
                end.rest()
                end.timer = self._loop.call_later(_ANSWER, self._close, end)


def _text(message: bytes) -> bytes:
    """A text message of at most 65,535 bytes in one frame, as a server sends it."""
    size = len(message)
    return bytes([_TEXT, size]) + message if size < _SHORT else bytes([_TEXT, _SHORT]) + struct.pack("!H", size) + message


def _goodbye(code: int, *, masked: bool) -> bytes:
    """A close frame; what a client sends, as we are to a provider, is masked (RFC 6455 section 5.3)."""
    word = struct.pack("!H", code)
    if not masked:
        return bytes([_CLOSE, len(word)]) + word
    mask = os.urandom(4)
    return bytes([_CLOSE, _MASKED | len(word)]) + mask + bytes(byte ^ mask[at] for at, byte in enumerate(word))
