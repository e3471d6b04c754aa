"""How much a request may use at most: never less than it costs in the end, and no more than must be."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from conformance.recordings import Recording, parameters, recordings
from pipeline.by_hand import by_hand
from pipeline.inside import Inside
from trunkline.canon.usage import Usage
from trunkline.config.snapshot import LedgerSettings
from trunkline.dialects.dialect import NOT_NAMED
from trunkline.dialects.families import FAMILIES, Passing
from trunkline.dialects.table import DIALECTS
from trunkline.ledger.price import Period, Price, Rate
from trunkline.pipeline.admit import allowed, find_way
from trunkline.pipeline.estimate import HIDDEN, PICTURE, estimate, next_answer
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.use import Estimate
from trunkline.routing.choose import Candidates
from trunkline.routing.course import Course
from trunkline.routing.route import Hedge
from trunkline.routing.traits import Traits

_IN, _OUT = 2_000, 8_000
"""Nano-dollars of a token of gpt-4.1."""
RESERVE = LedgerSettings(required=False).reserve_output


def of(inside: Inside, *, job: str = "chat", model: str = "priced", body: bytes | None = None, **fields: Any) -> Estimate:
    """Of a request for `model`."""
    return _made(inside, job=job, model=model, body=body, **fields)[1]


def _made(
    inside: Inside, *, job: str = "chat", model: str = "priced", body: bytes | None = None, **fields: Any
) -> tuple[Exchange, Estimate]:
    exchange, _ = by_hand(inside, model=model, **fields)
    exchange.request.body = body or exchange.request.body
    exchange.job = job
    exchange.ask = exchange.dialect.read_request(exchange.request.body, NOT_NAMED)
    way = find_way(exchange, inside.parts, allowed(exchange, model))
    found = estimate(exchange, inside.parts, way.candidates)
    assert estimate(exchange, inside.parts, way.candidates) is found, "worked out once"
    return exchange, found


def _bound(exchange: Exchange, output: int) -> int:
    tokens = len(exchange.request.body) // 4 * 2 + HIDDEN
    return tokens * _IN + output * _OUT


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_tokens": 10, "max_completion_tokens": 500}, 500),
        ({"max_tokens": None, "max_completion_tokens": 500}, 500),
        ({"max_tokens": 1e2}, 100),
        ({"max_tokens": 100, "n": 3}, 300),
        ({"max_tokens": 10**8}, 32_768),
        ({}, 32_768),
        ({"n": 2}, 65_536),
        ({"max_tokens": "many"}, 32_768),
    ],
)
def test_the_longest_answer(inside: Inside, fields: dict[str, Any], output: int) -> None:
    """Whoever asks for much in a field that nobody looked at would overspend a budget; the model's own bound holds too."""
    exchange, found = _made(inside, **fields)
    assert found.nano == _bound(exchange, output)
    assert found.unpriced == ""


def test_tokens_are_the_best_guess(inside: Inside) -> None:
    """Limits of tokens would refuse clients long before they are reached, were each request taken for the largest it may be."""
    exchange, found = _made(inside, max_tokens=100)
    assert found.tokens == len(exchange.request.body) // 4 + 100
    assert _made(inside)[1].tokens < RESERVE + 100, "nobody said how long the answer is: not the longest of this model"
    assert of(inside, max_tokens=100, n=4).tokens == pytest.approx(of(inside, max_tokens=100).tokens + 300, abs=3)


def test_nothing_is_counted_for_counting(inside: Inside) -> None:
    """It costs nothing, and nothing is generated."""
    assert of(inside, job="count") == (0, 0, "")


def test_embeddings_have_no_answer(inside: Inside) -> None:
    """A budget would be held back for tokens that never come."""
    found = of(
        inside,
        job="embed",
        model="lab/text-embedding-3-small",
        body=b'{"model":"m","messages":[],"input":"' + b"a" * 400 + b'"}',
    )
    assert found.tokens == pytest.approx(110, abs=5)
    assert found.nano == found.tokens * 2 * 20


def test_pictures_are_the_dear_part(inside: Inside) -> None:
    """Each costs as much as a book of text."""
    one, four = (of(inside, job="image", model="lab/gpt-image-1", n=n, max_tokens=7).nano for n in (1, 4))
    assert (four - one) / 3 == pytest.approx(PICTURE * 40_000, rel=0.01)


def test_a_price_nobody_knows_is_told(inside: Inside) -> None:
    """Whoever has a budget must not spend what cannot be counted."""
    assert of(inside, model="m").unpriced == "lab/tiny"


def test_the_dearest_of_all_that_may_be_asked(inside: Inside) -> None:
    """A cheap model whose fallback is dear would overspend the budget as soon as it fails; a key that may not go there need not
    reserve for it.
    """
    exchange, cheap = _made(inside, model="lab/gpt-4.1-nano", max_tokens=10)
    dear = of(inside, max_tokens=10)
    route, other = inside.parts.live.snapshot.routes["priced"], allowed(exchange, "lab/gpt-4.1-nano")
    elsewhere = msgspec.structs.replace(
        route.targets[0], provider=msgspec.structs.replace(route.targets[0].provider, name="far")
    )

    traits = Traits(len(exchange.request.body) // 4)

    def both(**how: Any) -> Estimate:
        exchange.most = None
        whole = msgspec.structs.replace(other, fallbacks=(elsewhere,), **how)
        return estimate(exchange, inside.parts, Candidates(Course(whole, inside.parts.standings.of, lambda _: None), traits))

    assert cheap.nano < both().nano == pytest.approx(dear.nano, rel=0.01)
    assert both(hedge=Hedge()).nano == 2 * both().nano
    exchange.principal = msgspec.structs.replace(exchange.principal, providers=frozenset({"lab"}))
    assert both().nano == cheap.nano
    exchange.principal = inside.parts.live.snapshot.principals[0]


def _price(inside: Inside, monkeypatch: pytest.MonkeyPatch, *rates: Rate) -> None:
    price = Price((Period(rates),))
    monkeypatch.setattr(type(inside.parts.prices), "find", lambda *_: price.at(0))
    inside.forget()


def test_long_prompts_are_dearer(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 200,000 tokens everything costs twice as much; reserved by the low rate, ten such requests overspend."""
    _price(inside, monkeypatch, Rate(input=1_000_000, output=1_000_000), Rate(above=5_000, input=2_000_000, output=3_000_000))
    short = of(inside, max_tokens=10)
    assert short.nano == pytest.approx(HIDDEN + 50, abs=20)
    long = of(inside, max_tokens=10, messages=[{"role": "user", "content": "word " * 4000}])
    assert long.nano == pytest.approx((10_000 + HIDDEN + 50) * 2 + 30, abs=50)


@pytest.mark.parametrize("seed", range(40))
def test_never_below_the_truth(inside: Inside, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever the tokens of a request turn out to be, cached, heard or thought, within its bounds."""
    dice = random.Random(seed)
    rate = Rate(**{name: dice.randrange(10**9) for name in Rate.__struct_fields__ if name not in {"above", "image"}})
    rates = (rate, Rate(above=2_000, input=dice.randrange(10**9), output=dice.randrange(10**9), cache_write_1h=10**9))
    _price(inside, monkeypatch, *rates)
    exchange, found = _made(inside, max_tokens=500, messages=[{"role": "user", "content": "x" * dice.randrange(9000)}])
    tokens = len(exchange.request.body) // 4 * 2 + HIDDEN
    for _ in range(50):
        given, made = dice.randrange(tokens + 1), dice.randrange(501)
        parts = [dice.randrange(given + 1) for _ in range(4)]
        usage = Usage(
            given, *parts[:3], output=made, reasoning=dice.randrange(made + 1), audio_input=parts[3], basis="reported"
        )
        assert Period(rates).cost(usage) <= found.nano


SERVERS = (
    b"search",
    b"code_execution",
    b"code_interpreter",
    b"mcp",
    b"fetch",
    b"plugins",
    b"computer",
    b"url",
    b"image_generation",
)
"""Words of requests that let a provider read what is not in them."""


def _plain() -> list[Recording]:
    found = [one for end in ("openai.chat", "openai.responses", "anthropic.messages") for one in recordings(end)]
    return [one for one in found if one.status == 200 and one.request and not _reads_on(_body(one))]


def _body(recording: Recording) -> bytes:
    return json.dumps(recording.request, ensure_ascii=False).encode()


def _reads_on(body: bytes) -> bool:
    """It lets its provider read more than the request."""
    return any(word in body for word in SERVERS) or b'"tools": [{"type"' in body


@pytest.mark.parametrize("recording", parameters(_plain()))
def test_prompts_are_no_longer_than_reserved(recording: Recording) -> None:
    """Measured: twice the bytes over four and what providers put before it is enough for everything clients sent."""
    name = {"chat": "openai_chat", "responses": "openai_responses", "messages": "anthropic"}[recording.endpoint.split(".")[1]]
    dialect, body = DIALECTS[name], _body(recording)
    ask = dialect.read_request(body, NOT_NAMED)
    if recording.streamed:
        tap = dialect.tap(ask, hide_usage=False)
        tap.feed(recording.body)
        usage = tap.usage
    else:
        usage = dialect.read_reply(recording.body).usage
    assert usage.input <= len(body) // 4 * 2 + HIDDEN


@pytest.mark.parametrize(
    ("passing", "nano", "unpriced"),
    [
        (Passing("audio.speech", "speech", paid="untold"), False, True),
        (Passing("audio.transcriptions", "transcriptions", paid="told"), True, False),
        (Passing("images.edits", "image_edits", paid="told"), True, False),
        (Passing("moderations", "moderations"), True, False),
    ],
)
def test_what_only_passes(inside: Inside, passing: Passing, nano: bool, unpriced: bool) -> None:
    """What costs something that no answer tells cannot be under a budget; what is free needs no price."""
    assert passing.family in FAMILIES
    exchange, _ = by_hand(inside, model="priced")
    exchange.job, exchange.passing = "pass", passing
    exchange.ask = exchange.dialect.read_request(exchange.request.body, NOT_NAMED)
    found = estimate(exchange, inside.parts, find_way(exchange, inside.parts, allowed(exchange, "priced")).candidates)
    assert (bool(found.nano), bool(found.unpriced)) == (nano, unpriced)


def test_what_costs_nothing_needs_no_price(inside: Inside) -> None:
    """A list of files is no model: a key with a budget may still ask for it."""
    exchange, _ = by_hand(inside, model="m")
    exchange.job, exchange.passing = "pass", Passing("files.list", "files", "GET")
    exchange.ask = exchange.dialect.read_request(exchange.request.body, NOT_NAMED)
    assert estimate(exchange, inside.parts, find_way(exchange, inside.parts, allowed(exchange, "m")).candidates) == (0, 0, "")


def test_a_session_is_reserved_answer_by_answer(inside: Inside) -> None:
    """Each answer is charged for the whole conversation again."""
    exchange, found = _made(inside, job="realtime")
    assert found == (0, 0, "")
    assert exchange.candidates is not None
    more = next_answer(exchange, inside.parts, exchange.candidates, 1000)
    assert more == (1000 + RESERVE, (1000 + HIDDEN) * _IN + RESERVE * _OUT, "")
