"""Whether a request may begin. Everything here reads memory; the one write is the ledger's opening."""

from __future__ import annotations

from typing import cast

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines
from trunkline.dialects.dialect import Ask
from trunkline.ledger.record import Open
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.policy.keys import invalid, not_allowed
from trunkline.providers.provider import Target
from trunkline.routing.choose import order
from trunkline.routing.route import Route


def admit(exchange: Exchange, parts: Parts) -> Route:
    """Where to ask. Raises `GatewayError` (400, 401, 403, 404, 503); after it returns, the request is accepted."""
    known(exchange, parts)
    ask = exchange.ask = exchange.asks.read_request(exchange.request.body, exchange.named)
    route = allowed(exchange, ask.model)
    now = parts.mono()
    exchange.candidates = order(route, parts.dice, lambda target: parts.health.of(target).may(now))
    accept(exchange, parts, exchange.candidates[0], route.deadlines)
    return route


def known(exchange: Exchange, parts: Parts) -> None:
    """Whether the key still holds: a body may arrive long after its head was let in. Raises `GatewayError` (401)."""
    if not parts.live.keys.holds(exchange.principal):
        raise invalid()


def allowed(exchange: Exchange, model: str) -> Route:
    """What a model's name means to this caller. Raises `GatewayError` (403, 404)."""
    if not exchange.principal.may_use(model):
        raise not_allowed(model)
    route = exchange.snapshot.route(model)
    if route is None:
        raise GatewayError(
            Kind.NOT_FOUND,
            f"The model {model!r} does not exist here. GET /v1/models lists what this key may use.",
            code="model_not_found",
            param="model",
        )
    return route


def accept(exchange: Exchange, parts: Parts, target: Target, deadlines: Deadlines) -> Target:
    """Open the record of a request that was read, however it was. Raises `GatewayError` (403, 503)."""
    ask = cast("Ask", exchange.ask)
    further = [name for name in target.provider.names_models if name in ask.fields]
    if further and exchange.principal.models is not None:
        raise GatewayError(
            Kind.FORBIDDEN,
            f"This key may use only some models, so it may not name others in the field {further[0]!r}.",
            code="model_not_allowed",
            param=further[0],
        )
    if exchange.snapshot.ledger.required and not parts.journal.can_accept():
        raise GatewayError(
            Kind.LEDGER_UNAVAILABLE,
            "The gateway cannot account for requests at the moment and refuses them. Try again later.",
            retry_after=5.0,
        )
    exchange.deadlines = deadlines
    exchange.target = target
    exchange.tries = 1
    exchange.opened = Open(
        id=exchange.id,
        started_ns=exchange.started_ns,
        key=exchange.principal.name,
        endpoint=exchange.endpoint,
        dialect=exchange.dialect.name,
        model=ask.model,
        provider=target.provider.name,
        target=target.model,
        stream=ask.stream,
    )
    exchange.ticket = parts.journal.open(exchange.opened)
    return target
