"""Several prompts in one completions request, for a model that is spoken to in another dialect: asked one after the other.

The answers come whole and go out as one, in the order of the prompts; what each has used is accounted for at once, so that a
later failure loses none of it. How a request is taken apart and answers are joined belongs in the dialect.
"""

from __future__ import annotations

from typing import cast

import msgspec

from trunkline.canon.chat import Reply
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.openai_completions.prompts import joined, split
from trunkline.dialects.openai_completions.words import NAME
from trunkline.pipeline.attempt import attempt
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.prepare import Translated, estimated, written
from trunkline.pipeline.relay import deliver
from trunkline.pipeline.settle import owed, price_more
from trunkline.providers.provider import Target
from trunkline.routing.speech import choose


def several(exchange: Exchange, target: Target) -> tuple[Ask, ...]:
    """The requests of one prompt each that this one is for `target`; none where it goes as it is. Raises `GatewayError`."""
    if exchange.dialect.name != NAME or choose(target, NAME) == NAME:
        return ()
    return split(cast("Ask", exchange.ask))


async def ask_in_turn(exchange: Exchange, parts: Parts, target: Target, asks: tuple[Ask, ...]) -> None:
    """Ask each, and answer with all of it. Raises `GatewayError` where one fails: half an answer is none.

    The deadline and the bound of an answer's size are those of all together.
    """
    ask, deadlines, begun = cast("Ask", exchange.ask), exchange.deadlines, parts.mono()
    size, most = 0, target.provider.max_answer
    replies: list[Reply] = []
    for one in asks:
        exchange.deadlines = msgspec.structs.replace(deadlines, total=deadlines.total - (parts.mono() - begun))
        try:
            answer = await attempt(exchange, parts, target, one)
            body = await answer.read()
        except BaseException as error:
            if owed(exchange, error):  # the others are accounted for: this one must not be lost among them
                guessed = exchange.dialect.estimate_input(one)
                price_more(exchange, parts, Usage(input=guessed, basis="estimated"), "")
            raise
        exchange.sent = exchange.answered = False
        size += len(body)
        reply = cast("Translated", exchange.passage).read(body)
        _account(exchange, parts, one, reply)
        replies.append(reply)
        if size > most:
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, f"The provider's answers are larger than {most} bytes together.")
    frame = Frame(ask, exchange.id, exchange.started_ns // 1_000_000_000)
    deliver(exchange, parts, written(exchange.dialect, frame, joined(ask, tuple(replies))))


def _account(exchange: Exchange, parts: Parts, ask: Ask, reply: Reply) -> None:
    """Add what one answer used to what is known already."""
    usage = reply.usage
    if usage.basis == "none":
        usage = Usage(input=exchange.dialect.estimate_input(ask), output=estimated(reply), basis="estimated")
    price_more(exchange, parts, usage, reply.raw_usage)
