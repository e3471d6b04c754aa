"""Requests that pass to a provider of the same form as they are: speech, transcriptions, files, ranking and the like.

Only the model's name is changed, and what the answer reports as used is read in passing. Which endpoints these are belongs
in `dialects.families`, which provider is asked in `routing.families`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast
from urllib.parse import unquote_to_bytes

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE
from trunkline.canon.wire import Body, WireRequest
from trunkline.dialects import families, guess
from trunkline.dialects.dialect import Ask, Outgoing
from trunkline.dialects.families import Passing
from trunkline.dialects.forms import Form
from trunkline.dialects.passing import PassingTap, read_answer
from trunkline.dialects.shallow import checked_model, encode, fields, model_of
from trunkline.dialects.table import SPOKEN
from trunkline.pipeline.admit import Way, accept, allowed, begin, known
from trunkline.pipeline.attempt import Incoming, ask_for, read_at_most
from trunkline.pipeline.estimate import PICTURES
from trunkline.pipeline.exchange import Exchange, Parts
from trunkline.pipeline.outgoing import cost_line, head
from trunkline.pipeline.pursue import once, pursue
from trunkline.pipeline.settle import price
from trunkline.pipeline.upload import Upload
from trunkline.pipeline.wire import wire
from trunkline.policy.keys import Principal
from trunkline.providers.forward import forwarded
from trunkline.providers.hosting import place
from trunkline.providers.provider import Provider, Target
from trunkline.routing.choose import Candidates
from trunkline.routing.families import of_model, of_none, speech
from trunkline.routing.route import Route
from trunkline.routing.traits import Traits, follow

MODEL_HEADER, PROVIDER_HEADER = b"x-trunkline-model", b"x-trunkline-provider"
_PASSED = (b"content-type", b"content-disposition")
"""Headers of an answer that the client is shown."""
_OURS = frozenset({b"model", b"deployment", b"key", b"api-key"})
"""Of a client's query, what is said anew (Azure's word for a model too), and what is never passed on. Azure reads any case."""
_JSON = b"application/json"
_EVENTS = b"text/event-stream"


async def pass_on(exchange: Exchange, parts: Parts) -> None:
    """Answer one such request. Raises `GatewayError`."""
    exchange.charged = False  # until an answer begins: a client may leave while it still sends its file
    known(exchange, parts)
    if exchange.request.stream is None:
        await _pass_whole(exchange, parts)
    elif cast("Passing", exchange.passing).model == "none":
        body, told = exchange.request.stream, exchange.request.headers[b"content-type"]
        await _pursue(exchange, parts, once(await admit_passing(exchange, parts, "")), lambda _: (body, told))
    else:
        await _pass_form(exchange, parts, exchange.request.stream)


async def _pass_whole(exchange: Exchange, parts: Parts) -> None:
    """A request without a body, or with one of JSON."""
    passing, body = cast("Passing", exchange.passing), exchange.request.body
    found: dict[str, msgspec.Raw] = {}
    if passing.model != "none":
        found = fields(body)
    null = bytes(found.get("model", b"null")) == b"null"
    model = "" if passing.model != "needed" and null else model_of(found)
    way = await admit_passing(exchange, parts, model, found)
    # what was read as JSON must not be read as anything else, such as a form with another model in it
    told = exchange.request.headers.get(b"content-type", _JSON) if passing.model == "none" else _JSON

    def written_for(target: Target) -> tuple[bytes, bytes]:
        return (encode(found | {"model": msgspec.Raw(encode(target.model))}) if model else body), told

    await _pursue(exchange, parts, way if model else once(way), written_for)


async def _pass_form(exchange: Exchange, parts: Parts, source: Body) -> None:
    """A form that names a model, or its header does."""
    form = Form(exchange.request.headers[b"content-type"])
    upload = Upload(source, form)
    try:
        model = exchange.request.headers.get(MODEL_HEADER, b"").decode("latin-1")
        if model:
            checked_model(model)
        else:
            model = await upload.read_ahead(exchange.snapshot.server.max_body)
        if not model and cast("Passing", exchange.passing).model == "needed":
            model_of({})
        way = await admit_passing(exchange, parts, model)

        def written_for(target: Target) -> tuple[Body, bytes]:
            upload.put(target.model)
            return upload, form.content_type

        await _pursue(exchange, parts, once(way), written_for)
    finally:
        upload.close()


async def _pursue(
    exchange: Exchange, parts: Parts, way: Way, written_for: Callable[[Target], tuple[bytes | Body, bytes]]
) -> None:
    """`written_for`: the body for a target, and its type."""

    async def attempt(exchange: Exchange, parts: Parts, target: Target) -> None:
        await _exchange(exchange, parts, *written_for(target))

    await pursue(exchange, parts, way, attempt)


async def admit_passing(exchange: Exchange, parts: Parts, model: str, found: dict[str, msgspec.Raw] | None = None) -> Way:
    """Where to ask for this model, or for a request that names none; from here on the ledger knows the request."""
    found = found or {}
    stream = bytes(found.get("stream", b"")) == b"true"
    exchange.ask = Ask(found, model, stream=stream, include_usage=True)
    family, providers = cast("Passing", exchange.passing).family, list(exchange.snapshot.providers.values())
    shown = [provider for provider in providers if _may_any(exchange.principal, provider)]
    if model:
        told = Traits(
            guess.tokens(len(exchange.request.body)),
            stream=stream,
            tags=exchange.principal.tags,
            headers=exchange.request.headers,
        )
        asked, exchange.rules = follow(allowed(exchange, model), told)
        route = of_model(asked, family, shown)
        course = parts.standings.along(asked)
        course = course if route is asked else parts.standings.part(route)
        candidates = Candidates(course, told, providers=exchange.principal.providers)
    else:
        named = exchange.request.headers.get(PROVIDER_HEADER, b"").decode("latin-1")
        if exchange.principal.providers is not None and not named:
            # one that it may not use makes no choice necessary
            providers = [one for one in providers if exchange.principal.may_ask(one.name)] or providers
        provider = of_none(family, named, providers, shown)
        if exchange.principal.may_ask(provider.name) and not _may_any(exchange.principal, provider):
            raise GatewayError(
                Kind.FORBIDDEN,
                f"This key is limited to some models, and a request that names none may use any: it needs '{provider.name}/*'.",
                code="model_not_allowed",
            )
        route = Route("", (Target(provider, ""),), provider.deadlines)
        candidates = Candidates(parts.standings.part(route), providers=exchange.principal.providers)
    return await accept(exchange, parts, begin(exchange, parts, route, candidates))


def _may_any(principal: Principal, provider: Provider) -> bool:
    """What names no model may use any: a file of requests, or a provider's own choice."""
    return principal.may_use(f"{provider.name}/*") and principal.may_ask(provider.name)


async def _exchange(exchange: Exchange, parts: Parts, body: bytes | Body, content_type: bytes) -> None:
    """Ask the provider and carry its answer."""
    request = await written(exchange, families.below(exchange.request.path), passed_query(exchange.request.query))
    request = msgspec.structs.replace(request, body=body, content_type=content_type)
    target = cast("Target", exchange.target)
    answer = await ask_for(exchange, parts, SPOKEN[speech(target.provider)], request)
    passing, told = cast("Passing", exchange.passing), answer.headers.get(b"content-type", b"").lower()
    exchange.charged = passing.paid == "told"
    if passing.counts and told.startswith(_JSON):
        await _whole(exchange, parts, answer)
    else:
        tap = PassingTap(counted=passing.counts) if told.startswith(_EVENTS) else None
        await _Flow(exchange, parts, answer, tap).run()


async def written(exchange: Exchange, path: str, query: bytes) -> WireRequest:
    """The request for the provider, still without a body. `path`: below its base path; what the provider's own query says is
    left out of `query`.
    """
    target = cast("Target", exchange.target)
    provider, headers = target.provider, exchange.request.headers
    if provider.query:
        query = _without(query, frozenset(map(_name, provider.query.encode("ascii").split(b"&"))))
    if query:
        path += "?" + query.decode("ascii")
    outgoing = Outgoing(path, b"", method=cast("Passing", exchange.passing).method)
    lines, exchange.dropped = forwarded(provider, headers)
    if b"accept" in headers:
        lines += b"accept: %b\r\n" % headers[b"accept"]
    placed = place(provider, speech(provider), target.model, outgoing)
    return await wire(provider, exchange.credentials, placed, lines, (exchange.deadlines, provider.max_stream))


def passed_query(query: bytes) -> bytes:
    """A client's query as it goes on: without a key, and without a model, which is ours to say. Raises `GatewayError` (400)."""
    if not query.isascii():
        raise GatewayError(Kind.BAD_REQUEST, "The URL's query is not ASCII.", code="bad_http")
    return _without(query, _OURS)


def _without(query: bytes, names: frozenset[bytes]) -> bytes:
    return b"&".join(part for part in query.split(b"&") if names.isdisjoint(map(_name, part.split(b";"))))


def _name(pair: bytes) -> bytes:
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")).strip().lower()


def _lines(exchange: Exchange, answer: Incoming) -> bytes:
    shown = (b"%b: %b\r\n" % (name, answer.headers[name]) for name in _PASSED if name in answer.headers)
    return head(exchange) + b"".join(shown)


async def _whole(exchange: Exchange, parts: Parts, answer: Incoming) -> None:
    """An answer that is small, and tells what was used."""
    body = await read_at_most(answer, cast("Target", exchange.target).provider.max_answer)
    pictures = cast("Passing", exchange.passing).family in PICTURES
    usage, exchange.raw_usage = read_answer(body, pictures=pictures)
    if usage != NO_USAGE:
        price(exchange, parts, usage, exchange.raw_usage)
    exchange.shows(parts.mono())
    exchange.reply.send(answer.status, _lines(exchange, answer) + cost_line(exchange), body)


class _Flow:
    """An answer of any size, pushed through. One that breaks has no end that could be taken for its own: `refuse` sees to it.

    The client sees no status before the first bytes: until then a failure is an ordinary error.
    """

    def __init__(self, exchange: Exchange, parts: Parts, answer: Incoming, tap: PassingTap | None) -> None:
        self._exchange = exchange
        self._parts = parts
        self._answer = answer
        self._tap = exchange.tap = tap

    async def run(self) -> None:
        """Push until the end. Raises `GatewayError`."""
        await self._answer.pump(self._take)
        if self._tap is not None:
            self._pass(self._tap.close())
        reply, status = self._exchange.reply, self._answer.status
        if reply.started:
            reply.end()
        else:
            reply.send(status, _lines(self._exchange, self._answer), b"")

    def _take(self, data: bytes) -> None:
        self._pass(data if self._tap is None else self._tap.feed(data))

    def _pass(self, data: bytes) -> None:
        tap, reply = self._tap, self._exchange.reply
        if tap is not None and tap.error is not None and not tap.opened:
            raise tap.error
        if data and not reply.started:
            self._exchange.shows(self._parts.mono())
            reply.flow = self._answer
            reply.start(self._answer.status, _lines(self._exchange, self._answer))
        reply.write(data)
