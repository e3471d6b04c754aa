"""A TCP relay with faults, to stand between the gateway and a provider or between a client and the gateway.

Delay, throttle, half-close, reset, blackhole; changeable while it runs. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

from harness.loop import LoopThread


class Shim:
    """Relays `127.0.0.1:port` to `target`. Set the public attributes at any time; they apply to the next piece."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.accepted = 0
        self.delay = 0.0
        """Seconds every piece waits, both ways."""
        self.rate = 0.0
        """Bytes a second from the target to the client; 0 means unlimited."""
        self.blackhole = False
        """Stop reading and writing; connections stay open."""
        self.refuse = False
        """Reset new connections at once."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = LoopThread("shim")
        self._server = self._thread.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=65536, backlog=1024)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def url(self, path: str = "/v1") -> str:
        """The base URL for a provider's configuration."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuse:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)
            return
        both = {writer, far_writer}
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, far_writer, 0.0), self._pump(far_reader, writer, None))
        except (OSError, asyncio.CancelledError):
            for one in both:
                _reset(one)
        finally:
            self._writers -= both
            for one in both:
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float | None) -> None:
        while data := await reader.read(self._piece(rate)):
            if self.delay:
                await asyncio.sleep(self.delay)
            while self.blackhole:  # noqa: ASYNC110 - set from another thread, looked at rarely
                await asyncio.sleep(0.01)
            writer.write(data)
            await writer.drain()
            if rate is None and self.rate:
                await asyncio.sleep(len(data) / self.rate)
        if writer.can_write_eof():
            writer.write_eof()

    def _piece(self, rate: float | None) -> int:
        return max(1, int(self.rate / 20)) if rate is None and self.rate else 65536

    def reset_all(self) -> None:
        """RST both sides of every connection."""

        def reset() -> None:
            for writer in list(self._writers):
                _reset(writer)

        self._thread.call(reset)

    def half_close_all(self) -> None:
        """FIN on every connection, both ways; what still arrives is still relayed."""

        def close() -> None:
            for writer in list(self._writers):
                if writer.can_write_eof():
                    writer.write_eof()

        self._thread.call(close)

    def stop(self) -> None:
        """Close everything."""
        if not self._thread.loop.is_closed():
            self._thread.call(self._server.close)
            self.reset_all()
            self._thread.run(asyncio.sleep(0.01))
            self._thread.stop()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
