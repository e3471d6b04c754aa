"""How many tokens a request has: the provider's own count where it has one, a tokenizer's elsewhere.

Nothing is generated and nothing is charged; the answer's `x-trunkline-count-basis` says who counted.
"""

from __future__ import annotations

from typing import cast

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Ask
from trunkline.dialects.table import SPOKEN
from trunkline.pipeline.attempt import ask_provider, read_at_most
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import head
from trunkline.pipeline.prepare import passes
from trunkline.providers.forward import forwarded
from trunkline.providers.provider import Target
from trunkline.routing.speech import choose

_ABSENT = frozenset({404, 405, 501})
"""Statuses of a server that speaks the dialect but does not count."""
_MAX_ANSWER = 64 * 1024


async def count(exchange: Exchange, parts: Parts, target: Target) -> None:
    """Answer a client that asks how many tokens its request has. Raises `GatewayError`."""
    exchange.charged, exchange.cost_nano = False, 0
    tokens = None if target.provider.builtin else await _asked(exchange, parts, target)
    basis = b"provider"
    if tokens is None:
        tokens, basis = await _counted(exchange, parts, target), b"tokenizer"
    exchange.shows(parts.mono())
    told = b"content-type: application/json\r\nx-trunkline-count-basis: %b\r\n" % basis
    exchange.reply.send(200, head(exchange) + told, exchange.dialect.write_count_answer(tokens))


async def _counted(exchange: Exchange, parts: Parts, target: Target) -> int:
    chat = exchange.dialect.read_chat(cast("Ask", exchange.ask))
    return await parts.counter.count_chat(chat, choose(target, exchange.dialect.name))


async def _asked(exchange: Exchange, parts: Parts, target: Target) -> int | None:
    """The provider's own count; None where it cannot be asked."""
    client, ask = exchange.dialect, cast("Ask", exchange.ask)
    provider = SPOKEN[choose(target, client.name)]
    lines = b""
    if provider is client and passes(exchange, ask, target):
        outgoing = client.write_request(ask, target.model, ask_usage=False)
        lines, exchange.dropped = forwarded(target.provider, exchange.request.headers)
    else:
        written = provider.write_count(client.read_chat(ask), target.model, target.facts)
        if written is None:
            return None
        outgoing = written
    try:
        answer = await ask_provider(exchange, parts, provider, outgoing, lines, (exchange.deadlines, _MAX_ANSWER))
    except GatewayError as error:
        if error.upstream is not None and error.upstream.status in _ABSENT:
            return None
        if error.upstream is not None and provider is not client:  # its words are of another dialect
            error.upstream = msgspec.structs.replace(error.upstream, verbatim=False)
        raise
    return provider.read_count(await read_at_most(answer, _MAX_ANSWER))
