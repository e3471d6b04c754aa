"""Families beside chat, of one question and one answer: embeddings, pictures. To a provider of the same dialect bytes pass;
to any other the question goes through canon, in as many requests as it takes.

What the words are belongs in the dialects.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.loss import Loss
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask, Frame, Outgoing, ProviderDialect, Tap, Whole
from trunkline.dialects.passing import PassingTap
from trunkline.dialects.table import SPOKEN
from trunkline.dialects.task import ClientSide, Family
from trunkline.pipeline.attempt import ask_provider
from trunkline.pipeline.exchange import Answered, Exchange, Parts
from trunkline.pipeline.relay import deliver, relay
from trunkline.pipeline.settle import owed, price, price_more
from trunkline.providers.forward import forwarded, unused
from trunkline.providers.provider import Target
from trunkline.routing.speech import choose_for

AT_ONCE = 4
"""Requests of one question that are out at the same time."""
_LEAST = 0.001
"""Seconds of a deadline that has passed: the client of `edge` says what that means."""
_JSON = b"application/json"


class Same:
    """Both sides speak one dialect; the attributes are those of `exchange.Passage`."""

    shallow = True

    def __init__(
        self, side: ClientSide[Any, Any], ask: Ask, dialect: ProviderDialect, outgoing: Outgoing, dropped: tuple[str, ...]
    ) -> None:
        self.dialect = dialect
        self.outgoing = outgoing
        self.dropped = dropped
        self._side = side
        self._ask = ask

    def whole(self, body: bytes) -> Answered:
        """The answer as it is."""
        told, body = self._side.read_reply(self._ask, body)
        return Answered(told, body, _JSON)

    def tap(self) -> Tap:
        """A stream passes, its usage is read."""
        return PassingTap()

    def done(self, tap: Tap) -> None:
        """Nothing is kept."""


async def ask_task(exchange: Exchange, parts: Parts, target: Target, family: Family[Any, Any]) -> None:
    """Answer one question of a family. Raises `GatewayError`."""
    spoken = choose_for(family, target, exchange.dialect.name)
    if spoken == exchange.dialect.name and not (target.facts.form and spoken in family.providers):
        await _pass(exchange, parts, target, family.clients[spoken])
    else:
        await _translate(exchange, parts, target, family, spoken)


async def _pass(exchange: Exchange, parts: Parts, target: Target, side: ClientSide[Any, Any]) -> None:
    ask, provider, loss = cast("Ask", exchange.ask), target.provider, Loss(strict=target.strict)
    outgoing = side.write_request(ask, target.model, target.facts, loss)
    lines, held = forwarded(provider, exchange.request.headers)
    passage = exchange.passage = Same(side, ask, SPOKEN[exchange.dialect.name], outgoing, tuple(loss.names))
    exchange.dropped = (*passage.dropped, *held)
    bounds = exchange.deadlines, provider.max_stream if ask.stream else provider.max_answer
    await relay(exchange, parts, await ask_provider(exchange, parts, passage.dialect, outgoing, lines, bounds))


async def _translate(exchange: Exchange, parts: Parts, target: Target, family: Family[Any, Any], spoken: str) -> None:
    ask, loss = cast("Ask", exchange.ask), Loss(strict=target.strict)
    client, provider = family.clients[exchange.dialect.name], family.providers[spoken]
    question = client.read(ask)
    outgoings = provider.write(question, target.model, target.facts, loss)
    exchange.dropped = (*loss.names, *unused(exchange.request.headers))
    bodies: dict[int, bytes] = {}
    out: set[int] = set()
    try:
        await _ask_each(exchange, parts, SPOKEN[spoken], outgoings, (bodies, out))
    except BaseException:
        with suppress(GatewayError):
            if bodies:  # these were answered, and will be charged for
                _account(exchange, parts, provider.read_answer(list(bodies.values())), len(bodies) / len(outgoings))
        if out:  # and these may be
            guessed = int(exchange.asks.estimate_input(ask) * len(out) / len(outgoings))
            price_more(exchange, parts, Usage(input=guessed, basis="estimated"), "")
        raise
    answer = _account(exchange, parts, provider.read_answer([bodies[at] for at in range(len(outgoings))]), 1)
    frame = Frame(ask, exchange.id, exchange.started_ns // 1_000_000_000)
    told = Whole(answer.usage, answer.raw_usage, "")
    try:
        answered = Answered(told, client.write_answer(answer, question, frame), _JSON)
    except GatewayError as error:
        answered = Answered(told, b"", b"", error)
    deliver(exchange, parts, answered)


def _account(exchange: Exchange, parts: Parts, answer: Any, share: float) -> Any:
    """The answer with the usage that was priced: the provider's own, or our estimate. `share` of the question it is to."""
    usage: Usage = answer.usage
    if usage.basis == "none":
        estimate = int(exchange.asks.estimate_input(cast("Ask", exchange.ask)) * share)
        usage = msgspec.structs.replace(usage, input=estimate, basis="estimated")
    price(exchange, parts, usage, answer.raw_usage)
    return msgspec.structs.replace(answer, usage=usage)


async def _ask_each(
    exchange: Exchange,
    parts: Parts,
    dialect: ProviderDialect,
    outgoings: tuple[Outgoing, ...],
    kept: tuple[dict[int, bytes], set[int]],
) -> None:
    """Put every answer into the first of `kept`, and into the second the places of those that may be charged for without one.
    Deadline and size are bounds of all of them together.
    """
    bodies, out = kept
    left, deadlines, begun = enumerate(outgoings), exchange.deadlines, parts.mono()
    room = most = cast("Target", exchange.target).provider.max_answer

    def take(body: bytearray, data: bytes) -> None:
        nonlocal room
        body += data
        room -= len(data)
        if room < 0:
            raise GatewayError(
                Kind.UPSTREAM_PROTOCOL, f"The provider's answers cannot be used. They are larger than {most} bytes."
            )

    async def work() -> None:
        for at, outgoing in left:
            time = max(deadlines.total - (parts.mono() - begun), _LEAST)
            bounds = msgspec.structs.replace(deadlines, total=time), most
            body = bytearray()
            try:
                answer = await ask_provider(exchange, parts, dialect, outgoing, b"", bounds)
                await answer.pump(partial(take, body))
            except BaseException as error:
                if owed(exchange, error):
                    out.add(at)
                raise
            bodies[at] = bytes(body)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(outgoings))):
                group.create_task(work())
    except ExceptionGroup as several:
        raise _plain(several.exceptions[0]) from None


def _plain(error: Exception) -> Exception:
    """An error whose body is not of the client's dialect: it is written anew."""
    if isinstance(error, GatewayError) and error.upstream is not None:
        error.upstream = msgspec.structs.replace(error.upstream, verbatim=False)
    return error
