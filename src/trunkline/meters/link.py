"""One connection to Redis: commands out, as many replies back. What is asked, and when to give up, belongs in `wire`.

Commands are written and replies read by hiredis, in C; a client library's own machinery costs five to ten times as much as a
decision may (docs/decisions/024-shared-meters.md).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from typing_extensions import override

from trunkline.meters.url import RedisUrl

Replies = list[Any]
Word = str | int | float | bytes | memoryview
"""Of a command."""
pack = cast("Callable[[tuple[Word, ...]], bytes]", hiredis.pack_command)
"""A command as it is sent."""


class RedisError(Exception):
    """Redis cannot be used as it is; `str` says why."""


class Link(asyncio.Protocol):
    """A connection. At most one batch of commands is on its way."""

    def __init__(self) -> None:
        self.on_lost: Callable[[str], None] | None = None
        """Called once, with the reason, where the other end ends it or sends nonsense."""
        self.ended = False
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._wanted = 0
        self._replies: Replies = []
        self._answered: Callable[[Replies], None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        reader, replies = self._reader, self._replies
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        except hiredis.ProtocolError:
            return self._lost("it does not speak Redis's protocol")
        if len(replies) > self._wanted:
            return self._lost("it answers what nobody asked")
        if replies and len(replies) == self._wanted and self._answered is not None:
            self._wanted, self._replies = 0, []
            self._answered(replies)
        return None

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._lost("the connection was lost")

    def _lost(self, reason: str) -> None:
        told, self.on_lost = self.on_lost, None
        self.ended = True
        self.close()
        if told is not None:
            told(reason)

    def send(self, commands: Sequence[bytes], answered: Callable[[Replies], None]) -> None:
        """Send commands, packed; `answered` is called with all their replies, of which some may be `hiredis.ReplyError`."""
        assert self._transport is not None  # noqa: S101 - as `dial` made it
        self._wanted, self._answered = len(commands), answered
        if self._transport.is_closing():
            asyncio.get_running_loop().call_soon(self._lost, "the connection was lost")
        else:
            self._transport.write(b"".join(commands))

    async def ask(self, *commands: tuple[Word, ...]) -> Replies:
        """Send commands and wait for their replies. Raises `RedisError` for the first that is refused, and for a lost link."""
        waiting: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()

        def answered(replies: Replies) -> None:
            if not waiting.done():
                waiting.set_result(replies)

        def lost(reason: str) -> None:
            if not waiting.done():
                waiting.set_exception(RedisError(reason))

        self.on_lost = lost
        self.send([pack(words) for words in commands], answered)
        replies = await waiting
        self.on_lost = None
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise RedisError(str(reply))
        return replies

    def close(self) -> None:
        """End it at once; harmless when it has ended."""
        self.on_lost = self._answered = None
        if self._transport is not None:
            self._transport.abort()


async def dial(url: RedisUrl) -> Link:
    """A connection that may be used. Raises `RedisError`, or OSError, which `ssl.SSLError` is; the caller sets a time."""
    loop, made = asyncio.get_running_loop(), Link()
    if url.host.startswith("/"):
        await loop.create_unix_connection(lambda: made, url.host)
    else:
        # The system's authorities are a file of hundreds: reading them takes longer than anybody may wait.
        context = await asyncio.to_thread(ssl.create_default_context, cafile=url.ca) if url.tls else None
        await loop.create_connection(lambda: made, url.host, url.port, ssl=context)
    try:
        words: list[tuple[Word, ...]] = []
        if url.password:
            words.append(("AUTH", url.user, url.password) if url.user else ("AUTH", url.password))
        if url.database:
            words.append(("SELECT", url.database))
        if words:
            await made.ask(*words)
    except BaseException:
        made.close()
        raise
    return made
