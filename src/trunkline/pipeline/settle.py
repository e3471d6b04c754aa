"""The account of an exchange: ledger, metrics, one log line. Called once for each, however it ended; touches no socket."""

from __future__ import annotations

from typing import cast

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage, total
from trunkline.dialects.dialect import Ask
from trunkline.dialects.told import read_told
from trunkline.ledger.prices import REPORTED
from trunkline.ledger.record import Outcome, Settle
from trunkline.pipeline.estimate import passing_prompt
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

_FAILURE = 500
"""From here on a status is a failure: below, a limit that the operator set was reached."""
_BREAKS = {Kind.UPSTREAM_PROTOCOL, Kind.UPSTREAM_TIMEOUT}
"""Failures that are `upstream_broken` once the client has seen a part of the answer."""
_WE_LEFT = {Kind.CLIENT_GONE, Kind.SHUTTING_DOWN, Kind.UPSTREAM_TIMEOUT}
"""Failures at which we hung up on a provider that may well have been answering, and charging for it."""


def settle(exchange: Exchange, parts: Parts) -> None:
    """Write down what became of `exchange`."""
    error = exchange.error or (exchange.tap.error if exchange.tap is not None else None)
    _take_usage(exchange, parts, error)
    _give_back(exchange, parts)
    if exchange.spent.usage is not NO_USAGE:
        exchange.cost_nano, exchange.reported_nano = exchange.cost(), exchange.reported()
        exchange.usage = total((exchange.spent.usage, exchange.usage))
    if exchange.hold is not None:
        hold, exchange.hold, (tokens, nano) = exchange.hold, None, exchange.paid
        parts.meters.settle(hold, _tokens(exchange.usage) - tokens, (exchange.cost_nano or 0) - nano)
    outcome = _outcome(error, begun=exchange.first_byte > 0)
    status = exchange.reply.status or (error.status if error is not None else 0)
    started = exchange.request.started
    duration_us = int((parts.mono() - started) * 1e6)
    first_byte_us = int((exchange.first_byte - started) * 1e6) if exchange.first_byte else 0
    kind = error.kind.value if error is not None else ""
    if exchange.ticket is not None and exchange.opened is not None:
        priced = exchange.cost_nano is not None and exchange.usage.basis != "none"
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
            price_version=exchange.price_version if priced else "",
            duration_us=duration_us,
            first_byte_us=first_byte_us,
            upstream_id=exchange.upstream_id,
            trail=_shown(exchange, written(exchange)),
            reported_nano=exchange.reported_nano,
        )
        parts.journal.settle(exchange.ticket, record)
    line = _line(exchange, parts, outcome, status, kind, duration_us, first_byte_us)
    parts.metrics.request(line)
    count(exchange, parts.metrics)
    parts.log.request(line)


def failed(exchange: Exchange, parts: Parts, error: GatewayError) -> None:
    """Keep what an attempt used that ended so. It is accounted for then: a second time changes nothing."""
    _take_usage(exchange, parts, error)
    _give_back(exchange, parts)
    if exchange.usage.basis != "none":
        spent = exchange.spent
        exchange.drawn = exchange.usage, exchange.cost_nano
        spent.nano, spent.reported = exchange.cost(), exchange.reported()
        spent.usage = total((spent.usage, exchange.usage))
    exchange.tap, exchange.usage, exchange.cost_nano, exchange.reported_nano = None, NO_USAGE, None, None
    exchange.sent = exchange.answered = exchange.spent.asked = False


def drawn(exchange: Exchange, parts: Parts, error: GatewayError | None) -> tuple[Usage, int | None]:
    """What the attempt that is over used, and what that cost, whether it was kept by then or not."""
    if exchange.drawn is not None:
        return exchange.drawn
    _take_usage(exchange, parts, error)
    return exchange.usage, exchange.cost_nano


def _give_back(exchange: Exchange, parts: Parts) -> None:
    """The attempt's provider has room for another one."""
    if exchange.lent is not None:
        lent, exchange.lent = exchange.lent, None
        parts.meters.settle(lent, _tokens(exchange.usage), 0)


def _tokens(usage: Usage) -> int:
    """As limits count them."""
    return usage.input + usage.output


def owed(exchange: Exchange, error: BaseException | None) -> bool:
    """Whether a provider may charge for an answer that ended so, of which nothing is known. Cancelling is our leaving."""
    if not isinstance(error, GatewayError):
        return exchange.sent and error is not None
    return (exchange.sent and error.kind in _WE_LEFT) or (exchange.answered and error.kind is Kind.UPSTREAM_BROKEN)


def price(exchange: Exchange, parts: Parts, usage: Usage, raw: str) -> None:
    """Put a price on what was used: ours, else what the provider itself says in the text of its usage, `raw`."""
    exchange.usage = usage
    if usage.basis == "none":
        return
    target, told, prices = cast("Target", exchange.target), read_told(raw), parts.live.prices
    exchange.reported_nano = told.cost_nano
    found = prices.find(*target.priced_as, exchange.started_ns)
    if found is not None and found.counts(usage):
        exchange.cost_nano, exchange.price_version = found.cost(usage, told), prices.version(found)
    elif told.cost_nano is not None:
        exchange.cost_nano, exchange.price_version = told.cost_nano, REPORTED


def price_more(exchange: Exchange, parts: Parts, usage: Usage, raw: str) -> int | None:
    """As `price`, for one more answer of the same attempt: prices may hang on a request's length. What this one alone costs."""
    before, cost, reported = exchange.usage, exchange.cost_nano, exchange.reported_nano
    exchange.cost_nano = None
    price(exchange, parts, usage, raw)
    own = exchange.cost_nano
    if before is not NO_USAGE:
        exchange.cost_nano, exchange.reported_nano = _sum(cost, own), _sum(reported, exchange.reported_nano)
    exchange.usage = total((before, usage))
    return own


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _shown(exchange: Exchange, told: str) -> str:
    """A provider's words as the ledger may keep them."""
    return scrub(exchange, told.encode()).decode() if told else ""


def _outcome(error: GatewayError | None, *, begun: bool) -> Outcome:
    if error is None:
        return "ok"
    if begun and error.kind in _BREAKS:
        return "upstream_broken"
    return _OUTCOMES.get(error.kind, "error" if error.fault == "gateway" and error.status >= _FAILURE else "refused")


def _take_usage(exchange: Exchange, parts: Parts, error: GatewayError | None) -> None:
    """What the provider reported; else, where it was asked and may charge for it, a marked estimate."""
    tap, ask = exchange.tap, exchange.ask
    if tap is not None:
        exchange.finish, exchange.raw_usage = tap.finish, tap.raw_usage
        if tap.usage.basis == "reported":
            price(exchange, parts, tap.usage, tap.raw_usage)
            return
    begun = tap is not None and tap.opened
    if ask is not None and exchange.charged and exchange.usage.basis == "none" and (begun or owed(exchange, error)):
        price(exchange, parts, _estimate(exchange, ask), "")


def _estimate(exchange: Exchange, ask: Ask) -> Usage:
    """What was probably used: the beginning of some streams tells the prompt's tokens, else they are guessed as well."""
    tap = exchange.tap
    if tap is not None and tap.usage.basis == "estimated":
        return msgspec.structs.replace(tap.usage, output=max(tap.usage.output, tap.estimate()))
    if exchange.passing is not None and exchange.candidates is not None:
        guessed = passing_prompt(exchange.request, exchange.candidates)
    else:
        guessed = exchange.asks.estimate_input(ask)
    if tap is None:
        return Usage(input=guessed, basis="estimated")
    return Usage(input=guessed, output=tap.estimate(), images=tap.usage.images, basis="estimated")


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
