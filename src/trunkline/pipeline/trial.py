"""Whether a provider answers: its list of models and one minimal real request, with times, and what to mend where it does not.

It costs some twenty tokens, which no client asked for: they are told in the verdict, and stand in no ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from trunkline.canon.chat import Chat, Message, Text
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.config.snapshot import Snapshot
from trunkline.credentials.credential import Credential
from trunkline.dialects.dialect import Outgoing, ProviderDialect
from trunkline.dialects.errors import clean
from trunkline.dialects.listings import LISTINGS
from trunkline.dialects.table import SPOKEN
from trunkline.edge.client import Client
from trunkline.ledger.prices import Prices
from trunkline.pipeline.wire import wire
from trunkline.providers.forward import forwarded
from trunkline.providers.hosting import place
from trunkline.providers.models import facts
from trunkline.providers.provider import Provider, Target
from trunkline.routing.speech import choose

MAX_TOKENS = 16
"""Of the answer: the least that OpenAI's Responses take."""
_MAX_LIST = 16 * 1024 * 1024
_MAX_ANSWER = 1024 * 1024
_HIDDEN = "***"
_TYPICAL = Usage(input=10, output=10, basis="estimated")
_UNLISTED = frozenset({404, 405, 501})
"""Statuses of a server that has no list: many compatible ones do not."""
_FORBIDDEN = 403
"""OpenAI's restricted keys may ask models and not list them."""


class Verdict(msgspec.Struct, frozen=True):
    """What came of it. Times in seconds; None where it did not come to that."""

    provider: str
    kind: str
    works: bool
    dialect: str
    model: str = ""
    """The one that was asked; empty where none was."""
    models: tuple[str, ...] | None = None
    """The provider's list; None where it has none."""
    list_time: float | None = None
    answer_time: float | None = None
    answer: str = ""
    usage: Usage = NO_USAGE
    cost_nano: int | None = None
    problem: str = ""
    """What is wrong, in the provider's words or ours."""
    remedy: str = ""
    """What to do about it."""


class Means(Protocol):
    """What a trial needs of the house; `pipeline.exchange.Parts` has it."""

    @property
    def client(self) -> Client: ...  # noqa: D102 - as in `Parts`
    @property
    def credentials(self) -> Mapping[str, Credential]: ...  # noqa: D102
    @property
    def prices(self) -> Prices: ...  # noqa: D102
    @property
    def mono(self) -> Callable[[], float]: ...  # noqa: D102
    @property
    def clock_ns(self) -> Callable[[], int]: ...  # noqa: D102


async def trial(means: Means, snapshot: Snapshot, name: str, model: str = "") -> Verdict:
    """Try the provider `name` with `model`; without one, with the first that is configured for it, else the cheapest of its
    list. Raises `KeyError` for a name that is no provider's; every failure of the provider's is in the verdict.
    """
    provider = snapshot.providers[name]
    verdict = Verdict(name, provider.kind, works=True, dialect=provider.dialect)
    if provider.builtin:
        return verdict
    configured = next(
        (
            one
            for route in snapshot.routes.values()
            for one in route.targets
            if one.provider.name == name and model in {"", one.model}
        ),
        None,
    )
    verdict = await _listed(means, provider, verdict, named=bool(model) or configured is not None)
    if not verdict.works:
        return verdict
    target = configured or _chosen(provider, model or _cheapest(means, provider, verdict.models or ()))
    if target is None:
        remedy = "Name a model to try: trunkline providers test NAME --model MODEL."
        return msgspec.structs.replace(verdict, works=False, problem="No model to ask is known.", remedy=remedy)
    return await _asked(means, target, verdict)


def _chosen(provider: Provider, model: str) -> Target | None:
    if not model:
        return None
    return Target(provider, model, facts=facts(provider.kind, model, provider.facts))


def _cheapest(means: Means, provider: Provider, models: tuple[str, ...]) -> str:
    """The model whose answer costs least; one without a price for output makes no text. Where none has a price, the first."""
    costs = {}
    for model in models:
        price = means.prices.find(provider.name, provider.kind, model, means.clock_ns())
        if price is None:
            continue
        whole, prompt = (price.cost(usage) for usage in (_TYPICAL, Usage(input=_TYPICAL.input)))
        if whole > prompt:
            costs[model] = whole
    return min(costs, key=lambda model: (costs[model], model), default=models[0] if models else "")


async def _listed(means: Means, provider: Provider, verdict: Verdict, *, named: bool) -> Verdict:
    """`named`: the model to ask is known, so that a list that is not to be had is no fault."""
    listing = LISTINGS.get(provider.dialect)
    if listing is None:
        return verdict
    began = means.mono()
    try:
        body = await _sent(means, provider, SPOKEN[provider.dialect], "", listing.ask(), _MAX_LIST)
        models = listing.read(body)
    except GatewayError as error:
        status = error.upstream.status if error.upstream is not None else 0
        if status in _UNLISTED or (status == _FORBIDDEN and named):
            return verdict
        return _failed(means, provider, verdict, error)
    return msgspec.structs.replace(verdict, models=models, list_time=means.mono() - began)


async def _asked(means: Means, target: Target, verdict: Verdict) -> Verdict:
    provider = target.provider
    dialect = SPOKEN[choose(target, provider.dialect)]
    verdict = msgspec.structs.replace(verdict, model=target.model, dialect=dialect.name)
    began = means.mono()
    try:
        body = await _sent(means, provider, dialect, target.model, _question(dialect, target.model, target.facts), _MAX_ANSWER)
        reply = dialect.read_answer(body, "trial")
    except GatewayError as error:
        return _failed(means, provider, verdict, error)
    texts = (part.text for choice in reply.choices for part in choice.parts if isinstance(part, Text))
    price = means.prices.find(*target.priced_as, means.clock_ns())
    known = price is not None and reply.usage.basis == "reported"
    return msgspec.structs.replace(
        verdict,
        answer_time=means.mono() - began,
        answer=_without(means, provider, clean("".join(texts))),
        usage=reply.usage,
        cost_nano=price.cost(reply.usage) if price is not None and known else None,
    )


def _question(dialect: ProviderDialect, model: str, known: Facts) -> Outgoing:
    chat = Chat(dialect="", model=model, messages=(Message("user", (Text("Say OK."),)),), max_tokens=MAX_TOKENS)
    return dialect.write_chat(chat, model, known, Loss(strict=False), ask_usage=False)


async def _sent(means: Means, provider: Provider, dialect: ProviderDialect, model: str, outgoing: Outgoing, most: int) -> bytes:
    placed = place(provider, dialect.name, model, outgoing)
    lines = b"" if placed.body else forwarded(provider, {})[0]  # a dialect's writer names its own version
    request = await wire(provider, means.credentials, placed, lines, (provider.deadlines, most))
    answer = await means.client.send(request)
    body = await answer.read()
    if 200 <= answer.status < 300:
        return body
    content_type = answer.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    raise dialect.read_error(answer.status, content_type, body)


def _failed(means: Means, provider: Provider, verdict: Verdict, error: GatewayError) -> Verdict:
    problem = _without(means, provider, error.message)
    return msgspec.structs.replace(verdict, works=False, problem=problem, remedy=_remedy(provider, verdict, error))


def _without(means: Means, provider: Provider, text: str) -> str:
    living = means.credentials[provider.name].secrets if provider.credential is not None else ()
    for secret in (*provider.secrets, *living):
        text = text.replace(secret.decode("latin-1"), _HIDDEN)
    return text


_BY_STATUS = {
    400: "The request was refused as it is: see the provider's words. If it names the key, check api_key.",
    401: "Check api_key: it is wrong, expired, or belongs to another service.",
    402: "The account has no credit: add some at the provider.",
    403: "The key is valid but may not do this: check its rights, the region, or the account at the provider.",
    404: "The model or the path is not there: check the model's name and base_url (with or without /v1).",
    429: "The provider limits this account: wait, or check its quota and credit.",
}
_BY_KIND = {
    Kind.UPSTREAM_UNREACHABLE: "Check base_url, that the server runs, and whether a proxy or firewall is in between.",
    Kind.UPSTREAM_TLS: "Check the certificate: tls.ca names one's own authority; base_url may need http:// instead.",
    Kind.UPSTREAM_TIMEOUT: "It did not answer in time: check base_url and the network, or raise timeouts.",
    Kind.UPSTREAM_BROKEN: "It hung up: check that base_url leads to an HTTP API, and http:// against https://.",
    Kind.UPSTREAM_PROTOCOL: "What came back is not this API: check base_url, kind and dialect.",
}


def _remedy(provider: Provider, verdict: Verdict, error: GatewayError) -> str:
    status = error.upstream.status if error.upstream is not None else 0
    if status == 404 and verdict.models and verdict.model not in verdict.models:
        return f"{provider.name} lists no model {verdict.model!r}; it has {', '.join(sorted(verdict.models)[:5])} …"
    if error.kind in _BY_KIND:
        return _BY_KIND[error.kind]
    if status >= 500:
        return "The provider itself fails: try again later."
    return _BY_STATUS.get(error.status, "See the provider's words.")
