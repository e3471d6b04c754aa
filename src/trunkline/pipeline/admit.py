"""Whether a request may begin. Everything here reads memory; the one write is the ledger's opening."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.ledger.record import Open
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.policy.keys import invalid, not_allowed
from trunkline.providers.provider import Target


def admit(exchange: Exchange, parts: Parts) -> Target:
    """The target to ask. Raises `GatewayError` (400, 401, 403, 404, 503); after it returns, the request is accepted."""
    if not parts.live.keys.holds(exchange.principal):
        raise invalid()
    ask = exchange.ask = exchange.dialect.read_request(exchange.request.body, exchange.named)
    principal, snapshot = exchange.principal, exchange.snapshot
    if not principal.may_use(ask.model):
        raise not_allowed(ask.model)
    route = snapshot.route(ask.model)
    if route is None:
        raise GatewayError(
            Kind.NOT_FOUND,
            f"The model {ask.model!r} does not exist here. GET /v1/models lists what this key may use.",
            code="model_not_found",
            param="model",
        )
    if snapshot.ledger.required and not parts.journal.can_accept():
        raise GatewayError(
            Kind.LEDGER_UNAVAILABLE,
            "The gateway cannot account for requests at the moment and refuses them. Try again later.",
            retry_after=5.0,
        )
    exchange.deadlines = route.deadlines
    target = exchange.target = route.targets[0]
    exchange.opened = Open(
        id=exchange.id,
        started_ns=exchange.started_ns,
        key=principal.name,
        endpoint=exchange.endpoint,
        dialect=exchange.dialect.name,
        model=ask.model,
        provider=target.provider.name,
        target=target.model,
        stream=ask.stream,
    )
    exchange.ticket = parts.journal.open(exchange.opened)
    return target
