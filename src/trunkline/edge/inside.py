"""Questions between the processes of one gateway: a line goes in, a length and as many bytes come back.

On sockets in the data directory, which only its owner may open. What is asked and answered belongs to `gateway`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

_LONGEST = 100
"""Bytes of a socket's path: the system's bound is 108, on some systems 104 (unix(7))."""
_QUESTION = 64
"""Bytes of a question."""
_PATIENCE = 1.0
"""Seconds in which a question must be said."""

Answer = Callable[[str], Awaitable[bytes]]


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for the path that fits: through its directory's descriptor where it is too long itself (proc(5))."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


async def listen(path: Path, answer: Answer) -> asyncio.Server:
    """Answer questions at `path`, also where an earlier process did. Raises OSError.

    Call it while no other thread makes files: for a moment, the process makes all of them for its owner alone.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                question = await reader.readline()
            told = await answer(question.decode("ascii").strip())
            writer.write(b"%d\n" % len(told) + told)
            await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.CancelledError):
            pass  # who asks may leave, say nothing, or too much; and we may end meanwhile
        finally:
            writer.close()

    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - once, before anybody is served
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                sock.bind(name)
        finally:
            os.umask(before)
        return await asyncio.start_unix_server(serve, sock=sock, limit=_QUESTION)
    except OSError:
        sock.close()
        raise


async def ask(path: Path, question: str, seconds: float) -> bytes | None:
    """The answer of the process behind `path`; None where none came whole in time."""
    try:
        async with asyncio.timeout(seconds):
            with _short(path) as name:
                reader, writer = await asyncio.open_unix_connection(name)
            try:
                writer.write(question.encode("ascii") + b"\n")
                return await reader.readexactly(int(await reader.readline()))
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, ValueError):  # it is gone, or was killed in the midst of it
        return None
