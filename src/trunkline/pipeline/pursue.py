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
    at = rounds = 0  # the first target is the one it was let in with
    while (then := await _try(exchange, parts, route, attempt, at, rounds)) is not None:
        await asyncio.sleep(then.wait)
        at, rounds = (at + 1, rounds) if then.what == "next" else (0, rounds + 1)
        exchange.turn_to(exchange.candidates[at], msgspec.structs.replace(route.deadlines, total=_left(exchange, parts, route)))


async def _try(exchange: Exchange, parts: Parts, route: Route, attempt: Attempt, at: int, rounds: int) -> Then | None:
    """Ask one target; what to do then, or None where it answered. Raises the error that nothing follows."""
    target = exchange.candidates[at]
    circuit = parts.health.of(target)
    circuit.asked(parts.mono())
    try:
        await attempt(exchange, parts, target)
    except GatewayError as error:
        circuit.failed(parts.mono(), error)
        left, others = _left(exchange, parts, route), at + 1 < len(exchange.candidates)
        tried = Tried(exchange.tries, rounds, others=others, shown=exchange.reply.started, left=left)
        then = decide(error, tried, route.retry, parts.dice())
        if then.what == "stop":
            raise
        failed(exchange, parts, error)
        return then
    circuit.succeeded()
    return None


def _left(exchange: Exchange, parts: Parts, route: Route) -> float:
    """Seconds until the request must be over."""
    return route.deadlines.total - (parts.mono() - exchange.request.started)
