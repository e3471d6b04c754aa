"""What is looked for in a request, in each dialect, and what keeps requests together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from harness.upstream import Upstream
from pipeline.by_hand import by_hand
from pipeline.inside import Inside
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Named
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.tasks import EMBEDDINGS
from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.traits import place, traits
from trunkline.policy.keys import Principal
from trunkline.routing.route import Affinity, Route, Trait
from trunkline.routing.traits import Traits

ALL: frozenset[Trait] = frozenset({"media", "tools", "schema", "size"})
PNG = "iVBORw0KGgo" * 20
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {}}


def exchange(inside: Inside, dialect: str, fields: Mapping[str, Any], headers: Mapping[bytes, bytes] | None = None) -> Exchange:
    """One that was read."""
    made, _ = by_hand(inside)
    made.dialect = made.asks = DIALECTS[dialect]
    made.request.body = json.dumps(fields).encode()
    made.request.headers = dict(headers or {})
    named = Named(model="m") if dialect == "gemini" else made.named
    made.ask = made.dialect.read_request(made.request.body, named)
    return made


def looked(made: Exchange, looks: frozenset[Trait] = ALL) -> Traits:
    """What is found by a route that looks for this."""
    return traits(made, msgspec.structs.replace(made.snapshot.routes["m"], looks=looks))


def user(content: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


REQUESTS: list[tuple[str, dict[str, Any], set[str], bool, bool, int]] = [
    ("openai_chat", user("hello"), set(), False, False, 0),
    ("openai_chat", user([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]),
     {"image"}, False, False, 0),
    ("openai_chat", user('an "image"') | {"tools": [TOOL], "max_tokens": 7}, set(), True, False, 7),
    ("openai_chat", user("x") | {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
     set(), False, True, 0),
    ("openai_chat", user("x") | {"response_format": {"type": "json_object"}}, set(), False, False, 0),
    ("anthropic", user([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}])
     | {"max_tokens": 9}, {"image"}, False, False, 9),
    ("anthropic", {"model": "m", "max_tokens": 9, "messages": [
        USER, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}]}],
        "tools": [{"name": "f", "input_schema": SCHEMA}]}, {"image"}, True, False, 9),
    ("anthropic", user([{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}}])
     | {"max_tokens": 9}, {"document"}, False, False, 9),
    ("openai_responses", {"model": "m", "input": [{"role": "user", "content": [
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]}], "max_output_tokens": 5},
     {"image"}, False, False, 5),
    ("openai_responses",
     {"model": "m", "input": "x", "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}},
     set(), False, True, 0),
    ("gemini", {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": PNG}}]}],
                "generationConfig": {"maxOutputTokens": 4}}, {"audio"}, False, False, 4),
    ("gemini", {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generationConfig": {
        "responseMimeType": "application/json", "responseJsonSchema": SCHEMA}}, set(), False, True, 0),
    ("ollama", {"model": "m", "messages": [{"role": "user", "content": "x", "images": [PNG]}]}, {"image"}, False, False, 0),
    ("ollama", {"model": "m", "messages": [USER], "format": SCHEMA}, set(), False, True, 0),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "fields", "media", "tools", "schema", "output"), REQUESTS)
def test_what_a_request_holds(
    inside: Inside, dialect: str, fields: dict[str, Any], media: set[str], tools: bool, schema: bool, output: int
) -> None:
    """It would be sent to a model that cannot take it, in one of the four dialects."""
    found = looked(exchange(inside, dialect, fields))
    assert (set(found.media), found.tools, found.schema, found.output) == (media, tools, schema, output)


def test_only_what_matters_is_looked_for(inside: Inside) -> None:
    """Each request would be read whole for nothing."""
    _, fields, *_ = REQUESTS[1]
    made = exchange(inside, "openai_chat", fields | {"tools": [TOOL], "max_tokens": 7, "stream": True}, {b"x-a": b"1"})
    made.principal = Principal("k", b"d", tags=frozenset({"t"}))
    plain = looked(made, frozenset())
    assert (plain.media, plain.tools, plain.output) == (frozenset(), False, 0)
    assert (plain.stream, set(plain.tags)) == (True, {"t"}), "what costs nothing is always told"
    assert plain.headers == {b"x-a": b"1"}
    for trait in ALL:
        found = looked(made, frozenset({trait}))
        assert (bool(found.media), found.tools and trait == "tools", bool(found.output)) == (
            trait == "media", trait == "tools", trait in {"size", "media"} and trait == "size",
        )  # fmt: skip


def test_sizes_do_not_count_pictures(inside: Inside) -> None:
    """A large picture would pass for more text than any model takes."""
    text = looked(exchange(inside, "openai_chat", user("word " * 8000)))
    assert 9_000 < text.tokens < 12_000
    picture = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'iVBOR' * 40_000}"}}]
    assert looked(exchange(inside, "openai_chat", user(picture)), frozenset()).tokens < 2000


def test_what_cannot_be_read_is_sent_on(inside: Inside) -> None:
    """The provider's own word on what is wrong would be kept from the client."""
    made = exchange(inside, "openai_chat", user([{"type": "image_url"}]))
    assert made.ask is not None
    with pytest.raises(GatewayError):
        made.dialect.read_chat(made.ask)
    assert looked(made).media == frozenset()


def test_what_is_no_conversation_is_not_read_as_one(inside: Inside) -> None:
    """Embeddings would fail where a route looks for pictures."""
    made, _ = by_hand(inside)
    made.asks = EMBEDDINGS.clients["openai_chat"]
    made.request.body = json.dumps({"model": "m", "input": ["image", {"image": 1}]}).encode()
    made.ask = made.asks.read_request(made.request.body, made.named)
    assert looked(made) == Traits(tokens=len(made.request.body) // 4)


SESSIONS = [
    ("anthropic", {b"x-claude-code-session-id": b"one"}, {b"x-claude-code-session-id": b"two"}),
    ("openai_responses", {b"session-id": b"one"}, {b"session-id": b"two"}),
    ("openai_chat", {b"x-session-affinity": b"one"}, {b"x-session-affinity": b"two"}),
    ("gemini", {b"x-trunkline-session": b"one"}, {b"x-trunkline-session": b"two"}),
]


@pytest.mark.parametrize(("dialect", "one", "two"), SESSIONS)
def test_a_session_is_one_keys_own(inside: Inside, dialect: str, one: dict[bytes, bytes], two: dict[bytes, bytes]) -> None:
    """Two clients that count their sessions from 1 would crowd at one target, or one's be split over two."""
    bodies: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "anthropic": (
            {"model": "m", "max_tokens": 9, "messages": [USER]},
            {"model": "m", "max_tokens": 9, "messages": [USER] * 3},
        ),
        "openai_responses": ({"model": "m", "input": "a"}, {"model": "m", "input": "b"}),
        "openai_chat": (user("a"), user("b")),
        "gemini": ({"contents": [{"parts": [{"text": "a"}]}]}, {"contents": [{"parts": [{"text": "b"}]}]}),
    }
    first, second = bodies[dialect]

    def at(body: dict[str, Any], headers: dict[bytes, bytes], affinity: Affinity = "session", key: bytes = b"k") -> int | None:
        made = exchange(inside, dialect, body, headers)
        made.principal = Principal("k", key)
        return place(made, affinity)

    assert at(first, one) == at(second, one)
    assert at(first, one) != at(first, two)
    assert at(first, one) != at(first, one, key=b"other")
    assert at(first, one, "none") is None
    assert at(first, one, "prompt") == at(first, two, "prompt", b"other"), "what begins alike meets, whoever sends it"
    assert at(first, {}) == at(first, two, "prompt"), "without a session by its prompt"
    found = at(first, one)
    assert found is not None
    assert 0 <= found < 2**64


def test_a_route_that_looks_for_nothing_has_its_default(inside: Inside, upstream: Upstream) -> None:
    """What the harness's model looks for would hide what these tests are about."""
    route = inside.parts.live.snapshot.routes["m"]
    assert isinstance(route, Route)
    assert (route.looks, route.affinity) == (frozenset(), "none")
    assert upstream.requests == []
