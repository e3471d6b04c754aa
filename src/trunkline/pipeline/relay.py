"""From the provider to the client: whole answers read in passing, streams pushed piece by piece.

The client sees no status before the first event is known to be good: until then a failure is still an ordinary error.
"""

from __future__ import annotations

from typing import cast

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask
from trunkline.pipeline.attempt import Incoming, read_at_most, scrub
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.providers.provider import Target

_MAX_HELD = 64 * 1024
"""Bytes of comments a provider may send before its first event."""


async def relay(exchange: Exchange, parts: Parts, answer: Incoming) -> None:
    """Carry a 2xx answer to the client. Raises `GatewayError` where it fails, before or after the client saw a byte."""
    ask = cast("Ask", exchange.ask)
    streamed = answer.headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
    if not streamed:
        await _whole(exchange, parts, answer)
    elif ask.stream:
        await _stream(exchange, parts, answer)
    else:
        answer.close()
        raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider answered with a stream that was not asked for.")


async def _whole(exchange: Exchange, parts: Parts, answer: Incoming) -> None:
    if cast("Ask", exchange.ask).stream:  # the limit it was sent with is a stream's, which is not held in memory
        body = await read_at_most(answer, cast("Target", exchange.target).provider.max_answer)
    else:
        body = await answer.read()
    whole = exchange.dialect.read_reply(body)
    exchange.raw_usage, exchange.finish = whole.raw_usage, whole.finish
    price(exchange, parts, whole.usage)
    cost = exchange.cost_nano
    headers = head(exchange) + b"content-type: application/json\r\n"
    if cost is not None:
        headers += b"x-trunkline-cost-usd: %d.%09d\r\n" % divmod(cost, 1_000_000_000)
    exchange.first_byte = parts.mono()
    exchange.reply.send(200, headers, body)


async def _stream(exchange: Exchange, parts: Parts, answer: Incoming) -> None:
    reply, target = exchange.reply, cast("Target", exchange.target)
    hide = target.provider.stream_usage == "ask" and not cast("Ask", exchange.ask).include_usage
    tap = exchange.tap = exchange.dialect.tap(hide_usage=hide)
    feed, write = tap.feed, reply.write
    held = b""

    def begin(first: bytes) -> None:
        exchange.first_byte = parts.mono()
        reply.flow = answer
        reply.start(200, head(exchange) + b"content-type: text/event-stream\r\ncache-control: no-cache\r\n")
        write(first if tap.error is None else scrub(exchange, first))

    def sink(data: bytes) -> None:
        nonlocal held
        if reply.started:
            out = feed(data)
            write(out if tap.error is None else scrub(exchange, out))
            return
        held += feed(data)
        if tap.opened:
            begin(held)
        elif tap.error is not None:
            raise tap.error  # nothing was shown yet: answered as an ordinary error
        elif len(held) > _MAX_HELD:
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider sent comments but no event.")

    await answer.pump(sink)
    rest = tap.close()
    if not reply.started:
        if not tap.opened:
            raise tap.error or GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider's answer is an empty stream.")
        begin(held)
    if not tap.complete and tap.error is None:
        raise GatewayError(Kind.UPSTREAM_BROKEN, "The provider ended its answer before it was finished.")
    write(rest)
    reply.end()


def head(exchange: Exchange) -> bytes:
    """The header lines every answer carries, framing and content type aside."""
    target = exchange.target
    if target is None:
        return b"x-request-id: %b\r\n%b" % (exchange.id.encode("ascii"), exchange.extra)
    return b"x-request-id: %b\r\nx-trunkline-provider: %b\r\nx-trunkline-model: %b\r\nx-trunkline-attempts: 1\r\n%b" % (
        exchange.id.encode("ascii"),
        target.provider.name.encode("ascii"),
        target.model.encode("ascii", "replace"),
        exchange.extra,
    )


def price(exchange: Exchange, parts: Parts, usage: Usage) -> None:
    """Put a price on what was used."""
    exchange.usage = usage
    target = cast("Target", exchange.target)
    found = parts.prices.find(target.provider.kind, target.model)
    if found is not None and usage.basis != "none":
        exchange.cost_nano = found.cost(usage, exchange.started_ns)
        exchange.price_version = parts.prices.version
