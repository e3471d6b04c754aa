"""What a request may use and cost at most, told before it is asked: what of limits and budgets is reserved for it.

Money is bounded from above: two tokens for every four bytes and what providers put before a prompt, the longest answer that
the client, else the model, else the configuration allows, each at the dearest rate of the dearest target that may be asked.
Tokens a minute are the best guess: one that is too low is made good by waiting a little longer, one that is too high refuses
who should not be. What a provider itself fetches and reads (its web search, an MCP server's tools) nobody knows before.
Reserving belongs in `claim`, what was really used in `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from trunkline.dialects import glimpse
from trunkline.dialects.dialect import Ask
from trunkline.dialects.glimpse import Size
from trunkline.edge.request import Request
from trunkline.ledger.price import WHOLE, Period
from trunkline.ledger.prices import Prices
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.use import Estimate
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.course import Course
from trunkline.routing.speech import RESPONSES, choose

HIDDEN = 1024
"""Tokens of a prompt that no client wrote: up to some 700 where a provider explains tools, forms or itself to its model, as the
recordings of `tests/conformance` show; a picture that is named by URL costs about as much."""
PICTURE = 6240
"""Tokens of one picture made: the largest of gpt-image-1 in its best quality (OpenAI's guide to image generation)."""
_PER_KIB = 8
"""Tokens for each KiB of an uploaded recording: ten a second (OpenAI's transcriptions) at 10 kbit/s."""
_KIB = 1024
_UNTOLD = 25 * 1024 * 1024
"""Bytes of an upload that does not say how long it is: as many as OpenAI takes for a recording."""
PICTURES = frozenset({"image_edits", "image_variations"})
"""Families of what only passes whose answers hold pictures."""
_MILLION = 1_000_000
_HELD_NS = 60_000_000_000
"""For how long a course's terms hold, before and after: some prices change with the hour."""
_MOST_TERMS = 64
"""Keys limited to some providers have terms of their own; more kinds of such keys than these take turns."""


NOTHING = Estimate(0, 0)
_NO_ANSWER = Size(0, 0, 0)


class Row(NamedTuple):
    """What may be asked of one target, or of several alike. Nano-dollars per million."""

    above: int
    """Holds for prompts of more than so many tokens; 0: for all."""
    request: int
    input: int
    output: int
    picture: int
    most: int | None
    """Tokens an answer may have; None where that is not known."""


class Terms(NamedTuple):
    """What holds for all requests of a course, as far as one key may go there."""

    at_ns: int
    """When the request began for which they were made, nanoseconds since the epoch."""
    prices: Prices
    rows: tuple[Row, ...]
    unpriced: str
    most: int | None
    """The longest answer that any of them gives; None where one of them names no bound."""


def estimate(exchange: Exchange, parts: Parts, candidates: Candidates) -> Estimate:
    """Worked out once for each request."""
    if exchange.most is None:
        exchange.most = _estimate(exchange, parts, candidates)
    return exchange.most


def _estimate(exchange: Exchange, parts: Parts, candidates: Candidates) -> Estimate:
    job, guessed = exchange.job, candidates.tokens
    if job == "count":
        return NOTHING
    if job == "pass":
        return _passing(exchange, parts, candidates)
    terms = _terms(exchange, parts, candidates.course)
    if job == "realtime":  # answer by answer
        return Estimate(0, 0, terms.unpriced)
    pictures, reserve = 0, exchange.snapshot.ledger.reserve_output
    if job == "embed":
        tokens, nano = guessed, _dearest(terms.rows, 2 * guessed, _NO_ANSWER, 0)
    else:
        told = glimpse.size(cast("Ask", exchange.ask), exchange.dialect.name)
        if job == "image":
            pictures, told = told.answers, Size(PICTURE, 0, told.answers)
        nano = _dearest(terms.rows, 2 * guessed + HIDDEN, told, reserve, pictures)
        longest, most = told.output or reserve + told.thinking, terms.most
        tokens = guessed + (longest if most is None or longest < most else most) * told.answers
    unpriced = terms.unpriced or ("background" in cast("Ask", exchange.ask).fields and _later(exchange, candidates)) or ""
    if candidates.course.route.hedge is not None and job != "image":
        return Estimate(2 * tokens, 2 * nano, unpriced)
    return Estimate(tokens, nano, unpriced)


def _later(exchange: Exchange, candidates: Candidates) -> str:
    """A target that would answer in the background: its client fetches what was made when this request is long over."""
    name, wanted = exchange.dialect.name, bytes(cast("Ask", exchange.ask).fields["background"])
    if exchange.job != "chat" or wanted in {b"false", b"null"}:
        return ""
    everyone = (candidates.course.everyone[at] for at in candidates.may)
    return next((_name(one) for one in everyone if name == RESPONSES == choose(one, name)), "")


def next_answer(exchange: Exchange, parts: Parts, candidates: Candidates, so_far: int) -> Estimate:
    """Of a session's next answer, which is charged for all `so_far` tokens of the conversation again."""
    terms, reserve = _terms(exchange, parts, candidates.course), exchange.snapshot.ledger.reserve_output
    return Estimate(so_far + reserve, _dearest(terms.rows, so_far + HIDDEN, Size(reserve, 0, 1), reserve))


def _passing(exchange: Exchange, parts: Parts, candidates: Candidates) -> Estimate:
    """Of what only passes. What costs nothing needs no price; what costs something that no answer tells has none."""
    passing, request = exchange.passing, exchange.request
    terms = _terms(exchange, parts, candidates.course)
    paid = "" if passing is None else passing.paid
    if not terms.unpriced and not any(map(_costs, terms.rows)):
        paid = ""
    elif paid == "untold":
        return Estimate(0, 0, _name(candidates.course.everyone[0]))
    if not paid and terms.unpriced:
        return NOTHING
    guessed = passing_prompt(request, candidates)
    drawn = passing is not None and passing.family in PICTURES
    pictures = glimpse.size(cast("Ask", exchange.ask), exchange.dialect.name).answers if drawn else 0
    told = Size(PICTURE if drawn else exchange.snapshot.ledger.reserve_output, 0, pictures or 1) if paid else _NO_ANSWER
    nano = _dearest(terms.rows, 2 * guessed + (HIDDEN if paid else 0), told, 0, pictures)
    return Estimate(guessed + told.output * told.answers, nano, terms.unpriced)


def passing_prompt(request: Request, candidates: Candidates) -> int:
    """Tokens of the question of what only passes."""
    if request.stream is None:
        return candidates.tokens
    return (_UNTOLD if request.length is None else request.length) // _KIB * _PER_KIB + HIDDEN


def _costs(row: Row) -> bool:
    return any((row.request, row.input, row.output, row.picture))


def _dearest(rows: Iterable[Row], tokens: int, size: Size, reserve: int, pictures: int = 0) -> int:
    """Nano-dollars, rounded up. `reserve`: tokens of an answer that nobody bounds."""
    dearest = 0
    for above, request, rate_in, rate_out, picture, most in rows:
        if tokens > above or not above:
            if size.output:
                output = size.output if most is None or size.output < most else most
            else:
                output = most or reserve + size.thinking
            nano = request * (size.answers or 1) + tokens * rate_in + output * size.answers * rate_out + pictures * picture
            dearest = max(dearest, nano)
    return -(-dearest // _MILLION)


def _terms(exchange: Exchange, parts: Parts, course: Course) -> Terms:
    providers, at_ns, prices = exchange.principal.providers, exchange.started_ns, parts.live.prices
    found = cast("Terms | None", course.kept.get(providers))
    if found is None or found.prices is not prices or not -_HELD_NS < at_ns - found.at_ns < _HELD_NS:
        if len(course.kept) >= _MOST_TERMS:
            course.kept.clear()
        found = course.kept[providers] = _made(course, prices, providers, at_ns)
    return found


def _made(course: Course, prices: Prices, providers: frozenset[str] | None, at_ns: int) -> Terms:
    reachable = [one for one in course.everyone if providers is None or one.provider.name in providers]
    rows: list[Row] = []
    unpriced, mosts = "", [one.facts.max_output for one in reachable]
    for target in reachable:
        period = prices.find(*target.priced_as, at_ns)
        if period is None:
            unpriced = unpriced or _name(target)
        else:
            rows += _rows(period, target.facts.max_output)
    bounds = [most for most in mosts if most is not None]
    most = max(bounds) if bounds and len(bounds) == len(mosts) else None
    return Terms(at_ns, prices, tuple(_undominated(dict.fromkeys(rows))), unpriced, most)


def _rows(period: Period, most: int | None) -> Iterator[Row]:
    """The rates of a price as plain numbers, each at the dearest of its ways of being served."""
    share = max((WHOLE, *(share for _, share in period.tiers)))
    for rate in period.rates:
        request = rate.most(0, 0)
        each = (request, rate.most(1, 0) - request, rate.most(0, 1) - request, rate.image or 0)
        once, tokens_in, tokens_out, picture = (-(-one * share // WHOLE) for one in each)
        yield Row(rate.above, once, tokens_in, tokens_out, picture, most)


def _undominated(rows: Iterable[Row]) -> Iterator[Row]:
    """Those that may be the dearest for some request."""
    rows = list(rows)
    return (row for row in rows if not any(other is not row and _beats(other, row) for other in rows))


def _beats(one: Row, other: Row) -> bool:
    """Is at least as dear whatever is asked. Of two alike neither: there are none."""
    return (
        one.above <= other.above
        and one.request >= other.request
        and one.input >= other.input
        and one.output >= other.output
        and one.picture >= other.picture
        and (one.most is None) == (other.most is None)
        and (one.most or 0) >= (other.most or 0)
    )


def _name(target: Target) -> str:
    return f"{target.provider.name}/{target.model}" if target.model else target.provider.name
