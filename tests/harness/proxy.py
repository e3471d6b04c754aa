"""An HTTP CONNECT proxy that counts, to see which way the gateway goes out.

It tunnels to wherever it is asked, on loopback. What comes out of the tunnel is the upstream's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from harness.loop import LoopThread


class ConnectProxy:
    """Listens on loopback; `asked` holds the head of every request it got."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        """What a CONNECT is answered with; anything but 200 opens no tunnel."""
        self.asked: list[bytes] = []
        self._thread = LoopThread("proxy")
        self._server = self._thread.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For a provider's `proxy` setting or `HTTP_PROXY`."""
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head)
            method, target, _ = head.split(b" ", 2)
            if self.status != 200 or method != b"CONNECT":
                writer.write(b"HTTP/1.1 %d Mock\r\ncontent-length: 0\r\n\r\n" % (403 if self.status == 200 else self.status))
                await writer.drain()
            else:
                host, _, port = target.decode().rpartition(":")
                far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with contextlib.closing(far_writer):
                    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        writer.close()

    def stop(self) -> None:
        """Close the listener; open tunnels end with the thread."""
        if not self._thread.loop.is_closed():
            self._thread.call(self._server.close)
            self._thread.run(_finish(self._thread.loop))
            self._thread.stop()


async def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tunnels that are still open and let them close their sockets."""
    tunnels = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for tunnel in tunnels:
        tunnel.cancel()
    await asyncio.gather(*tunnels, return_exceptions=True)
    await asyncio.sleep(0.01)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
