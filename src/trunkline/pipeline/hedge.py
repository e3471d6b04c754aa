"""Two targets asked beside each other: the first that has something to show the client is its answer, the other is cancelled.

How many requests may be asked twice belongs in `routing.budget`, what follows where both fail in `pursue`. Each of the two has
an exchange of its own, a copy, whose reply is not the client's until it has won; then the request goes on as that copy. What
the other used, reported or, since we hung up on its provider, estimated, goes to what both have `spent`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from typing import Any, cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.pipeline.admit import Way
from trunkline.pipeline.exchange import Exchange, Filtered, Parts
from trunkline.pipeline.settle import failed
from trunkline.routing.standing import Standing

Try = Callable[[Exchange, int], Coroutine[Any, Any, GatewayError | None]]
"""Asks the target at this place for this exchange; the error, where it did not answer."""

_MCP = b'"mcp'
"""How tools begin that a provider calls somewhere else (OpenAI's `mcp`, Anthropic's `mcp_servers`): it would be done twice."""


def patience(exchange: Exchange, way: Way, at: int) -> float | None:
    """Seconds without a sign of an answer after which a second target is asked beside the one at `at`; None where none is.

    That is where the route does not want it, where a request must not run twice (it names what its provider keeps or makes in
    the background, or lets it act elsewhere), and where nothing is known of the target's pace: of streams alone it is.
    """
    hedge, ask = way.route.hedge, cast("Ask", exchange.ask)
    if hedge is None or exchange.dialect.only_bytes(ask) or _MCP in exchange.request.body:
        return None
    if hedge.after is not None or not ask.stream:
        return hedge.after
    return way.candidates.course.standings[at].pace.p95()


class Hedge:
    """One request's race; its attributes are those of `exchange.Race`."""

    def __init__(self, exchange: Exchange, parts: Parts, way: Way, ask: Try) -> None:
        self._exchange = exchange
        self._parts = parts
        self._way = way
        self._ask = ask
        self._tasks: dict[Exchange, asyncio.Task[GatewayError | None]] = {}
        """In the order of their beginnings; two at most."""
        self._began = parts.mono()
        self._failed: list[Exchange] = []
        """In the order in which they did."""
        self.winner: Exchange | None = None

    async def run(self, at: int, after: float) -> GatewayError | None:
        """Ask the target at `at`, and another one if that shows nothing for `after` seconds. The error, where none answered:
        the last one's, or that of an answer which a filter emptied. `exchange` goes on as the one that it is of.
        """
        self._way.candidates.course.hedging.asked()
        first = self._begin(self._copy(), at)
        try:
            await asyncio.wait((first,), timeout=after)
            if self.winner is None and not first.done():
                self._join()
            while pending := [task for task in self._tasks.values() if not task.done()]:
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                self._check()
            self._check()
        except BaseException:  # the client left or the gateway stops; else a fault of ours
            if not _answered(self._tasks[await self._stop()]):
                raise
            return None  # the client left with the whole answer
        chosen = self.winner or next(filter(self._filtered, self._failed), self._failed[-1])
        self._finish(chosen)
        return self._tasks[chosen].result()

    def shows(self, exchange: Exchange) -> None:
        """The first that has something to show wins; what the other used is known from then on."""
        self._look()
        if self.winner is None:
            self.winner = exchange
            exchange.reply = self._exchange.reply
            for other, task in self._tasks.items():
                if other is not exchange and not task.done():
                    task.cancel()
                    self._outrun(other)
        elif self.winner is not exchange:
            raise GatewayError(Kind.CLIENT_GONE, "Another target was quicker.")

    def _copy(self) -> Exchange:
        made = copy.copy(self._exchange)
        made.reply = copy.copy(made.reply)  # it says that nothing was shown, and nothing is without `shows`
        made.race = self
        return made

    def _begin(self, exchange: Exchange, at: int) -> asyncio.Task[GatewayError | None]:
        task = self._tasks[exchange] = asyncio.create_task(self._ask(exchange, at))  # noqa: TID251 - kept, and waited for
        return task

    def _join(self) -> None:
        """A second target, where one is left that fits and is well, and the route's share allows it."""
        parts, candidates = self._parts, self._way.candidates
        course, now = candidates.course, parts.mono()
        may = course.hedging.may() and not self._exchange.reply.gone
        at = candidates.next(now, parts.dice()) if may else None
        if at is None or not course.standings[at].well(candidates.tokens, now):
            return
        course.hedging.spend()
        second = self._copy()
        left = self._way.route.deadlines.total - (now - self._exchange.request.started)
        second.turn_to(course.everyone[at], msgspec.structs.replace(self._way.route.deadlines, total=left))
        second.hedged = True
        for other in self._tasks:
            other.tries = second.tries
        self._begin(second, at)

    def _check(self) -> None:
        """Look; then raise what is a fault of ours, unless there is an answer all the same."""
        self._look()
        for task in self._tasks.values():
            if self.winner is None and task.done():
                task.result()

    def _look(self) -> None:
        """Whoever failed leaves the race to the other."""
        for exchange, task in self._tasks.items():
            if self.winner is None and exchange not in self._failed and task.done() and _sound(task):
                self._failed.append(exchange)
                failed(exchange, self._parts, cast("GatewayError", task.result()))  # who answered has won

    def _outrun(self, exchange: Exchange) -> None:
        failed(exchange, self._parts, GatewayError(Kind.CLIENT_GONE, "Another target was quicker."))
        if not exchange.hedged:
            standing, stream = cast("Standing", exchange.standing), cast("Ask", exchange.ask).stream
            standing.outrun(self._began, self._parts.mono(), stream=stream)

    def _filtered(self, exchange: Exchange) -> bool:
        return isinstance(self._tasks[exchange].result(), Filtered)

    async def _stop(self) -> Exchange:
        """End what still runs; whose state the request ends with."""
        self._look()
        pending = {exchange: task for exchange, task in self._tasks.items() if not task.done()}
        chosen, *others = [self.winner] if self.winner is not None else pending or self._failed[-1:] or self._tasks
        for exchange, task in pending.items():
            exchange.reply.gone = self._exchange.reply.gone
            task.cancel()
        for other in others:
            failed(other, self._parts, GatewayError(Kind.CLIENT_GONE, "The client closed the connection."))
        try:
            if pending:
                await asyncio.wait(pending.values())
        finally:
            self._finish(chosen)
        return chosen

    def _finish(self, chosen: Exchange) -> None:
        """The request goes on as `chosen`."""
        self._exchange.become(chosen)
        for one in self._tasks:
            one.race = None  # it knows us: a circle otherwise
            if one is not chosen:  # a fault of ours may have ended it: what it holds and used is accounted for all the same
                failed(one, self._parts, GatewayError(Kind.CLIENT_GONE, "Another target was quicker."))
        self._exchange.trail.sort(key=lambda step: step.began_ms)
        for second in self._tasks:
            if second.hedged:
                result = "won" if self.winner is second else "failed" if second in self._failed else "lost"
                self._parts.metrics.hedges[result] += 1


def _sound(task: asyncio.Task[GatewayError | None]) -> bool:
    """It came to its end by itself."""
    return not task.cancelled() and task.exception() is None


def _answered(task: asyncio.Task[GatewayError | None]) -> bool:
    return _sound(task) and task.result() is None
