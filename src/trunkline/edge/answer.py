"""One provider's answer while it arrives: head, then body pieces pushed into a sink. Framing is checked here.

Pieces are pushed in the tick they arrive in; there is one await per answer, none per piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines
from trunkline.edge.framing import FramingError, Inflater, TooLarge
from trunkline.edge.timers import NEVER

_MAX_HEAD = 64 * 1024
"""Bytes of a head; also of anything else that is not body (chunk sizes, trailers) between two pieces of body."""
_MAX_FIELDS = 256
_MAX_INTERIM = 16
_NO_BODY = {204, 304}

Sink = Callable[[bytes], None]


class Carrier(Protocol):
    """The connection that brings an answer."""

    def pause_reading(self) -> None:
        """Bring no more for now."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...

    def drop(self) -> None:
        """Close at once; the connection is never used again."""
        ...

    def release(self, *, keep: bool) -> None:
        """The answer was read to its end. `keep`: the connection is clean and may be used again."""
        ...


class Answer:
    """Status and headers once `headed` is done; then `read` the body whole or `pump` it."""

    __slots__ = (
        "_carrier",
        "_declared",
        "_done",
        "_error",
        "_fields",
        "_finished",
        "_inflater",
        "_interim",
        "_last",
        "_limit",
        "_loop",
        "_overhead",
        "_parser",
        "_paused",
        "_pieces",
        "_sink",
        "_size",
        "_until_close",
        "asked",
        "deadlines",
        "headed",
        "headers",
        "started",
        "status",
        "touched",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, carrier: Carrier, deadlines: Deadlines, limit: int) -> None:
        """`limit`: bytes of body, inflated, after which the answer is refused."""
        self._loop = loop
        self._carrier = carrier
        self._limit = limit
        self.deadlines = deadlines
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.headed: asyncio.Future[None] = loop.create_future()
        self.started = self._last = loop.time()
        self.asked = self.started
        """When the request's last byte went out: the first byte of the answer is waited for from then on."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.touched = False
        """A byte of it has arrived."""
        self._done: asyncio.Future[None] | None = None
        self._sink: Sink | None = None
        self._pieces: list[bytes] = []
        self._size = self._overhead = self._interim = self._fields = 0
        self._declared: int | None = None
        self._inflater: Inflater | None = None
        self._until_close = False
        self._finished = False
        self._paused = False
        self._error: GatewayError | None = None

    # for the pipeline -----------------------------------------------------------------------------------------------

    async def pump(self, sink: Sink) -> None:
        """Push every piece of the body into `sink` until the end. Raises `GatewayError`, or what the sink raised.

        Cancelling it, and an exception in the sink, close the provider's connection in the same tick.
        """
        try:
            for piece in self._pieces:
                sink(piece)
            self._pieces.clear()
            self._sink = sink
            if not self._finished:
                self._done = self._loop.create_future()
                await self._done
        except BaseException:
            self.close()
            raise
        if self._error is not None:
            raise self._error

    async def read(self) -> bytes:
        """The whole body. Raises `GatewayError`."""
        pieces: list[bytes] = []
        if self._finished and self._error is None:  # it came together with its head
            pieces, self._pieces = self._pieces, pieces
        else:
            await self.pump(pieces.append)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give up the answer. A connection with an unfinished answer is closed, never pooled."""
        if not self._finished:
            self._over()
            self._carrier.drop()

    def pause(self) -> None:
        """The client is slow: stop reading. The idle deadline rests meanwhile."""
        if not self._paused and not self._finished:
            self._paused = True
            self._carrier.pause_reading()

    def resume(self) -> None:
        """The client caught up."""
        if self._paused:
            self._paused = False
            self._last = self._loop.time()
            if not self._finished:
                self._carrier.resume_reading()

    @property
    def size(self) -> int:
        """Bytes of body that have come, inflated."""
        return self._size

    # for the connection ---------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes from the provider."""
        self.touched = True
        parser = self._parser
        if parser is None:
            self._carrier.drop()  # the answer is over: nobody asked for these
            return
        if self._overhead > _MAX_HEAD:
            self._break(_protocol("What is around its body is too long."))
            return
        self._overhead += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._upgraded(data[error.args[0] :])
        except httptools.HttpParserError as error:
            if self._finished:
                self._carrier.drop()  # bytes after the end: the answer stands, the connection cannot be trusted
            elif isinstance(error, httptools.HttpParserCallbackError) and isinstance(error.__context__, Exception):
                self._break(error.__context__)
            else:
                self._break(_protocol(f"What it sent is not valid HTTP ({error})."))

    def ended(self, error: Exception | None) -> None:
        """The connection is gone."""
        if self._finished:
            return
        whole = self._inflater is None or self._inflater.finished()
        if self._until_close and error is None and whole:
            self._finish(keep=False)
        else:
            self.fail(GatewayError(Kind.UPSTREAM_BROKEN, "The provider broke off its answer."))

    def fail(self, error: Exception) -> None:
        """End with this error: raised to whoever awaits the head or the body."""
        self._break(error)

    def next_deadline(self) -> float:
        """When this answer is late, on the loop's clock."""
        total = self.started + self.deadlines.total
        if self._paused or self._finished:
            return total if not self._finished else NEVER
        if self._size == 0:
            return min(total, self.asked + self.deadlines.first_byte)
        return min(total, self._last + self.deadlines.idle)

    def late(self) -> GatewayError:
        """The error for a deadline that passed now."""
        if self._loop.time() >= self.started + self.deadlines.total:
            return _timeout("The provider did not finish its answer in time.")
        if self._size == 0:
            return _timeout("The provider did not begin its answer in time.")
        return _timeout("The provider stopped in the middle of its answer.")

    # llhttp's callbacks ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A message starts: ours, or one that nobody asked for."""
        if self._finished:
            raise _protocol("It sent more than one answer.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; trailers, which come after the head, are not looked at."""
        self._fields += 1
        if self._fields > _MAX_FIELDS:
            raise _protocol("It has too many header fields.")
        if not self.status:
            name = name.lower()
            self.headers[name] = self.headers[name] + b", " + value if name in self.headers else value

    def on_headers_complete(self) -> None:
        """The blank line. Interim answers (1xx) are passed over."""
        status = cast("httptools.HttpResponseParser", self._parser).get_status_code()
        if 100 <= status < 200:
            self._interim += 1
            if status == 101 or self._interim > _MAX_INTERIM:
                raise _protocol("It sent an interim answer that was not asked for.")
            self.headers.clear()
            return
        if not 200 <= status < 600:
            raise _protocol("Its status is none.")
        if self._overhead > _MAX_HEAD and sum(len(name) + len(value) for name, value in self.headers.items()) > _MAX_HEAD:
            raise _protocol("The head of its answer is too long.")
        self.status = status
        coding = self.headers.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise _protocol("Its transfer encoding is not supported.")
        self._until_close = coding is None and b"content-length" not in self.headers and status not in _NO_BODY
        encoding = self.headers.get(b"content-encoding", b"identity")
        if encoding.strip().lower() not in {b"identity", b""}:
            try:
                self._inflater = Inflater(encoding, self._limit)
            except FramingError:
                raise _protocol("Its content encoding is not supported.") from None
        if not self.headed.done():
            self.headed.set_result(None)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._last = self._loop.time()
        self._overhead = 0
        if self._inflater is not None:
            try:
                data = self._inflater.feed(data)
            except TooLarge:
                raise self._too_long() from None
            except FramingError:
                raise _protocol("Its compressed body is damaged.") from None
        self._size += len(data)
        if self._size > self._limit:
            raise self._too_long()
        if self._sink is not None:
            self._sink(data)
        else:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The end of the body (or of an interim answer)."""
        if self._parser is not None and self.status:
            if self._inflater is not None and not self._inflater.finished():
                raise _protocol("Its compressed body is cut short.")
            self._finish(keep=bool(self._parser.should_keep_alive()))

    # ----------------------------------------------------------------------------------------------------------------

    def _over(self) -> None:
        """No more of it will be taken. Lets go of what leads back here, so that no circle is left for the collector."""
        self._finished = True
        self._parser = self._sink = None

    def _finish(self, *, keep: bool) -> None:
        self._over()
        if self._paused:
            self._carrier.resume_reading()
        self._carrier.release(keep=keep)
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _upgraded(self, rest: bytes) -> None:  # noqa: ARG002 - for an answer that may be an upgrade
        """The provider stopped speaking HTTP; `rest` came behind its head."""
        self._break(_protocol("It changed to another protocol."))

    def _break(self, error: Exception) -> None:
        if self._finished:
            return
        self._over()
        self._carrier.drop()
        if not self.headed.done():
            self.headed.set_exception(error)
        elif self._done is not None:
            if not self._done.done():
                self._done.set_exception(error)
        else:
            self._error = error if isinstance(error, GatewayError) else GatewayError(Kind.INTERNAL, "Internal error.")

    def _too_long(self) -> GatewayError:
        return _protocol(f"Its answer is larger than {self._limit} bytes.")


def _protocol(message: str) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider's answer cannot be used. {message}")


def _timeout(message: str) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_TIMEOUT, message)
