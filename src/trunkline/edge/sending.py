"""Sending a request's body to a provider while it arrives: framed, in step with what the provider takes.

Where the body comes from is its own affair (`canon.wire.Body`); the connection and the answer are `client`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Body

_BIG = 16 * 1024
"""Pieces from this size on are written in three parts, not copied into one."""


class Sending:
    """One body on its way. One task, however many pieces."""

    def __init__(self, transport: asyncio.Transport, body: Body) -> None:
        """`transport`: the head was written to it."""
        self._transport = transport
        self._body = body
        self._left = body.length
        self._stopped = False
        self._paused = False
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop, done: Callable[[Exception | None], None]) -> None:
        """Begin. `done` is called once, with what went wrong or None; not after `stop`."""
        self._task = loop.create_task(self._run(done))

    def stop(self) -> None:
        """Nothing more is sent; the body is told by the cancelling of its pump."""
        self._stopped = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def pause(self) -> None:
        """The provider is slow."""
        self._paused = True
        self._waiting = self._transport.get_write_buffer_size()
        if not self._stopped:
            self._body.pause()

    def resume(self) -> None:
        """The provider caught up."""
        self._paused = False
        if not self._stopped:
            self._body.resume()

    def stalled(self) -> bool:
        """Whether the provider took nothing since it was asked last, or since it became slow."""
        before, self._waiting = self._waiting, self._transport.get_write_buffer_size()
        return self._paused and not self._stopped and self._waiting >= before

    async def _run(self, done: Callable[[Exception | None], None]) -> None:
        failure: Exception | None = None
        try:
            await self._body.pump(self._write)
            self._end()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the answer
            failure = error
        if not self._stopped:
            self._stopped, self._task = True, None
            done(failure)

    def _write(self, data: bytes) -> None:
        """The sink of the body: one piece, written in this tick."""
        if self._stopped or not data:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise _miscounted()
            self._transport.write(data)
        elif len(data) < _BIG:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._transport.writelines([b"%x\r\n" % len(data), data, b"\r\n"])

    def _end(self) -> None:
        if self._left is None:
            if not self._stopped:
                self._transport.write(b"0\r\n\r\n")
        elif self._left:
            raise _miscounted()


def _miscounted() -> GatewayError:
    """Sent on, the rest or the lack would be read as another request's."""
    return GatewayError(Kind.INTERNAL, "The request's body is not as long as it was said to be.")
