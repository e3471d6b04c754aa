"""A request's body that is passed on while it arrives: the `Body` of canon.wire, fed by a client's connection.

Until somebody pumps, a bounded part of it is held and the rest is left with the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from trunkline.canon.errors import GatewayError, Kind
from trunkline.edge.framing import ChunkedDecoder, FramingError, TooLarge
from trunkline.edge.limits import ServerLimits

_AHEAD = 64 * 1024
"""Bytes that are taken before somebody pumps, and one read more."""


class Source(Protocol):
    """The connection that brings a body."""

    def invite(self) -> None:
        """Tell the client, which waits for that, to send."""
        ...

    def forsake(self) -> None:
        """The rest of the body is not wanted."""
        ...


class Inflow:
    """One body, pushed piece by piece."""

    __slots__ = (
        "_began",
        "_decoder",
        "_done",
        "_error",
        "_expects",
        "_held",
        "_left",
        "_limits",
        "_loop",
        "_most",
        "_over",
        "_paused",
        "_pieces",
        "_resting",
        "_seen",
        "_seen_at",
        "_sink",
        "_size",
        "_source",
        "_stopped",
        "_transport",
        "length",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        source: Source,
        limits: ServerLimits,
        bounds: tuple[int | None, int],
        *,
        expects: bool,
    ) -> None:
        """`bounds`: bytes that were announced (None: it comes in chunks), and that it may have at most.

        `expects`: the client waits to be told that its body is wanted. The clock of its slowness rests until then.
        """
        self.length, self._most = bounds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = transport
        self._source: Source | None = source
        self._limits = limits
        self._decoder = ChunkedDecoder(self._most) if self.length is None else None
        self._left = self.length or 0
        self._expects = expects
        self._sink: Callable[[bytes], None] | None = None
        self._done: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._held = self._size = self._seen = 0
        self._began = self._seen_at = self._loop.time()
        self._resting: float | None = self._began if expects else None
        self._over = self._paused = self._stopped = False
        self._error: BaseException | None = None

    # for whoever takes it -------------------------------------------------------------------------------------------

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """Push every piece into `sink` until the end. Raises `GatewayError`, or what the sink raised.

        When cancelled, and after an exception in the sink, the rest of the body is not read.
        """
        try:
            self._catch_up(sink)
            if not self._over:
                self._sink = sink
                self._done = self._loop.create_future()
                self._begin()
                await self._done
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            self._error = self._done = None  # an error knows the frames it passed, and they know us

    def pause(self) -> None:
        """Whoever takes it is slow: read no more. The clock of the client's own slowness rests meanwhile."""
        self._paused = True
        self._set()

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        self._set()

    # for the connection ---------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> bytes | None:
        """Bytes from the client. At the body's end, what follows it; before, and after a failure, None."""
        decoder = self._decoder
        if decoder is None:
            piece, rest = data[: self._left], data[self._left :]
            self._left -= len(piece)
            ended = not self._left
        else:
            try:
                rest = decoder.feed(data)
            except TooLarge:
                self.fail(too_large(self._most))
                return None
            except FramingError as error:
                self.fail(invalid(error))
                return None
            piece, ended = decoder.take(), decoder.done
        self._size += len(piece)
        if piece:
            self._push(piece)
        if self._over or not ended:
            return None
        self._finish()
        return rest

    def fail(self, error: BaseException) -> None:
        """End with this error, which `pump` raises. Does nothing after the end."""
        if not self._over:
            self._error = error
            source = self._source
            self._pieces.clear()
            self._finish()
            if source is not None:
                source.forsake()

    def too_slow(self, now: float) -> bool:
        """Whether the client brings less than it must, by the loop's clock. Never, while it waits for us."""
        if self._resting is not None:
            return False
        if self._limits.too_slow(self._size, now - self._began):
            return True
        if self._size != self._seen:
            self._seen, self._seen_at = self._size, now
        return now - self._seen_at >= self._limits.stall_timeout

    # ----------------------------------------------------------------------------------------------------------------

    def _catch_up(self, sink: Callable[[bytes], None]) -> None:
        """What came before anybody asked."""
        if self._error is not None:
            raise self._error
        pieces, self._pieces, self._held = self._pieces, [], 0
        for piece in pieces:
            sink(piece)

    def _begin(self) -> None:
        """It is wanted."""
        if self._expects and self._size == 0 and self._source is not None:
            self._source.invite()
        self._expects = False
        self._set()

    def _push(self, piece: bytes) -> None:
        if self._sink is None:
            self._pieces.append(piece)
            self._held += len(piece)
            self._set()
            return
        try:
            self._sink(piece)
        except Exception as error:  # noqa: BLE001 - raised by `pump`, to whoever brought the sink
            self.fail(error)

    def _set(self) -> None:
        """Read, or do not."""
        if self._transport is None:
            return
        stop = self._paused or self._held > _AHEAD
        if stop != self._stopped:
            self._stopped = stop
            if stop:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        now, rests = self._loop.time(), stop or self._expects
        if rests and self._resting is None:
            self._resting = now
        elif not rests and self._resting is not None:
            rested = now - self._resting
            self._resting = None
            self._began += rested
            self._seen_at += rested

    def _finish(self) -> None:
        """Let go of what leads back here, so that no circle is left for the collector."""
        self._over = True
        transport, self._transport, self._source, self._sink = self._transport, None, None, None
        if self._stopped and transport is not None:
            transport.resume_reading()
        done = self._done
        if done is not None and not done.done():
            if self._error is None:
                done.set_result(None)
            else:
                done.set_exception(self._error)


def too_large(limit: int) -> GatewayError:
    """For a body that is longer than it may be."""
    return GatewayError(Kind.TOO_LARGE, f"The request's body is larger than {limit} bytes.", code="too_large")


def invalid(error: FramingError) -> GatewayError:
    """For a body that two parsers could read in two ways."""
    return GatewayError(Kind.BAD_REQUEST, f"The request's body is not valid: {error}.", code="bad_http")


def too_slow() -> GatewayError:
    """For a body that does not arrive in time."""
    return GatewayError(Kind.REQUEST_TIMEOUT, "The request's body arrives too slowly.")
