"""Embeddings and pictures through the gateway: bytes that pass, questions that are translated, and what each is charged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dialects.odd import each
from harness.client import request
from harness.gateway import PROVIDER_KEY
from harness.script import Close, Hold, Pause, event, head, whole
from harness.upstream import Upstream
from pipeline.inside import Inside, bearer
from trunkline.canon.usage import Usage
from trunkline.pipeline.attempt import ask_provider
from trunkline.pipeline.exchange import Exchange

PNG = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}
MODELS = {
    "lab": "lab/text-embedding-3-small", "ada": "lab/text-embedding-ada-002", "google": "gemini/gemini-embedding-001",
    "local": "ollama/nomic", "claude": "anthropic/claude-sonnet-4-5", "drawn": "lab/gpt-image-1",
    "nano": "gemini/gemini-2.5-flash-image", "imagen": "gemini/imagen-4.0-generate-001",
    "predicted": "google/text-embedding-005", "small": "small/gemini-embedding-001",
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """A gateway with models of both families."""
    base = upstream.url.removesuffix("/v1")
    facts = {"text-embedding-005": {"form": "predict"}}
    config = {
        "providers": {
            "google": {"kind": "gemini", "base_url": base, "api_key": PROVIDER_KEY, "facts": facts},
            "small": {"kind": "gemini", "base_url": base, "api_key": PROVIDER_KEY, "max_answer": "1KiB"},
        },
        "models": {
            "m": {"targets": ["lab/tiny"]},
            **{name: {"targets": [target]} for name, target in MODELS.items()},
            "formed": {"targets": [MODELS["drawn"]], "facts": {"form": "predict"}},
            "strict": {"targets": [MODELS["ada"]], "unsupported": "strict"},
            "patient": {"targets": [MODELS["google"]], "timeouts": {"total": "60s"}},
            "quick": {"targets": [MODELS["google"]], "timeouts": {"connect": "1s", "total": "300ms"}},
        },
    }
    with Inside(tmp_path_factory.mktemp("task"), upstream.url, config=config) as running:
        yield running


def embedded(*vectors: Any, **more: Any) -> bytes:
    """OpenAI's answer."""
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "big", **more}).encode()


def batch(number: int, **more: Any) -> bytes:
    """Gemini's answer."""
    return json.dumps({"embeddings": [{"values": [float(at)]} for at in range(number)], **more}).encode()


USAGE = {"prompt_tokens": 1000, "total_tokens": 1000}


def test_bytes_pass_between_sides_of_one_dialect(inside: Inside, upstream: Upstream) -> None:
    """As with chat: only the model's name changes, the answer is the provider's own, and it is charged."""
    told = embedded([0.5], usage=USAGE, x=1)
    upstream.then([whole(200, told)])
    reply = inside.ask("/v1/embeddings", {"model": "lab", "input": "a", "y": {"z": 1}})
    seen = upstream.requests[0]
    assert (seen.target, seen.fields) == ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "a", "y": {"z": 1}})
    assert (reply.status, reply.body, reply.header("x-trunkline-dropped")) == (200, told, None)
    record = inside.last()
    assert (record.opened.endpoint, record.opened.dialect, record.outcome) == ("embeddings", "openai_chat", "ok")
    assert (record.usage, json.loads(record.raw_usage)) == (Usage(input=1000, basis="reported"), USAGE)
    assert (record.cost_nano, reply.header("x-trunkline-cost-usd")) == (20_000, "0.000020000")


def test_what_the_model_refuses_is_named(inside: Inside, upstream: Upstream) -> None:
    """Or refused, where the operator wants that."""
    upstream.then([whole(200, embedded([0.5]))])
    fields = {"input": "abcdefgh", "dimensions": 8}
    assert inside.ask("/v1/embeddings", {"model": "ada", **fields}).header("x-trunkline-dropped") == "dimensions"
    assert inside.last().usage == Usage(input=2, basis="estimated")
    assert inside.ask("/v1/embeddings", {"model": "strict", **fields}).status == 400
    assert len(upstream.requests) == 1


def test_a_providers_error_passes_in_its_own_dialect(inside: Inside, upstream: Upstream) -> None:
    """Byte for byte, and in the client's where it speaks another."""
    theirs = b'{"error":{"message":"too long","type":"x","param":null,"code":null,"extra":1}}'
    upstream.then(
        [whole(400, theirs)], [whole(400, b'{"error":{"code":400,"message":"too long","status":"INVALID_ARGUMENT"}}')]
    )
    reply = inside.ask("/v1/embeddings", {"model": "lab", "input": "a"})
    assert (reply.status, reply.body) == (400, theirs)
    reply = inside.ask("/v1/embeddings", {"model": "google", "input": "a"})
    assert reply.status == 400
    assert json.loads(reply.body)["error"]["message"] == "too long"
    assert "type" in json.loads(reply.body)["error"]


def test_a_question_in_several_requests(inside: Inside, upstream: Upstream) -> None:
    """Each vector stands in its place, however the answers come; what all of them used is charged."""

    def handler(seen: Any) -> Any:
        asked = [float(one["content"]["parts"][0]["text"]) for one in seen.fields["requests"]]
        told = {"embeddings": [{"values": [one]} for one in asked], "usageMetadata": {"promptTokenCount": len(asked)}}
        return [whole(200, json.dumps(told).encode())]

    upstream.script(handler)
    try:
        reply = inside.ask("/v1/embeddings", {"model": "google", "input": [str(at) for at in range(550)], "user": "u"})
    finally:
        upstream.script(None)
    assert len(upstream.requests) == 6
    assert [one["embedding"] for one in json.loads(reply.body)["data"]] == [[float(at)] for at in range(550)]
    assert reply.header("x-trunkline-dropped") == "user"
    assert inside.last().usage == Usage(input=550, basis="reported")


def test_a_failure_among_several_is_one(inside: Inside, upstream: Upstream) -> None:
    """Half an answer is none, but what was answered is charged."""
    upstream.then([whole(200, batch(100, usageMetadata={"promptTokenCount": 7}))], [Hold(), whole(503, b"{}")])
    with inside.connect() as wire:
        body = json.dumps({"model": "google", "input": ["a"] * 150}).encode()
        wire.send(request("POST", "/v1/embeddings", bearer(), body))
        first = upstream.wait_requests(2)[0]
        upstream.wait_ended(first)
        upstream.release()
        reply = wire.read_reply()
    upstream.hold_again()
    assert reply is not None
    assert reply.status == 503
    record = inside.last()
    assert (record.outcome, record.usage.input, record.usage.basis) == ("upstream_error", 7, "reported")


@pytest.mark.parametrize(("first", "tokens"), [(batch(100), 225), (b"{", 0)], ids=["untold", "unread"])
def test_what_was_answered_before_a_failure(first: bytes, tokens: int, inside: Inside, upstream: Upstream) -> None:
    """Its share of the question is estimated; what cannot be read hides no other error."""
    upstream.script(
        lambda seen: [whole(200, first)] if len(seen.fields["requests"]) == 100 else [Pause(0.2), whole(429, b"{}")]
    )
    try:
        reply = inside.ask("/v1/embeddings", {"model": "google", "input": ["abcdefgh"] * 150})
    finally:
        upstream.script(None)
    assert reply.status == 429
    assert inside.last().usage.input == tokens


def test_the_deadline_is_one_for_all(inside: Inside, upstream: Upstream) -> None:
    """A client waits for its answer, not for each of many requests."""
    upstream.script("sleep=200")
    try:
        reply = inside.ask("/v1/embeddings", {"model": "quick", "input": ["a"] * 900})
    finally:
        upstream.script(None)
    assert reply.status == 504
    assert inside.last().usage.basis == "estimated"


def test_each_of_several_has_what_is_left(inside: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are out at once must not write their shorter deadline into the request's own, which others read."""
    totals: list[tuple[float, float]] = []

    async def ask(exchange: Exchange, *rest: Any) -> Any:
        answer = await ask_provider(exchange, *rest)
        totals.append((exchange.deadlines.total, rest[-1][0].total))
        return answer

    monkeypatch.setattr("trunkline.pipeline.task.ask_provider", ask)
    upstream.script(lambda seen: [whole(200, batch(len(seen.fields["requests"])))])
    try:
        assert inside.ask("/v1/embeddings", {"model": "patient", "input": ["a"] * 550}).status == 200
    finally:
        upstream.script(None)
    own, left = {own for own, _ in totals}, {left for _, left in totals}
    assert own == {60.0}
    assert len(left) == 6
    assert max(left) < 60.0


def test_answers_are_bounded_together(inside: Inside, upstream: Upstream) -> None:
    """Many requests must not hold many times what one may."""
    big = batch(100, pad="x" * 2000)
    upstream.then([whole(200, big)])
    reply = inside.ask("/v1/embeddings", {"model": "small", "input": ["a"] * 100})
    assert reply.status == 502


def test_a_missing_vector_is_the_providers_fault(inside: Inside, upstream: Upstream) -> None:
    """It is charged all the same."""
    upstream.then([whole(200, batch(1, usageMetadata={"promptTokenCount": 7}))])
    reply = inside.ask("/v1/embeddings", {"model": "google", "input": ["a", "b"]})
    assert reply.status == 502
    assert (inside.last().outcome, inside.last().usage.input) == ("upstream_error", 7)


def test_ollamas_and_geminis_clients_too(inside: Inside, upstream: Upstream) -> None:
    """Each in its own form."""
    answer = [whole(200, embedded([0.5], usage=USAGE))]
    upstream.then(answer, answer, answer, answer)
    told = inside.ask("/api/embed", {"model": "lab", "input": "a", "keep_alive": 5})
    assert (json.loads(told.body)["embeddings"], told.header("x-trunkline-dropped")) == ([[0.5]], "keep_alive")
    assert json.loads(inside.ask("/api/embeddings", {"model": "lab", "prompt": "a"}).body) == {"embedding": [0.5]}
    content = {"parts": [{"text": "a"}]}
    told = inside.ask("/v1beta/models/lab:embedContent", {"content": content, "taskType": "CLUSTERING"})
    assert json.loads(told.body)["embedding"] == {"values": [0.5]}
    assert told.header("x-trunkline-dropped") == "input_type"
    told = inside.ask("/v1/models/lab:batchEmbedContents", {"requests": [{"model": "models/lab", "content": content}]})
    assert json.loads(told.body)["embeddings"] == [{"values": [0.5]}]
    endpoints = [record.endpoint for record in inside.books.opened]
    assert endpoints == ["ollama.embed", "ollama.embeddings", "gemini.embedContent", "gemini.batchEmbedContents"]


def test_a_model_that_only_predicts(inside: Inside, upstream: Upstream) -> None:
    """Not even a client of the same dialect can be passed on: it asks for an action that the model has not."""
    upstream.then([whole(200, b'{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":3}}}]}')])
    reply = inside.ask("/v1beta/models/predicted:embedContent", {"content": {"parts": [{"text": "a"}]}})
    assert upstream.requests[0].target == "/v1beta/models/text-embedding-005:predict"
    assert json.loads(reply.body)["embedding"] == {"values": [0.5]}


@pytest.mark.parametrize(
    ("path", "fields", "noun"),
    [
        ("/v1/embeddings", {"model": "claude", "input": "a"}, "embeddings"),
        ("/v1/embeddings", {"model": "echo/echo", "input": "a"}, "embeddings"),
        ("/v1/images/generations", {"model": "local", "prompt": "a"}, "pictures"),
    ],
)
def test_a_provider_that_cannot(inside: Inside, upstream: Upstream, path: str, fields: Any, noun: str) -> None:
    """The client is told who can, and nobody is asked."""
    reply = inside.ask(path, fields)
    assert reply.status == 400
    message = json.loads(reply.body)["error"]["message"]
    assert f"makes no {noun}" in message
    assert "gemini" in message
    assert "anthropic, " not in message
    assert upstream.requests == []


def test_pictures_pass_between_sides_of_one_dialect(inside: Inside, upstream: Upstream) -> None:
    """They are counted, and priced by their tokens."""
    usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
    told = json.dumps({"created": 1, "data": [{"b64_json": "aaaa"}], "usage": usage}).encode()
    upstream.then([whole(200, told)])
    reply = inside.ask("/v1/images/generations", {"model": "drawn", "prompt": "a cat", "size": "1024x1024"})
    assert (reply.status, reply.body) == (200, told)
    record = inside.last()
    assert record.usage == Usage(input=5, output=100, images=1, basis="reported")
    assert record.cost_nano == 5 * 5000 + 100 * 40000


def test_a_form_that_is_no_picture_models_changes_nothing(inside: Inside, upstream: Upstream) -> None:
    """An operator's slip in a fact must not be a fault of ours."""
    upstream.then([whole(200, b'{"created":1,"data":[]}')])
    assert inside.ask("/v1/images/generations", {"model": "formed", "prompt": "a cat"}).status == 200


def test_pictures_without_tokens_have_no_price(inside: Inside, upstream: Upstream) -> None:
    """They are paid for by the piece: to call them free would be a lie."""
    upstream.then([whole(200, b'{"created":1,"data":[{"url":"https://x"},{"url":"https://y"}]}')])
    reply = inside.ask("/v1/images/generations", {"model": "drawn", "prompt": "a cat."})
    assert (reply.status, reply.header("x-trunkline-cost-usd")) == (200, None)
    record = inside.last()
    assert (record.usage, record.cost_nano) == (Usage(input=2, images=2, basis="estimated"), None)


def test_pictures_of_a_gemini_model(inside: Inside, upstream: Upstream) -> None:
    """Two pictures are two requests; what they used is charged together."""
    told = {
        "candidates": [{"content": {"parts": [PNG]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1290},
    }
    upstream.then(*([whole(200, json.dumps(told).encode())] for _ in range(2)))
    asked = {"model": "nano", "prompt": "a cat", "n": 2, "size": "1536x1024", "response_format": "url"}
    reply = inside.ask("/v1/images/generations", asked)
    assert [one["b64_json"] for one in json.loads(reply.body)["data"]] == ["aaaa", "aaaa"]
    assert reply.header("x-trunkline-dropped") == "response_format, size"
    record = inside.last()
    assert record.usage == Usage(input=8, output=2580, images=2, basis="reported")
    assert record.cost_nano == 8 * 300 + 2580 * 30_000


def test_pictures_of_imagen(inside: Inside, upstream: Upstream) -> None:
    """Counted, and without a price: nobody tells tokens."""
    upstream.then([whole(200, b'{"predictions":[{"bytesBase64Encoded":"aaaa","mimeType":"image/png"}]}')])
    reply = inside.ask("/v1/images/generations", {"model": "imagen", "prompt": "a cat"})
    assert upstream.requests[0].target == "/v1beta/models/imagen-4.0-generate-001:predict"
    assert json.loads(reply.body)["output_format"] == "png"
    assert (inside.last().usage.images, inside.last().cost_nano) == (1, None)


def test_pictures_that_are_held_back_are_charged(inside: Inside, upstream: Upstream) -> None:
    """The client sees an error, the ledger what it cost."""
    told = {
        "candidates": [{"finishReason": "IMAGE_SAFETY"}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1},
    }
    upstream.then([whole(200, json.dumps(told).encode())])
    reply = inside.ask("/v1/images/generations", {"model": "nano", "prompt": "a cat"})
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "content_policy_violation")
    record = inside.last()
    assert (record.outcome, record.usage.input, record.cost_nano) == ("upstream_error", 4, 4 * 300 + 2500)


def test_a_stream_of_pictures_passes(inside: Inside, upstream: Upstream) -> None:
    """Half-made pictures as they come; the usage stands in the last event."""
    usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
    events = event({"type": "image_generation.partial_image", "b64_json": "aa"})
    events += event({"type": "image_generation.completed", "b64_json": "aaaa", "usage": usage})
    lines = head(200, [("content-type", "text/event-stream"), ("content-length", str(len(events)))])
    upstream.then([lines + events])
    reply = inside.ask("/v1/images/generations", {"model": "drawn", "prompt": "a cat", "stream": True})
    assert (reply.header("content-type"), reply.body) == ("text/event-stream", events)
    record = inside.last()
    assert (record.opened.stream, record.usage.output, record.usage.images) == (True, 100, 1)
    assert record.cost_nano == 5 * 5000 + 100 * 40000


def test_a_stream_of_pictures_whose_tokens_nobody_tells(inside: Inside, upstream: Upstream) -> None:
    """Paid for by the piece, they must not be free to who asks for a stream."""
    events = event({"type": "image_generation.partial_image", "b64_json": "aa"})
    events += 2 * event({"type": "image_generation.completed", "b64_json": "aaaa"})
    lines = head(200, [("content-type", "text/event-stream"), ("content-length", str(len(events)))])
    upstream.then([lines + events])
    inside.ask("/v1/images/generations", {"model": "drawn", "prompt": "a cat", "stream": True})
    record = inside.last()
    assert (record.usage.images, record.usage.basis, record.cost_nano) == (2, "estimated", None)


def test_a_stream_of_pictures_cannot_be_translated(inside: Inside, upstream: Upstream) -> None:
    """It is refused before anybody is asked."""
    reply = inside.ask("/v1/images/generations", {"model": "nano", "prompt": "a cat", "stream": True})
    assert (reply.status, json.loads(reply.body)["error"]["param"]) == (400, "stream")
    assert upstream.requests == []


def test_an_answer_that_breaks_is_estimated(inside: Inside, upstream: Upstream) -> None:
    """The provider charges for what it did."""
    upstream.then([head(200, [("content-type", "application/json"), ("content-length", "100")]) + b'{"da', Close()])
    reply = inside.ask("/v1/embeddings", {"model": "lab", "input": "abcdefgh"})
    assert reply.status == 502
    assert inside.last().usage == Usage(input=2, basis="estimated")


@pytest.mark.parametrize(
    "answered", [b"{}", b"[]", b'{"data":[],"embeddings":[],"candidates":[]}', b"null", b"", b'{"error":5}']
)
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/embeddings", {"model": "google", "input": ["a"], "dimensions": 8, "encoding_format": "base64"}),
        ("/v1/embeddings", {"model": "lab", "input": [[1], [2]], "dimensions": 8}),
        ("/api/embed", {"model": "lab", "input": ["a"], "truncate": True, "options": {}}),
        ("/api/embeddings", {"model": "lab", "prompt": "a"}),
        ("/v1beta/models/lab:batchEmbedContents", {"requests": [{"content": {"parts": [{"text": "a"}]}, "taskType": "X"}]}),
        ("/v1/images/generations", {"model": "nano", "prompt": "a", "n": 1, "size": "1x1", "stream": False}),
    ],
)
def test_nobodys_bytes_are_a_fault_of_ours(path: str, told: Any, answered: bytes, inside: Inside, upstream: Upstream) -> None:
    """Whatever comes from either side, at any place: an answer, a 4xx or a 502."""
    upstream.script(lambda _: [whole(200, answered)])
    try:
        with inside.connect() as wire:
            for body in list(each(told))[:: 1 if answered == b"{}" else 9]:
                wire.send(request("POST", path, bearer(), body))
                reply = wire.read_reply()
                assert reply is not None
                assert reply.status in {200, 400, 404, 502}, (body, reply.body)
    finally:
        upstream.script(None)


def test_a_bug_among_several_is_ours(inside: Inside, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no failure of a provider stays what it is."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("trunkline.pipeline.task.ask_provider", broken)
    assert inside.ask("/v1/embeddings", {"model": "google", "input": "a"}).status == 500
