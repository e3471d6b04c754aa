"""The built-in provider's answer: made here, no socket. What it says belongs to the dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_chat.echo import echo_events, echo_reply

_TURN = 64
"""Pieces made before others have their turn."""


class EchoAnswer:
    """Looks like an answer from a provider."""

    def __init__(self, ask: Ask, ident: str, created: int) -> None:
        """`ident` names the answer; `created` is seconds since the epoch."""
        # Usage is always told, as other providers are asked to; the tap keeps it from a client that did not ask.
        self._ask = msgspec.structs.replace(ask, include_usage=True)
        self._ident = ident
        self._created = created
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.status = 200
        self.size = 0
        """It costs nothing to make."""
        self.headers = {b"content-type": b"text/event-stream" if ask.stream else b"application/json"}

    async def read(self) -> bytes:
        """The whole body."""
        return echo_reply(self._ask, reply_id=self._ident, created=self._created)

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """One piece after the other: a long text is a hundred times as long as a stream, so it waits for a slow client."""
        events = echo_events(self._ask, reply_id=self._ident, created=self._created)
        for number, piece in enumerate(events, 1):
            sink(piece)
            if number % _TURN == 0:
                await asyncio.sleep(0)
            await self._flowing.wait()

    def close(self) -> None:
        """Nothing to give up."""

    def pause(self) -> None:
        """The client is slow: make no more."""
        self._flowing.clear()

    def resume(self) -> None:
        """Go on."""
        self._flowing.set()
