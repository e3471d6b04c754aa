"""One request pursued over its route's targets, until one answers or nothing is left to try.

What follows a failure is decided in `routing.retry`; asking one target and carrying its answer is the caller's `attempt`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.settle import failed
from trunkline.providers.provider import Target
from trunkline.routing.retry import Then, Tried, decide
from trunkline.routing.route import Route

Attempt = Callable[[Exchange, Parts, Target], Awaitable[None]]
"""Asks one target and answers the client with what it says. Raises `GatewayError`."""


async def pursue(exchange: Exchange, parts: Parts, route: Route, attempt: Attempt) -> None:
    """Answer the client from the first target that can. Raises `GatewayError`: the last target's.

    What failed attempts used is in the books too. The route's total deadline is that of all attempts together.
    """
    rounds = 0
    while True:
        then = await _go_round(exchange, parts, route, attempt, rounds)
        if then is None:
            return
        await asyncio.sleep(then.wait)
        rounds += 1


async def _go_round(exchange: Exchange, parts: Parts, route: Route, attempt: Attempt, rounds: int) -> Then | None:
    """Each target once; None where one answered."""
    deadlines = route.deadlines
    for at, target in enumerate(exchange.candidates):
        if at or rounds:  # the first one it was let in with
            left = deadlines.total - (parts.mono() - exchange.request.started)
            exchange.turn_to(target, msgspec.structs.replace(deadlines, total=left))
        circuit = parts.health.of(target)
        circuit.asked(parts.mono())
        try:
            await attempt(exchange, parts, target)
        except GatewayError as error:
            circuit.failed(parts.mono(), error)
            left = deadlines.total - (parts.mono() - exchange.request.started)
            others = at + 1 < len(exchange.candidates)
            tried = Tried(exchange.tries, rounds, others=others, shown=exchange.reply.started, left=left)
            then = decide(error, tried, route.retry, parts.dice())
            if then.what == "stop":
                raise
            failed(exchange, parts, error)
            if then.what == "again":
                return then
        else:
            circuit.succeeded()
            return None
    raise AssertionError("a route has a target, and the last one is never followed by another")  # pragma: no cover
