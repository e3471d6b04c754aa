"""Whether a request may begin. Everything here reads memory; the one write is the ledger's opening."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple, cast

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.dialect import Ask
from trunkline.ledger.record import Open
from trunkline.pipeline.claim import claim, held_back
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.traits import place, traits
from trunkline.policy.keys import invalid, not_allowed, not_to_them
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.route import Route
from trunkline.routing.traits import follow

_SOON = 5.0
"""Seconds after which a client may ask again for whom everybody rests: a few requests a second are let through meanwhile."""


class Way(NamedTuple):
    """Where a request goes."""

    route: Route
    """After its rules were followed."""
    candidates: Candidates
    first: int
    """Whom to ask first, as a place in `candidates.course.everyone`."""


async def admit(exchange: Exchange, parts: Parts) -> Way:
    """Where to ask. Raises `GatewayError` (400, 401, 402, 403, 404, 429, 503); after it returns, the request is accepted."""
    known(exchange, parts)
    exchange.ask = exchange.asks.read_request(exchange.request.body, exchange.named)
    return await accept(exchange, parts, find_way(exchange, parts, allowed(exchange, exchange.ask.model)))


def find_way(exchange: Exchange, parts: Parts, asked: Route) -> Way:
    """The target to ask first, by what the request holds and how all of them are doing.

    Raises `GatewayError` (503) where each is ill and has been asked enough for now, (429) where limits of ours hold one back.
    """
    told = traits(exchange, asked)
    route, exchange.rules = follow(asked, told)
    course, kept = parts.standings.along(route), place(exchange, route.affinity)
    return begin(exchange, parts, route, Candidates(course, told, kept, exchange.principal.providers))


def begin(exchange: Exchange, parts: Parts, route: Route, candidates: Candidates) -> Way:
    """The way that begins with the best of the candidates. Raises `GatewayError` (429, 503) as `find_way` does, and 403 where
    the key may use none of their providers.
    """
    if not candidates.may:
        raise not_to_them(cast("Ask", exchange.ask).model)
    now, dice = parts.mono(), parts.dice()
    exchange.candidates = candidates
    first = candidates.next(now, dice)
    if first is None:
        if (full := held_back(exchange, parts, candidates)) is not None:
            raise full
        asked = cast("Ask", exchange.ask).model
        raise GatewayError(
            Kind.OVERLOADED,
            f"Every provider of the model {asked[:200]!r} failed of late and is left alone for a while. Try again later.",
            retry_after=float(ceil(min(candidates.rests(now), _SOON))),
            code="providers_resting",
        )
    exchange.passed = tuple(candidates.passed_over(first, now, dice))
    return Way(route, candidates, first)


def known(exchange: Exchange, parts: Parts) -> None:
    """Whether the key still holds: a body may arrive long after its head was let in. Raises `GatewayError` (401)."""
    live, principal = parts.live, exchange.principal
    now_ns = 0 if principal.expires_ns is None else parts.clock_ns()
    if live.keys.holds(principal, now_ns) or (live.tokens is not None and live.tokens.holds(principal)):
        return
    raise invalid()


def allowed(exchange: Exchange, model: str) -> Route:
    """What a model's name means to this caller. Raises `GatewayError` (403, 404)."""
    meant = exchange.principal.meant(model)
    route = exchange.snapshot.route(meant)
    if not exchange.principal.may_use(meant, route.entry if route is not None else ""):
        raise not_allowed(model)
    if route is None:
        raise GatewayError(
            Kind.NOT_FOUND,
            f"The model {model!r} does not exist here. GET /v1/models lists what this key may use.",
            code="model_not_found",
            param="model",
        )
    return route


async def accept(exchange: Exchange, parts: Parts, way: Way) -> Way:
    """Open the record of a request that was read, however it was. Raises `GatewayError` (402, 403, 429, 503)."""
    ask, everyone = cast("Ask", exchange.ask), way.candidates.course.everyone
    target = everyone[way.first]
    if exchange.principal.models is not None and (further := _further(ask, [everyone[at] for at in way.candidates.may])):
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
    await claim(exchange, parts, way.route, way.candidates)
    exchange.deadlines = way.route.deadlines
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
        user=exchange.principal.user,
        team=exchange.principal.team,
        organisation=exchange.principal.organisation,
        tags=exchange.principal.label,
    )
    exchange.ticket = parts.journal.open(exchange.opened)
    return way


def _further(ask: Ask, everyone: Sequence[Target]) -> list[str]:
    """Fields that name further models to one of those who may be asked, be it the last."""
    return [name for target in everyone for name in target.provider.names_models if name in ask.fields]
