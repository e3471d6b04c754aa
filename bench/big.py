"""The provider for what only passes: takes forms of any size, gives files of any size, echoes frames. `python big.py PORT`.

`POST` anything: how many bytes the body had. `GET /v1/files/SIZE/content`: so many bytes. `GET /v1/realtime`: a WebSocket that
sends back every message.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve

PIECE = bytes(range(256)) * 256
_READ = 1024 * 1024


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if head.startswith(b"post"):
        size = await _swallow(reader, head)
        body = json.dumps({"text": str(size)}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    else:
        size = int(head.split(b"/")[3])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
    await writer.drain()
    writer.close()


async def _swallow(reader: asyncio.StreamReader, head: bytes) -> int:
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    left = length
    while left:
        left -= len(await reader.read(min(left, _READ)))
    return length


async def _echo(line: ServerConnection) -> None:
    async for message in line:
        await line.send(message)


async def main(port: int) -> None:
    """Serve until killed: files and forms on `port`, frames on the next."""
    await asyncio.start_server(_http, "127.0.0.1", port, limit=_READ)
    async with serve(_echo, "127.0.0.1", port + 1, compression=None) as frames:
        await frames.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
