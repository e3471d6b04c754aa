"""A request's body that is held whole, as it arrives. One that is passed on while it arrives belongs in `inflow`."""

from __future__ import annotations

from trunkline.edge.framing import ChunkedDecoder, FramingError, TooLarge
from trunkline.edge.inflow import invalid, too_large
from trunkline.edge.limits import ServerLimits


class Held:
    """One body."""

    __slots__ = ("_began", "_body", "_decoder", "_left", "_limits", "_most")

    def __init__(self, length: int | None, most: int, limits: ServerLimits, now: float) -> None:
        """`length`: bytes that were announced, of which as many are read; None: it comes in chunks, `most` bytes in all."""
        self._began = now
        self._limits = limits
        self._most = most
        self._left = length or 0
        self._body = bytearray()
        self._decoder = ChunkedDecoder(most) if length is None else None

    def feed(self, data: bytes) -> bytes | None:
        """Bytes from the client. At the body's end, what follows it; before, None. Raises `GatewayError`."""
        if self._decoder is None:
            piece = data[: self._left]
            self._body += piece
            self._left -= len(piece)
            return None if self._left else data[len(piece) :]
        try:
            rest = self._decoder.feed(data)
        except TooLarge:
            raise too_large(self._most) from None
        except FramingError as error:
            raise invalid(error) from None
        return rest if self._decoder.done else None

    def take(self) -> bytes:
        """The whole body. Called once."""
        return bytes(self._body) if self._decoder is None else self._decoder.take()

    def too_slow(self, now: float) -> bool:
        """Whether the client brings less than it must, by the loop's clock."""
        size = len(self._body) if self._decoder is None else self._decoder.held
        return self._limits.too_slow(size, now - self._began)
