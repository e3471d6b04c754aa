"""Admission: who may begin, and what is written down when one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.gateway import KEY, NARROW_KEY
from harness.upstream import Upstream
from pipeline.by_hand import at_once, by_hand, raised
from pipeline.inside import EPOCH_NS, Inside
from trunkline.canon.errors import GatewayError, Kind
from trunkline.ledger.record import Open
from trunkline.pipeline.admit import Way, accept, admit
from trunkline.policy.keys import Principal
from trunkline.routing.choose import Candidates
from trunkline.routing.health import SILENCE


def test_an_opening_says_what_is_known(inside: Inside) -> None:
    """Should the process die in this request, this is all the ledger will have of it."""
    exchange, _ = by_hand(inside, stream=True)
    target = at_once(admit(exchange, inside.parts)).route.targets[0]
    assert exchange.target is target
    assert (target.provider.name, target.model) == ("lab", "tiny")
    assert exchange.deadlines.idle == 0.5, "the route's own timeouts"
    expected = Open(exchange.id, EPOCH_NS, "tester", "chat.completions", "openai_chat", "m", "lab", "tiny", stream=True)
    assert inside.books.opened == [expected]
    assert exchange.ticket is not None
    inside.books.opened.clear()


@pytest.mark.parametrize(
    ("fields", "kind", "code", "param"),
    [
        ({"model": "nowhere"}, Kind.NOT_FOUND, "model_not_found", "model"),
        ({"model": "nowhere/tiny"}, Kind.NOT_FOUND, "model_not_found", "model"),
        ({"model": "lab/"}, Kind.NOT_FOUND, "model_not_found", "model"),
        ({"model": 7}, Kind.BAD_REQUEST, "invalid_value", "model"),
        ({"messages": "hi"}, Kind.BAD_REQUEST, "invalid_value", "messages"),
    ],
)
def test_refused_before_it_is_accepted(inside: Inside, fields: dict[str, object], kind: Kind, code: str, param: str) -> None:
    """What cannot be served costs no row: the ledger holds what a provider may have been asked."""
    exchange, _ = by_hand(inside, **fields)
    error = raised(admit, exchange, inside.parts)
    assert (error.kind, error.code, error.param) == (kind, code, param)
    assert exchange.ticket is None
    assert inside.books.opened == []


def test_a_narrow_key_may_not_name_further_models(inside: Inside) -> None:
    """OpenRouter falls back to any model of such a list, and the key was to reach one; also where it is asked last."""
    exchange, _ = by_hand(inside, preset=["other/model"])
    route = exchange.snapshot.routes["m"]
    provider = msgspec.structs.replace(route.targets[0].provider, names_models=("preset",))
    target = msgspec.structs.replace(route.targets[0], provider=provider)
    route = msgspec.structs.replace(route, fallbacks=(target,))
    way = Way(route, Candidates(inside.parts.standings.along(route)), 0)
    exchange.ask = exchange.dialect.read_request(exchange.request.body, exchange.named)
    exchange.principal = Principal("narrow", exchange.principal.digest, frozenset(["m"]))
    error = raised(accept, exchange, inside.parts, way)
    assert (error.kind, error.param) == (Kind.FORBIDDEN, "preset")
    assert inside.books.opened == []
    exchange.principal = Principal("wide", exchange.principal.digest)
    assert at_once(accept(exchange, inside.parts, way)) is way
    inside.books.opened.clear()


@pytest.mark.parametrize("field", ["models", "fallbacks"])
def test_nor_at_a_base_url_of_ones_own(inside: Inside, field: str) -> None:
    """OpenRouter and LiteLLM are often reached as `kind: openai` with a base_url."""
    exchange, _ = by_hand(inside, **{field: ["other/model"]})
    exchange.principal = Principal("narrow", exchange.principal.digest, frozenset(["m"]))
    error = raised(admit, exchange, inside.parts)
    assert (error.kind, error.param) == (Kind.FORBIDDEN, field)


@pytest.mark.parametrize("model", ["costly", "lab/tiny", "nowhere"])
def test_a_model_not_allowed_is_403(inside: Inside, model: str) -> None:
    """A narrow key must learn neither that a model exists nor that it does not."""
    exchange, _ = by_hand(inside, model=model)
    exchange.principal = Principal("narrow", exchange.principal.digest, frozenset(["m"]))
    error = raised(admit, exchange, inside.parts)
    assert (error.kind, error.code) == (Kind.FORBIDDEN, "model_not_allowed")
    assert inside.books.opened == []


def test_a_key_revoked_while_the_body_came_is_401(inside: Inside) -> None:
    """A body may take hours to arrive; a key that was valid at its head must not be honoured at its end."""
    exchange, _ = by_hand(inside)
    exchange.principal = Principal("revoked", b"gone")
    error = raised(admit, exchange, inside.parts)
    assert (error.kind, error.code) == (Kind.UNAUTHENTICATED, "invalid_api_key")
    assert inside.books.opened == []


def test_in_openais_shape(inside: Inside) -> None:
    """SDKs read `error.code`: 404 for a model there is not, 403 for one the key may not use."""
    unknown, refused = inside.chat(model="nowhere"), inside.chat(model="costly", key=NARROW_KEY)
    assert (unknown.status, unknown.error["code"], unknown.error["param"]) == (404, "model_not_found", "model")
    assert (refused.status, refused.error["type"], refused.error["code"]) == (403, "permission_error", "model_not_allowed")
    for reply in (unknown, refused):
        assert reply.header("x-request-id")
        assert reply.header("x-trunkline-provider") is None


@pytest.mark.parametrize("required", [True, False])
def test_a_journal_that_takes_nothing(upstream: Upstream, tmp_path: Path, required: bool) -> None:
    """Whoever demands accounts gets 503 rather than unaccounted traffic; everyone else is served."""
    with Inside(tmp_path, upstream.url, config={"ledger": {"required": required}}) as inside:
        inside.books.full = True
        reply = inside.chat()
        if required:
            assert (reply.status, reply.header("retry-after")) == (503, "5")
            assert reply.error["code"] == "ledger_unavailable"
            assert inside.books.opened == []
        else:
            assert reply.status == 200
            inside.settled(1)


def test_the_configuration_in_force_is_kept(inside: Inside) -> None:
    """A reload in mid-request must not change what this request may do."""
    exchange, _ = by_hand(inside)
    before = inside.parts.live.snapshot
    try:
        inside.parts.live.snapshot = msgspec.structs.replace(before, routes={})
        assert at_once(admit(exchange, inside.parts)).route.targets[0].model == "tiny"
    finally:
        inside.parts.live.snapshot = before
        inside.books.opened.clear()


@pytest.fixture
def routed(upstream: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """A model with rules and one whose targets differ."""
    models = {
        "m": {
            "targets": ["lab/tiny"],
            "aliases": ["quick"],
            "rules": [{"when": {"tools": True}, "use": "able"}, {"when": {"headers": {"x-team": "r*"}}, "use": "lab/team"}],
        },
        "able": {"targets": ["lab/a"], "rules": [{"when": {"images": True}, "use": "lab/eyes"}]},
        "gpt-*": {"targets": ["lab/g-*"]},
    }
    keys = [
        {"name": "tester", "secret": KEY, "aliases": {"default": "quick"}},
        {"name": "narrow", "secret": NARROW_KEY, "models": ["m"], "aliases": {"tiny": "m", "able": "m", "dear": "lab/dear"}},
    ]
    with Inside(tmp_path / "routed", upstream.url, config={"models": models, "keys": keys}) as made:
        yield made


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
PICTURE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]


@pytest.mark.parametrize(
    ("fields", "headers", "target", "rules"),
    [
        ({}, {}, "tiny", ()),
        ({"model": "quick"}, {}, "tiny", ()),
        ({"model": "default"}, {}, "tiny", ()),
        ({"model": "gpt-5"}, {}, "g-5", ()),
        ({"model": "lab/any"}, {}, "any", ()),
        ({"tools": TOOLS}, {}, "a", (1,)),
        ({"model": "quick", "tools": TOOLS, "messages": PICTURE}, {}, "eyes", (1, 1)),
        ({"messages": PICTURE}, {}, "tiny", ()),
        ({}, {b"x-team": b"research"}, "team", (2,)),
        ({"tools": TOOLS}, {b"x-team": b"research"}, "a", (1,)),
    ],
)
def test_where_a_name_and_its_rules_lead(
    routed: Inside, fields: dict[str, Any], headers: dict[bytes, bytes], target: str, rules: tuple[int, ...]
) -> None:
    """A request would go elsewhere than its operator wrote, or the books would not say why."""
    exchange, _ = by_hand(routed, **fields)
    exchange.request.headers = headers
    way = at_once(admit(exchange, routed.parts))
    assert way.candidates.course.everyone[way.first].model == target
    assert exchange.rules == rules
    assert exchange.opened is not None
    assert exchange.opened.model == fields.get("model", "m"), "the books have the client's own word"
    routed.books.opened.clear()


@pytest.mark.parametrize(
    ("model", "status", "target"),
    [("m", 200, "tiny"), ("quick", 200, "tiny"), ("tiny", 200, "tiny"), ("able", 200, "tiny"),
     ("dear", 403, ""), ("gpt-5", 403, ""), ("lab/tiny", 403, ""), ("default", 403, "")],
)  # fmt: skip
def test_a_narrow_key_slips_through_no_other_name(
    routed: Inside, upstream: Upstream, model: str, status: int, target: str
) -> None:
    """A key for one model would open another by an alias, a star, or its own map of names."""
    upstream.clear()
    reply = routed.chat(key=NARROW_KEY, model=model)
    assert reply.status == status
    assert [json.loads(request.body)["model"] for request in upstream.requests] == ([target] if target else [])
    if target:
        routed.last()


def test_a_rule_may_lead_beyond_what_the_key_may_name(routed: Inside, upstream: Upstream) -> None:
    """The operator wrote where requests for `m` go: a key for `m` goes there too, as with targets and fallbacks."""
    upstream.clear()
    assert routed.chat(key=NARROW_KEY, model="m", tools=TOOLS).status == 200
    assert json.loads(upstream.requests[0].body)["model"] == "a"
    routed.last()


def test_where_everyone_rests(routed: Inside) -> None:
    """Every request of an outage would wait for a provider that is down, and the client would not know when to come back."""
    exchange, _ = by_hand(routed)
    course = routed.parts.standings.along(exchange.snapshot.routes["m"])
    long_ago = routed.parts.mono() - SILENCE - 1
    for _ in range(5):
        course.standings[0].failed(long_ago, long_ago, GatewayError(Kind.UPSTREAM_UNREACHABLE, "down"))
    statuses = [routed.chat().status for _ in range(2)]
    assert statuses == [200, 200], "a few are let through"
    for _ in range(5):
        course.standings[0].failed(long_ago, long_ago, GatewayError(Kind.UPSTREAM_UNREACHABLE, "down"))
    course.standings[0].circuit._answered = long_ago
    for _ in range(1000):
        routed.parts.standings.asked(course.standings[0], 0, routed.parts.mono())
    error = raised(admit, exchange, routed.parts)
    assert (error.status, error.code, error.fault) == (503, "providers_resting", "gateway")
    assert error.retry_after is not None
    assert 1.0 <= error.retry_after <= 5.0
    assert exchange.ticket is None
    routed.settled(2)
