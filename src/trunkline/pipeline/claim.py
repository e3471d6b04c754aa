"""What a request takes of the meters: of its key's and its model's before it begins, of a provider's before it is asked there.

How much that is belongs in `estimate`, what counts in `meters`, what a refusal says in `policy.limits`; what was really used is
settled in `settle`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from weakref import WeakKeyDictionary

from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Ask
from trunkline.meters.meter import Claim, Hold, Meters, Refused
from trunkline.meters.rule import Rules
from trunkline.pipeline.estimate import estimate, next_answer
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.policy.limits import full, refusal, unpriced
from trunkline.policy.prices import may_ask
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.route import Route
from trunkline.routing.standing import Gate

_PROVIDER = "provider"

_going_on: WeakKeyDictionary[Rules, Rules] = WeakKeyDictionary()
"""Of sets of rules, those that count on while a request goes on."""


async def claim(exchange: Exchange, parts: Parts, route: Route, candidates: Candidates) -> None:
    """Reserve what the request may use. Raises `GatewayError` (402, 403, 429, 503). Costs nothing where there is no limit."""
    ledger, rules = exchange.snapshot.ledger, under(exchange, route)
    if not rules and ledger.unknown_price != "refuse":
        return
    most = estimate(exchange, parts, candidates)
    if most.unpriced:
        hard = any(one.has_hard_budget for one in rules)
        if not may_ask(ledger.unknown_price, known=False, hard_budget=hard):
            _told(exchange, parts, "unpriced", most.unpriced)
            raise unpriced(most.unpriced, budget=hard)
    if not rules:
        return
    got = await parts.meters.reserve(Claim(rules, most.tokens, most.nano, exchange.started_ns))
    exchange.rooms = got.requests, got.tokens
    if isinstance(got, Refused):
        _refused(exchange, parts, got)
        raise refusal(got, most.tokens, most.nano, ledger.budget_status)
    exchange.hold = got


async def claim_more(exchange: Exchange, parts: Parts, candidates: Candidates, so_far: int) -> Hold | None:
    """Reserve what the next answer of a session uses, whose conversation has `so_far` tokens: tokens and money alone, of the
    windows in which it began. None where nothing is counted. Raises `GatewayError` as `claim` does.
    """
    rules = tuple(one for held in under(exchange, candidates.course.route) if (one := _lasting(held)).rules)
    if not rules:
        return None
    tokens, nano, _ = next_answer(exchange, parts, candidates, so_far)
    got = await parts.meters.reserve(Claim(rules, tokens, nano, exchange.started_ns))
    if isinstance(got, Refused):
        _refused(exchange, parts, got)
        raise refusal(got, tokens, nano, exchange.snapshot.ledger.budget_status)
    return got


async def borrow(exchange: Exchange, parts: Parts, target: Target, candidates: Candidates) -> GatewayError | None:
    """Reserve what an attempt takes of its provider's own limits; the error where they are reached."""
    tokens = estimate(exchange, parts, candidates).tokens
    got = await parts.meters.reserve(Claim((target.provider.limits,), tokens, 0, exchange.started_ns))
    if isinstance(got, Refused):
        _told(exchange, parts, _PROVIDER, got.rule.ident)
        return full(got.rule.holder, got.retry_after)
    exchange.lent = got
    return None


def held_back(exchange: Exchange, parts: Parts, candidates: Candidates) -> GatewayError | None:
    """The error where nobody may be asked, since limits of the operator's own hold back who else would be."""
    held = candidates.held()
    if held is None:
        return None
    name = f"{_PROVIDER}:{held[0].provider.name}"
    _told(exchange, parts, _PROVIDER, name)
    return full(name, held[1])


def gates(meters: Meters) -> Callable[[Target], Gate | None]:
    """What tells routing how long the limits of a target's provider hold requests back; None where it has none."""

    def gate(target: Target) -> Gate | None:
        rules = target.provider.limits
        return (lambda tokens: meters.wait(rules, tokens)) if rules.rules else None

    return gate


def under(exchange: Exchange, route: Route) -> tuple[Rules, ...]:
    """All that it is under, its providers' aside: its key's, and those of its model and of whoever sent it on to that."""
    own, models = exchange.principal.rules, route.limits
    if not exchange.rules:
        if own.rules:
            return (own, models) if models.rules else (own,)
        return (models,) if models.rules else ()
    passed = exchange.snapshot.route(exchange.principal.meant(cast("Ask", exchange.ask).model))
    found = [own, models]
    for number in exchange.rules:
        passed = cast("Route", passed)
        found.append(passed.limits)
        passed = passed.rules[number - 1].use
    return tuple(one for one in found if one.rules)


def _lasting(rules: Rules) -> Rules:
    found = _going_on.get(rules)
    if found is None:
        found = _going_on[rules] = Rules(tuple(rule for rule in rules.rules if rule.what in {"tokens", "money"}))
    return found


def _reason(refused: Refused) -> str:
    if refused.rule.what != "money":
        return refused.rule.what
    return "budget_unknown" if refused.unknown else "budget_reserved" if refused.reserved else "budget"


def _refused(exchange: Exchange, parts: Parts, refused: Refused) -> None:
    reason = _reason(refused)
    _told(exchange, parts, reason, refused.rule.ident)
    # not where the request alone is dearer than all of the budget: that says nothing of what is left
    if reason == "budget" and (refused.retry_after is not None or refused.rule.period == "total"):
        parts.exceeded(refused.rule, exchange.started_ns)


def _told(exchange: Exchange, parts: Parts, reason: str, what: str) -> None:
    """For the metrics, and for the log's line of this request."""
    parts.metrics.refused[reason] = parts.metrics.refused.get(reason, 0) + 1
    exchange.detail = what
