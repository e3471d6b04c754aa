"""One request pursued over its route's targets, until one answers or nothing is left to try.

What follows a failure is decided in `routing.retry`, who is next in `routing.choose`; asking one target and carrying its answer
is the caller's `attempt`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.pipeline.admit import Way
from trunkline.pipeline.claim import borrow
from trunkline.pipeline.exchange import Exchange, Filtered, Parts
from trunkline.pipeline.hedge import Hedge, patience
from trunkline.pipeline.relay import deliver
from trunkline.pipeline.settle import drawn, failed
from trunkline.pipeline.use import Step
from trunkline.providers.provider import Target
from trunkline.routing.retry import Retry, Tried, decide

Attempt = Callable[[Exchange, Parts, Target], Awaitable[None]]
"""Asks one target and answers the client with what it says. Raises `GatewayError`."""

_ONCE = Retry(attempts=1)


def once(way: Way) -> Way:
    """The same way for a request that cannot be sent a second time."""
    return way._replace(route=msgspec.structs.replace(way.route, retry=_ONCE))


async def pursue(exchange: Exchange, parts: Parts, way: Way, attempt: Attempt, *, twice: bool = False) -> None:
    """Answer the client from the first target that can. Raises `GatewayError`: the last target's.

    What failed attempts used is in the books too. The route's total deadline is that of all attempts together. An answer that
    a filter emptied is the client's where no other target gives one. `twice`: two targets may be asked at the same time.
    """
    at, rounds = way.first, 0
    withheld: tuple[Exchange, Filtered] | None = None
    after = patience(exchange, way, at) if twice else None
    while True:
        if after is None:
            error = await _try(exchange, parts, way, at, attempt)
        else:
            error = await Hedge(exchange, parts, way, lambda one, at: _try(one, parts, way, at, attempt)).run(at, after)
        if error is None:
            return
        if isinstance(error, Filtered):
            failed(exchange, parts, error)
            withheld = copy.copy(exchange), error
        following, rounds = await _next(exchange, parts, way, error, rounds)
        if following is None:
            break
        failed(exchange, parts, error)
        at, after = following, None
        deadlines = msgspec.structs.replace(way.route.deadlines, total=_left(exchange, parts, way))
        exchange.turn_to(way.candidates.course.everyone[at], deadlines)
    if withheld is None or exchange.reply.started:
        try:
            raise error
        finally:
            del error  # its traceback knows this frame: a circle otherwise
    failed(exchange, parts, error)
    _show(exchange, parts, *withheld)


def _show(exchange: Exchange, parts: Parts, then: Exchange, filtered: Filtered) -> None:
    """The answer that was held back, as everything was then, but for what was done since."""
    then.tries, then.passed = exchange.tries, exchange.passed
    exchange.become(then)
    deliver(exchange, parts, filtered.answered)


async def _try(exchange: Exchange, parts: Parts, way: Way, at: int, attempt: Attempt) -> GatewayError | None:
    """Ask one target; the error, where it did not answer."""
    candidates = way.candidates
    target, standing = candidates.course.everyone[at], candidates.course.standings[at]
    candidates.tried(at)
    if target.provider.limits.rules and (full := await borrow(exchange, parts, target, candidates)) is not None:
        return full
    begun = parts.mono()
    parts.standings.asked(standing, candidates.tokens, begun)
    exchange.standing = standing
    error: GatewayError | None = None
    try:
        await attempt(exchange, parts, target)
    except GatewayError as raised:
        error = raised.with_traceback(None)  # which knows this frame: a circle otherwise
    except BaseException as raised:
        now = parts.mono()
        standing.left(begun, now, _first_token(exchange, begun))
        why = _why(exchange, raised)
        exchange.trail.append(_step(exchange, parts, (target, begun, now), why, _stopped(exchange, raised)))
        raise
    finally:
        standing.busy -= 1
    now = parts.mono()
    told = error or (exchange.tap.error if exchange.tap is not None else None)  # an error inside a stream that went on
    if told is None or isinstance(told, Filtered):
        standing.succeeded(begun, now, _first_token(exchange, begun), timed=exchange.passing is None)
    else:
        standing.failed(begun, now, told)
        candidates.failed(at, told)
    word = "" if told is None else "filtered" if isinstance(told, Filtered) else told.kind.value
    exchange.trail.append(_step(exchange, parts, (target, begun, now), word, told))
    return error


async def _next(exchange: Exchange, parts: Parts, way: Way, error: GatewayError, rounds: int) -> tuple[int | None, int]:
    """Whom to ask after `error`, and how often all were gone through by then; None where nobody is to be asked."""
    if exchange.reply.gone:
        return None, rounds
    candidates = way.candidates
    now, dice = parts.mono(), parts.dice()
    following = candidates.next(now, dice)
    left = _left(exchange, parts, way)
    tried = Tried(exchange.tries, rounds, others=following is not None, shown=exchange.reply.started, left=left)
    then = decide(error, tried, way.route.retry, dice)
    if then.what == "stop":
        return None, rounds
    if then.what == "again":
        following = None
        candidates.anew()
        if any(standing.budget.may() for standing in candidates.course.standings):
            failed(exchange, parts, error)  # now: the client may leave while we wait
            await asyncio.sleep(then.wait)
            now, rounds = parts.mono(), rounds + 1
            following = _affordable(way, now, dice) if _left(exchange, parts, way) > 0 else None
    if following is not None:
        exchange.passed += tuple(candidates.passed_over(following, now, dice))
    return following, rounds


def _affordable(way: Way, now: float, dice: float) -> int | None:
    """Whom to ask once more: the first choice of those whose budget of second tries is not used up."""
    candidates = way.candidates
    while (at := candidates.next(now, dice)) is not None:
        budget = candidates.course.standings[at].budget
        if budget.may():
            budget.spend()
            return at
        candidates.tried(at)
    return None


def _left(exchange: Exchange, parts: Parts, way: Way) -> float:
    """Seconds until the request must be over."""
    return way.route.deadlines.total - (parts.mono() - exchange.request.started)


def _first_token(exchange: Exchange, begun: float) -> float | None:
    """Seconds to a stream's first token. A session or a recording has none: it is as long as it is."""
    streams = exchange.tap is not None and exchange.passing is None and exchange.first_byte >= begun
    return exchange.first_byte - begun if streams else None


def _why(exchange: Exchange, stopped: BaseException) -> str:
    """In a word, why an attempt was not brought to its end."""
    if isinstance(stopped, Exception):
        return Kind.INTERNAL.value
    if exchange.race is not None and exchange.race.winner not in {None, exchange}:
        return "outrun"
    return (Kind.CLIENT_GONE if exchange.reply.gone else Kind.SHUTTING_DOWN).value


def _stopped(exchange: Exchange, by: BaseException) -> GatewayError | None:
    """As an error of ours, what ended an attempt from outside; None where it was a fault."""
    if isinstance(by, Exception):
        return None
    return GatewayError(Kind.CLIENT_GONE if exchange.reply.gone else Kind.SHUTTING_DOWN, "")


def _step(exchange: Exchange, parts: Parts, asked: tuple[Target, float, float], word: str, error: GatewayError | None) -> Step:
    """`asked`: who, from when to when."""
    target, begun, now = asked
    usage, nano = NO_USAGE, None
    if word or exchange.trail or exchange.race is not None or exchange.rules or exchange.passed:  # else nobody will read it
        usage, nano = drawn(exchange, parts, error)
    return Step(
        provider=target.provider.name,
        model=target.model,
        began_ms=round((begun - exchange.request.started) * 1000),
        took_ms=round((now - begun) * 1000),
        error=word,
        status=0 if error is None or error.upstream is None else error.upstream.status,
        seat=target.provider.seat,
        hedged=exchange.hedged,
        input=usage.input,
        output=usage.output,
        nano=nano,
    )
