"""The account of an exchange: ledger, metrics, one log line. Called once for each, however it ended; touches no socket."""

from __future__ import annotations

from typing import cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage, total
from trunkline.dialects.dialect import Ask
from trunkline.ledger.record import Outcome, Settle
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import scrub
from trunkline.pipeline.trail import count, written
from trunkline.providers.provider import Target
from trunkline.telemetry.lines import RequestLine

#: How a failure is called in the ledger; what is not named here is `error`, a failure of the gateway.
_OUTCOMES: dict[Kind, Outcome] = {
    Kind.CLIENT_GONE: "client_cancelled",
    Kind.SHUTTING_DOWN: "shutdown",
    Kind.UPSTREAM_BROKEN: "upstream_broken",
    Kind.UPSTREAM_REFUSED: "upstream_error",
    Kind.UPSTREAM_FAILED: "upstream_error",
    Kind.UPSTREAM_PROTOCOL: "upstream_error",
    Kind.UPSTREAM_TIMEOUT: "upstream_error",
    Kind.UPSTREAM_TLS: "upstream_error",
    Kind.UPSTREAM_UNREACHABLE: "upstream_error",
}

_BREAKS = {Kind.UPSTREAM_PROTOCOL, Kind.UPSTREAM_TIMEOUT}
"""Failures that are `upstream_broken` once the client has seen a part of the answer."""
_WE_LEFT = {Kind.CLIENT_GONE, Kind.SHUTTING_DOWN, Kind.UPSTREAM_TIMEOUT}
"""Failures at which we hung up on a provider that may well have been answering, and charging for it."""


def settle(exchange: Exchange, parts: Parts) -> None:
    """Write down what became of `exchange`."""
    error = exchange.error or (exchange.tap.error if exchange.tap is not None else None)
    _take_usage(exchange, parts, error)
    if exchange.spent.usage is not NO_USAGE:
        exchange.cost_nano, exchange.usage = exchange.cost(), total((exchange.spent.usage, exchange.usage))
    priced = exchange.cost_nano is not None and exchange.usage.basis != "none"
    outcome = _outcome(error, begun=exchange.first_byte > 0)
    status = exchange.reply.status or (error.status if error is not None else 0)
    started = exchange.request.started
    duration_us = int((parts.mono() - started) * 1e6)
    first_byte_us = int((exchange.first_byte - started) * 1e6) if exchange.first_byte else 0
    kind = error.kind.value if error is not None else ""
    if exchange.ticket is not None and exchange.opened is not None:
        record = Settle(
            opened=exchange.opened,
            outcome=outcome,
            status=status,
            error=kind,
            finish=_shown(exchange, exchange.finish),
            attempts=max(exchange.tries, 1),
            usage=exchange.usage,
            raw_usage=_shown(exchange, exchange.raw_usage),
            cost_nano=exchange.cost_nano,
            price_version=parts.prices.version if priced else "",
            duration_us=duration_us,
            first_byte_us=first_byte_us,
            upstream_id=exchange.upstream_id,
            trail=_shown(exchange, written(exchange)),
        )
        parts.journal.settle(exchange.ticket, record)
    line = _line(exchange, parts, outcome, status, kind, duration_us, first_byte_us)
    parts.metrics.request(line)
    count(exchange, parts.metrics)
    parts.log.request(line)


def failed(exchange: Exchange, parts: Parts, error: GatewayError) -> None:
    """Keep what an attempt used that ended so. It is accounted for then: a second time changes nothing."""
    _take_usage(exchange, parts, error)
    if exchange.usage.basis != "none":
        spent = exchange.spent
        spent.nano, spent.usage = exchange.cost(), total((spent.usage, exchange.usage))
    exchange.tap, exchange.usage, exchange.cost_nano = None, NO_USAGE, None
    exchange.sent = exchange.answered = False


def price(exchange: Exchange, parts: Parts, usage: Usage) -> None:
    """Put a price on what was used."""
    exchange.usage = usage
    target = cast("Target", exchange.target)
    found = parts.prices.find(target.provider.kind, target.model)
    untold = usage.images and not usage.output  # pictures are paid for by output tokens, which nobody told, or by the piece
    if found is not None and usage.basis != "none" and not untold:
        exchange.cost_nano = found.cost(usage, exchange.started_ns)


def _shown(exchange: Exchange, told: str) -> str:
    """A provider's words as the ledger may keep them."""
    return scrub(exchange, told.encode()).decode() if told else ""


def _outcome(error: GatewayError | None, *, begun: bool) -> Outcome:
    if error is None:
        return "ok"
    if begun and error.kind in _BREAKS:
        return "upstream_broken"
    return _OUTCOMES.get(error.kind, "error" if error.fault == "gateway" else "refused")


def _take_usage(exchange: Exchange, parts: Parts, error: GatewayError | None) -> None:
    """What the provider reported; else, where it was asked and may charge for it, a marked estimate."""
    tap, ask = exchange.tap, exchange.ask
    if tap is not None:
        exchange.finish, exchange.raw_usage = tap.finish, tap.raw_usage
        if tap.usage.basis == "reported":
            price(exchange, parts, tap.usage)
            return
    begun = tap is not None and tap.opened
    left = exchange.sent and error is not None and error.kind in _WE_LEFT
    cut = exchange.answered and error is not None and error.kind is Kind.UPSTREAM_BROKEN
    if ask is not None and exchange.charged and exchange.usage.basis == "none" and (begun or left or cut):
        price(exchange, parts, _estimate(exchange, ask))


def _estimate(exchange: Exchange, ask: Ask) -> Usage:
    """What was probably used: the beginning of some streams tells the prompt's tokens, else they are guessed as well."""
    tap = exchange.tap
    if tap is None:
        return Usage(input=exchange.asks.estimate_input(ask), basis="estimated")
    if tap.usage.basis == "estimated":
        return msgspec.structs.replace(tap.usage, output=max(tap.usage.output, tap.estimate()))
    return Usage(input=exchange.asks.estimate_input(ask), output=tap.estimate(), basis="estimated")


def _line(  # noqa: PLR0913 - what was worked out once, for two readers
    exchange: Exchange, parts: Parts, outcome: Outcome, status: int, kind: str, duration_us: int, first_byte_us: int
) -> RequestLine:
    ask, target, request = exchange.ask, exchange.target, exchange.request
    return RequestLine(
        ts_ns=parts.clock_ns(),
        request_id=exchange.id,
        key=exchange.principal.name,
        method=request.method,
        path=request.path,
        endpoint=exchange.endpoint,
        model=ask.model if ask is not None else "",
        provider=target.provider.name if target is not None else "",
        target=target.model if target is not None else "",
        status=status,
        outcome=outcome,
        error=kind,
        stream=ask.stream if ask is not None else False,
        duration_us=duration_us,
        first_byte_us=first_byte_us,
        input_tokens=exchange.usage.input,
        output_tokens=exchange.usage.output,
        cost_nano=exchange.cost_nano,
        basis=exchange.usage.basis,
        client=request.client,
        bytes_out=exchange.reply.bytes_out,
        detail=exchange.detail,
    )
