"""A request's life, top to bottom.

Each line is a room of its own: `admit` decides whether it may begin, `pursue` goes over its targets, `attempt` asks one,
`relay` carries the answer, `refuse` says why there is none, `settle` accounts for it, whatever happened.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Literal

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.task import Family
from trunkline.dialects.tasks import TASKS
from trunkline.pipeline.admit import admit
from trunkline.pipeline.attempt import attempt
from trunkline.pipeline.counting import count
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.passthrough import pass_on
from trunkline.pipeline.pursue import Attempt, pursue
from trunkline.pipeline.realtime import converse
from trunkline.pipeline.refuse import refuse
from trunkline.pipeline.relay import relay
from trunkline.pipeline.settle import settle
from trunkline.pipeline.several import ask_in_turn, several
from trunkline.pipeline.task import ask_task
from trunkline.providers.provider import Target

_Handler = Callable[[Exchange, Parts], Coroutine[Any, Any, None]]


async def _chat(exchange: Exchange, parts: Parts, target: Target) -> None:
    asks = several(exchange, target)
    if asks:
        await ask_in_turn(exchange, parts, target, asks)  # several prompts for a model that is asked one at a time
    else:
        answer = await attempt(exchange, parts, target)  # ask the provider; its errors are raised
        await relay(exchange, parts, answer)  # whole, or pushed piece by piece


def _routed(ask: Attempt, task: Family[Any, Any] | None = None, *, twice: bool = False) -> _Handler:
    async def answer(exchange: Exchange, parts: Parts) -> None:
        if task is not None:
            exchange.asks = task.clients[exchange.dialect.name]
        way = await admit(exchange, parts)  # body, model, key's rights, where to ask; from here on the ledger knows it
        await pursue(exchange, parts, way, ask, twice=twice)  # its targets, until one answers; two at once, if the route hedges

    return answer


def _once(task: Family[Any, Any], *, twice: bool) -> _Handler:
    return _routed(partial(ask_task, family=task), task, twice=twice)


Job = Literal["chat", "count", "embed", "image", "pass", "realtime"]
JOBS: dict[Job, _Handler] = {
    "chat": _routed(_chat, twice=True),
    "count": _routed(count),  # tokens of the request: nothing is generated
    "embed": _once(TASKS["embed"], twice=True),  # one question, one answer
    "image": _once(TASKS["image"], twice=False),
    "pass": pass_on,  # what is never translated: speech, files, ranking, …
    "realtime": converse,  # a session over WebSocket
}


async def run(exchange: Exchange, parts: Parts, job: Job) -> None:
    """Answer one request and settle it. Never raises."""
    exchange.job = job
    parts.metrics.requests_in_flight += 1
    drain, work = exchange.snapshot.ledger.drain, JOBS[job](exchange, parts)
    try:
        await (work if drain is None else parts.drains.carry(exchange, work, drain))
    except GatewayError as error:
        refuse(exchange, error)
    except asyncio.CancelledError:
        refuse(exchange, _interrupted(exchange))
    except Exception as error:  # noqa: BLE001 - a fault of ours must still be answered, logged and settled
        trace = "".join(traceback.format_exception(error))
        parts.log.event("error", "a request failed inside the gateway", request_id=exchange.id, exception=trace)
        refuse(exchange, GatewayError(Kind.INTERNAL, "The gateway failed. The operator's log has the reason."))
    finally:
        parts.metrics.requests_in_flight -= 1
        exchange.reply.abort()  # no-op where it has ended: a fault of ours must not leave a client waiting for ever
        settle(exchange, parts)


def _interrupted(exchange: Exchange) -> GatewayError:
    """The edge cancels a request for two reasons: its client left, or the gateway stops."""
    if exchange.reply.gone:
        return GatewayError(Kind.CLIENT_GONE, "The client closed the connection.")
    return GatewayError(Kind.SHUTTING_DOWN, "The gateway is shutting down. Try again.", retry_after=1.0)
