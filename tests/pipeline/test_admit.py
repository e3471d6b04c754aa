"""Admission: who may begin, and what is written down when one does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.gateway import NARROW_KEY
from harness.upstream import Upstream
from pipeline.by_hand import by_hand, raised
from pipeline.inside import EPOCH_NS, Inside
from trunkline.canon.errors import Kind
from trunkline.ledger.record import Open
from trunkline.pipeline.admit import accept, admit
from trunkline.policy.keys import Principal


def test_an_opening_says_what_is_known(inside: Inside) -> None:
    """Should the process die in this request, this is all the ledger will have of it."""
    exchange, _ = by_hand(inside, stream=True)
    target = admit(exchange, inside.parts).targets[0]
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
    """OpenRouter falls back to any model of such a list, and the key was to reach one."""
    exchange, _ = by_hand(inside, models=["other/model"])
    route = exchange.snapshot.routes["m"]
    provider = msgspec.structs.replace(route.targets[0].provider, names_models=("models",))
    target = msgspec.structs.replace(route.targets[0], provider=provider)
    exchange.ask = exchange.dialect.read_request(exchange.request.body, exchange.named)
    exchange.principal = Principal("narrow", exchange.principal.digest, frozenset(["m"]))
    error = raised(accept, exchange, inside.parts, target, route.deadlines)
    assert (error.kind, error.param) == (Kind.FORBIDDEN, "models")
    assert inside.books.opened == []
    exchange.principal = Principal("wide", exchange.principal.digest)
    assert accept(exchange, inside.parts, target, route.deadlines) is target
    inside.books.opened.clear()


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
        assert admit(exchange, inside.parts).targets[0].model == "tiny"
    finally:
        inside.parts.live.snapshot = before
        inside.books.opened.clear()
