"""From the provider to the client: whole answers read in passing, streams pushed piece by piece.

The client sees no status before the first event is known to be good: until then a failure is still an ordinary error.
"""

from __future__ import annotations

import asyncio
from typing import cast

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Ask, Whole
from trunkline.pipeline.attempt import Incoming, read_at_most
from trunkline.pipeline.exchange import Answered, Exchange, Filtered, Parts, Passage
from trunkline.pipeline.outgoing import cost_line, head, scrub_json
from trunkline.pipeline.settle import price
from trunkline.providers.provider import Target

_STREAM_TYPE = b"text/event-stream"
_MAX_HELD = 64 * 1024
"""Bytes of comments a provider may send before its first event."""


async def relay(exchange: Exchange, parts: Parts, answer: Incoming) -> None:
    """Carry a 2xx answer to the client. Raises `GatewayError` where it fails, before or after the client saw a byte."""
    ask, passage = cast("Ask", exchange.ask), cast("Passage", exchange.passage)
    content_type = answer.headers.get(b"content-type", b"").lower()
    if ask.stream and passage.dialect.streams(content_type):
        await _Stream(exchange, parts, answer).run()
    elif not content_type.startswith(_STREAM_TYPE):
        await _whole(exchange, parts, answer, ask, passage)
    else:
        answer.close()
        raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider answered with a stream that was not asked for.")


async def _whole(exchange: Exchange, parts: Parts, answer: Incoming, ask: Ask, passage: Passage) -> None:
    if ask.stream:  # the limit it was sent with is a stream's, which is not held in memory
        body = await read_at_most(answer, cast("Target", exchange.target).provider.max_answer)
    else:
        body = await answer.read()
    answered = passage.whole(body)
    usage = answered.whole.usage
    if usage.basis == "none":
        guessed = exchange.asks.estimate_input(ask)
        usage = Usage(input=guessed, output=answered.whole.estimate, images=usage.images, basis="estimated")
    price(exchange, parts, usage, answered.whole.raw_usage)
    if answered.filtered:
        raise Filtered(answered)
    deliver(exchange, parts, answered)


def deliver(exchange: Exchange, parts: Parts, answered: Answered) -> None:
    """Give the client a whole answer that has its price. Raises `GatewayError` where it is none to the client."""
    exchange.raw_usage, exchange.finish = answered.whole.raw_usage, answered.whole.finish
    if answered.error is not None:
        raise answered.error
    exchange.shows(parts.mono())
    headers = head(exchange) + b"content-type: %b\r\n" % answered.content_type + cost_line(exchange)
    exchange.reply.send(200, headers, answered.body)


class _Stream:
    """One streamed answer on its way."""

    def __init__(self, exchange: Exchange, parts: Parts, answer: Incoming) -> None:
        self._exchange = exchange
        self._passage = cast("Passage", exchange.passage)
        self._parts = parts
        self._answer = answer
        self._reply = exchange.reply
        self._tap = exchange.tap = self._passage.tap()
        self._held = b""

    async def run(self) -> None:
        """Push until the end. Raises `GatewayError`."""
        tap = self._tap
        try:
            await self._answer.pump(self._take)
        except (GatewayError, asyncio.CancelledError):
            if not tap.ended:
                raise  # after the end mark the client has everything: what becomes of the connections is ours alone
        rest = tap.close()
        if not tap.opened and tap.error is None:
            raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider's answer is an empty stream.")
        if not tap.complete and tap.error is None:  # `rest` is half an event then, and stays here
            raise GatewayError(Kind.UPSTREAM_BROKEN, "The provider ended its answer before it was finished.")
        self._pass(rest)
        if not self._reply.started:
            raise Filtered(self._emptied())
        self._reply.end()
        self._passage.done(tap)

    def _take(self, data: bytes) -> None:
        """The sink: called for every piece, in the tick it arrives in."""
        data = self._tap.feed(data)
        if self._reply.started and self._tap.error is None:
            self._reply.write(data)
        else:
            self._pass(data)

    def _pass(self, data: bytes) -> None:
        """What is not an ordinary piece in the middle: the beginning, the rest at the end, and events around an error."""
        tap = self._tap
        if tap.error is not None:
            if not tap.opened:
                raise tap.error  # nothing was shown yet: answered as an ordinary error
            ours = tap.fail(tap.error)
            data = scrub_json(self._exchange, self._held + data, ours)
            self._held = b""
        if self._reply.started:
            self._reply.write(data)
        elif tap.opened and (tap.error is not None or not tap.filtered()):
            self._begin(self._held + data)
        else:
            self._held += data
            if len(self._held) > _MAX_HELD:
                raise GatewayError(Kind.UPSTREAM_PROTOCOL, "The provider sent comments but no event.")

    def _emptied(self) -> Answered:
        """The whole of a stream that a filter ended before it said anything."""
        tap, exchange = self._tap, self._exchange
        told = Whole(tap.usage, tap.raw_usage, tap.finish)
        return Answered(told, self._held, exchange.dialect.stream_type(cast("Ask", exchange.ask)), filtered=True)

    def _begin(self, first: bytes) -> None:
        exchange = self._exchange
        self._held = b""
        exchange.shows(self._parts.mono())
        reply = self._reply = exchange.reply
        reply.flow = self._answer
        told = exchange.dialect.stream_type(cast("Ask", exchange.ask))
        reply.start(200, head(exchange) + b"content-type: %b\r\ncache-control: no-cache\r\n" % told)
        reply.write(first)
