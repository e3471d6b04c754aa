"""Why a request would go where: everything that is decided on its way, told by the code that decides it.

For the command line, and for an admin API. How far the real way is gone is in `rehearsal`, what is told in `explanation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import cast

import msgspec

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import Usage
from trunkline.canon.wire import WireRequest
from trunkline.config.providers import TELLS
from trunkline.dialects import glimpse
from trunkline.dialects.dialect import Ask
from trunkline.dialects.families import Passing
from trunkline.dialects.forms import is_form
from trunkline.dialects.tasks import TASKS
from trunkline.edge.client import head_of
from trunkline.edge.request import Request
from trunkline.ledger.prices import Prices
from trunkline.meters.windows import window
from trunkline.pipeline.claim import under
from trunkline.pipeline.estimate import estimate
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.explanation import (
    CandidateTold,
    Carried,
    Cost,
    Explanation,
    KeyTold,
    LimitTold,
    Refused,
    Reserved,
    RouteTold,
    RuleTold,
    Seen,
    Sent,
)
from trunkline.pipeline.prepare import passes
from trunkline.pipeline.rehearsal import Question, Rehearsal, Scene, rehearse, shown
from trunkline.pipeline.several import several
from trunkline.pipeline.traits import traits
from trunkline.policy.keys import Principal
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.condition import condition
from trunkline.routing.families import speech
from trunkline.routing.route import Route, Trait, When
from trunkline.routing.speech import choose, choose_for
from trunkline.routing.standing import Standing

_EVERYTHING: frozenset[Trait] = frozenset({"media", "tools", "schema", "size"})
_HIDDEN = "***"
_FORMS = frozenset({"Bearer", "Basic", "AWS4-HMAC-SHA256"})
_USUAL = {("https", 443), ("http", 80)}
_STREAMED = "(a form, passed on while it arrives, with the provider's name for the model)"

Hide = Callable[[str], str]
"""Takes the credentials out of a text."""


async def explain_request(scene: Scene, question: Question) -> Explanation:
    """What would become of a request. Never raises for what a client did wrong: that is in `refused`."""
    dice = scene.dice()
    scene = replace(scene, dice=lambda: dice)  # one throw, so that all that is told of it agrees
    came = await rehearse(scene, question)
    exchange, error = came.exchange, came.error
    route = _meant(exchange)
    seen = _seen(exchange, route)
    hide = _hider(exchange)
    return Explanation(
        endpoint=exchange.endpoint,
        key=_key(question.principal),
        route=_route(exchange, route),
        seen=seen,
        candidates=tuple(_candidates(scene, exchange.candidates)),
        carried=_carried(came, question),
        cost=_cost(scene.prices, exchange, seen),
        limits=(limits := tuple(_limits(came))),
        reserved=_reserved(came) if limits else None,
        sent=None if came.sent is None else _sent(came.sent, came.fetched, hide),
        refused=None if error is None else Refused(error.status, error.kind.value, hide(_written(exchange, error))),
        notes=tuple(_notes(scene, came, question)),
    )


def as_request(path: str, headers: Mapping[bytes, bytes], body: bytes, passing: Passing | None, now: float) -> Request:
    """A request as the edge would hand it over. `headers`: names in lower case; `now`: the monotonic clock."""
    request = Request("127.0.0.1", now)
    request.path, _, query = path.partition("?")
    request.query = query.encode("ascii", "replace")
    request.method, request.version = "POST" if passing is None else passing.method, "1.1"
    request.headers, request.length = dict(headers), len(body)
    if passing is not None and passing.family == "realtime":
        request.websocket = b"rehearsed"
    if passing is not None and passing.form and is_form(request.headers.get(b"content-type", b"")):
        request.stream = _Held(body)
    else:
        request.body = body
    return request


class _Held:
    """A body that is here already, as one that arrives."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length: int | None = len(body)

    async def pump(self, sink: Callable[[bytes], None]) -> None:
        """All of it."""
        sink(self._body)

    def pause(self) -> None:
        """It has been brought."""

    def resume(self) -> None:
        """It has been brought."""


# who asks, for what ---------------------------------------------------------------------------------------------------


def _key(principal: Principal) -> KeyTold:
    models = None if principal.models is None else tuple(sorted(principal.models))
    return KeyTold(principal.name, tuple(sorted(principal.tags)), principal.priority, models)


def _meant(exchange: Exchange) -> Route | None:
    if exchange.ask is None or not exchange.ask.model:
        return None
    return exchange.snapshot.route(exchange.principal.meant(exchange.ask.model))


def _route(exchange: Exchange, route: Route | None) -> RouteTold | None:
    if exchange.ask is None or not exchange.ask.model:
        return None
    asked, principal = exchange.ask.model, exchange.principal
    meant = principal.meant(asked)
    if route is None:
        return RouteTold(asked, meant, "", "", principal.may_use(meant), "", "", 0, 0.0)
    final = route if exchange.candidates is None else exchange.candidates.course.route
    return RouteTold(
        asked=asked,
        meant=meant,
        name=final.name,
        entry=final.entry or final.name,
        allowed=principal.may_use(meant, route.entry),
        strategy=final.strategy,
        affinity=final.affinity,
        attempts=final.retry.attempts,
        total=final.deadlines.total,
        rules=() if exchange.candidates is None else tuple(_rules(route, exchange.rules)),
    )


def _rules(route: Route, followed: tuple[int, ...]) -> Iterator[RuleTold]:
    """The rules in the order in which they were looked at: of each route up to the one that was followed, of the last all."""
    for last in (*followed, None):
        for number, rule in enumerate(route.rules[:last], 1):
            yield RuleTold(route.name, number, words(rule.when), number == last, rule.use.name)
        if last is not None:
            route = route.rules[last - 1].use


def words(when: When) -> str:
    """What a rule asks for, for people."""
    said = [
        f"{'' if asked else 'no '}{what}"
        for asked, what in ((when.images, "images"), (when.tools, "tools"), (when.stream, "stream"))
        if asked is not None
    ]
    if when.tokens_over is not None:
        said.append(f"over {when.tokens_over} tokens")
    if when.tokens_under is not None:
        said.append(f"under {when.tokens_under} tokens")
    if when.tags:
        said.append(f"a key tagged {' or '.join(sorted(when.tags))}")
    said += [f"header {name.decode()} like {pattern.pattern.decode()[4:-3]}" for name, pattern in when.headers]  # in (?s:…)\\Z
    return ", ".join(said) or "always"


def _seen(exchange: Exchange, route: Route | None) -> Seen | None:
    """All of it, also what the route does not look for."""
    ask = exchange.ask
    if ask is None or route is None or exchange.passing:
        return None
    told = traits(exchange, msgspec.structs.replace(route, looks=_EVERYTHING))
    output = told.output or glimpse.size(ask, exchange.dialect.name).output
    return Seen(exchange.asks.estimate_input(ask), output, tuple(sorted(told.media)), told.tools, told.schema, told.stream)


# where it would go ----------------------------------------------------------------------------------------------------


def _candidates(scene: Scene, candidates: Candidates | None) -> Iterator[CandidateTold]:
    """In the order in which they would be asked if all failed."""
    if candidates is None:
        return
    now, order = scene.mono(), list[int]()
    candidates.anew()
    verdicts = list(candidates.verdicts(now))
    while (at := candidates.next(now, scene.dice())) is not None:
        candidates.tried(at)
        order.append(at)
    rest = [at for at in range(len(verdicts)) if at not in order]
    for number, at in enumerate((*order, *rest), 1):
        target, standing, reason = verdicts[at]
        row = _candidate(target, standing, now, place=number if number <= len(order) else None)
        yield msgspec.structs.replace(row, reason=reason, fallback=at >= candidates.course.first)


def _candidate(target: Target, standing: Standing, now: float, *, place: int | None) -> CandidateTold:
    provider = target.provider
    return CandidateTold(provider.name, target.model, provider.seat + 1, target.weight, place, condition(standing, now))


# how it would go there ------------------------------------------------------------------------------------------------


def _carried(came: Rehearsal, question: Question) -> Carried | None:
    exchange = came.exchange
    if exchange.target is None or (came.error is not None and came.sent is None):
        return None
    client, spoken = exchange.dialect.name, _spoken(exchange, question, exchange.target)
    vain = exchange.trail[: exchange.tries - 1]
    return Carried(
        way="bytes" if _passes(exchange, spoken) else "translated",
        client=client,
        provider=spoken,
        dropped=exchange.dropped,
        fetched=came.fetched,
        refused=tuple(f"{step.provider}/{step.model}: {step.error}" for step in vain),
    )


def _spoken(exchange: Exchange, question: Question, target: Target) -> str:
    """The dialect in which the target is spoken to."""
    if exchange.passage is not None:
        return exchange.passage.dialect.name
    if exchange.passing:
        return speech(target.provider)
    family = TASKS.get(question.job)
    return choose(target, exchange.dialect.name) if family is None else choose_for(family, target, exchange.dialect.name)


def _passes(exchange: Exchange, spoken: str) -> bool:
    """The answer reaches the client as it is."""
    if exchange.passage is not None:
        return exchange.passage.shallow
    if exchange.passing:
        return True
    same = spoken == exchange.dialect.name and exchange.asks is exchange.dialect
    return same and passes(exchange, cast("Ask", exchange.ask), cast("Target", exchange.target))


def _cost(prices: Prices, exchange: Exchange, seen: Seen | None) -> Cost | None:
    """By the list, for what is chosen; a failed try may cost besides."""
    target = exchange.target
    if seen is None or target is None:
        return None
    price = prices.find(*target.priced_as, exchange.started_ns)
    if price is None:
        return None
    if not exchange.charged:
        return Cost(seen.tokens, 0, 0, 0)

    def cost(output: int) -> int:
        return price.cost(Usage(input=seen.tokens, output=output, basis="estimated"))

    return Cost(seen.tokens, cost(0), seen.output, cost(seen.output) if seen.output else None)


def _limits(came: Rehearsal) -> Iterator[LimitTold]:
    """All that it is under: its key's with those of its holders, its model's, and those of whom it would go to."""
    exchange = came.exchange
    held = [exchange.principal.rules]
    if exchange.candidates is not None:
        held = [*under(exchange, exchange.candidates.course.route)]
    if exchange.target is not None:
        held.append(exchange.target.provider.limits)
    for rule in (rule for rules in held for rule in rules.rules):
        begin = window(rule.period, rule.zone, exchange.started_ns).begin if rule.what == "money" else None
        purse = None if begin is None else came.books.purses.get((rule.ident, begin))
        period, zone = (None, "") if begin is None else (rule.period, rule.zone)
        spent = None if purse is None else purse.spent
        yield LimitTold(rule.holder, rule.what, rule.amount, period, zone, rule.hard, spent)


def _reserved(came: Rehearsal) -> Reserved | None:
    if came.exchange.candidates is None:
        return None
    return Reserved(*estimate(came.exchange, came.parts, came.exchange.candidates))


def _sent(request: WireRequest, fetched: tuple[str, ...], hide: Hide) -> Sent:
    """Byte for byte, but for what is hidden and what would be fetched."""
    origin, proxy = request.origin, request.origin.proxy
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    port = "" if (origin.scheme, origin.port) in _USUAL else f":{origin.port}"
    lines = head_of(request).decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(": ") for line in lines if line)
    body = shown(request.body, fetched).decode("utf-8", "replace") if isinstance(request.body, bytes) else _STREAMED
    return Sent(
        method=request.method,
        url=hide(f"{origin.scheme}://{host}{port}{request.path}"),
        proxy="" if proxy is None else f"{proxy.host}:{proxy.port}",
        headers=tuple((name, _hidden(value) if TELLS.search(name.lower()) else hide(value)) for name, _, value in pairs),
        body=hide(body),
    )


def _hidden(value: str) -> str:
    """A credential's header: the word that names its form is no secret."""
    form = value.partition(" ")[0]
    return f"{form} {_HIDDEN}" if form in _FORMS else _HIDDEN


def _hider(exchange: Exchange) -> Hide:
    secrets = [secret.decode("latin-1") for secret in exchange.snapshot.secrets()]

    def hide(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    return hide


def _written(exchange: Exchange, error: GatewayError) -> str:
    return exchange.dialect.write_error(error).decode("utf-8", "replace")


def _notes(scene: Scene, came: Rehearsal, question: Question) -> Iterator[str]:
    """What would happen besides, or is not known here."""
    target = came.exchange.target
    if scene.standings is None:
        yield "No running gateway was asked how the targets are doing: all are taken to be well."
    if scene.standings is None and any(rule.what != "money" for rule in question.principal.rules.rules):
        yield "What runs elsewhere is not known here: of limits on requests, tokens and concurrency all is taken to be left."
    if came.sent is None and came.error is None:
        yield "The gateway answers by itself; nothing is sent."
    if came.sent is None or target is None:
        return
    if target.provider.credential is not None:
        yield "The credential is made when the request is sent: it is signed with keys, or carries a token that is asked for."
    if question.job == "chat" and (asks := several(came.exchange, target)):
        yield f"It becomes {len(asks)} requests, one after the other; the first is shown."
