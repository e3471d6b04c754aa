"""Answers that are read to their end although their clients left, so that the bill is the provider's own and no estimate.

Only where the configuration says so (`ledger.disconnect: drain`); else a provider is hung up on in the tick in which its client
leaves. What is owed for an answer that was read belongs in `settle`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from trunkline.canon.errors import GatewayError
from trunkline.config.snapshot import DrainSettings
from trunkline.edge.reply import Reply

_LOOK = 0.1
"""Seconds between two looks at how much has come."""


class Left(Protocol):
    """An exchange, as far as it matters when its client leaves."""

    reply: Reply
    first_byte: float

    @property
    def asked(self) -> bool:
        """A provider was given it and is about it."""
        ...


class Drains:
    """Those of a process."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    async def carry(self, exchange: Left, work: Coroutine[Any, Any, None], bounds: DrainSettings) -> None:
        """Do `work`, which answers `exchange`. If its client leaves while a provider is about it, it goes on within `bounds`.

        Raises what `work` raises; `CancelledError` where the client left or the gateway stops, after the work has ended.
        """
        task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            reply = exchange.reply
            seen = reply.status, exchange.first_byte
            if reply.gone and exchange.asked and len(self.running) < bounds.at_once:
                await self._wait(exchange, task, bounds)
                reply.status, exchange.first_byte = seen  # what came later, the client did not see
            await _ended(task)
            raise

    def end(self) -> None:
        """Wait for none of them any longer."""
        for task in self.running:
            task.cancel()

    async def _wait(self, exchange: Left, task: asyncio.Task[None], bounds: DrainSettings) -> None:
        """Until it is over, or has taken too long, or too much has come."""
        loop, reply = asyncio.get_running_loop(), exchange.reply
        end, before = loop.time() + bounds.timeout, 0
        if reply.flow is not None:
            before = reply.flow.size
            reply.flow.resume()  # its client may have been slow
        self.running.add(task)
        try:
            while not task.done() and (left := end - loop.time()) > 0:
                await asyncio.wait((task,), timeout=min(left, _LOOK))
                if reply.flow is not None and reply.flow.size - before > bounds.max_size:
                    break
        finally:
            self.running.discard(task)


async def _ended(task: asyncio.Task[None]) -> None:
    """End it, if it is not over. Raises a fault of ours; what else it raised is told nobody, who has left."""
    task.cancel()
    while not task.done():
        with suppress(asyncio.CancelledError):  # who was cancelled already may be so again: it raises that in the end
            await asyncio.wait((task,))
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, GatewayError):
        raise error
