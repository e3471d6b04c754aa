"""Embeddings and pictures by the official SDKs, through the real gateway process, in front of a provider of every dialect.

What each provider is asked is looked at here as well: a scripted provider would answer anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest
from google import genai
from google.genai import types

from conformance.recordings import Recording, parameters, recordings
from harness.client import Reply
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import Seen, whole
from harness.upstream import Upstream

VECTORS = {"one": [0.5, -0.25, 1.0], "two": [-1.0, 0.125, 0.0]}
"""What a text's vector is, wherever it is asked for; 32 bits hold these numbers exactly."""
TOKENS = 3
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
TARGETS = {
    "openai_chat": "openai/text-embedding-3-small",
    "google": "gemini/gemini-embedding-001",  # of a model with "gemini" in its name the SDK would ask for one vector
    "predict": "predict/text-embedding-005",
    "ollama": "ollama/nomic-embed-text",
    "cohere": "cohere/embed-v4.0",
    "titan": "bedrock/amazon.titan-embed-text-v2:0",
    "bedrock-cohere": "bedrock/cohere.embed-v4:0",
}
TOLD = {"openai_chat": 3, "predict": 6, "ollama": 3, "cohere": 3, "titan": 6}
"""Input tokens of two texts, where the provider tells them."""
DRAWN = {
    "gpt-image": "openai/gpt-image-1-mini", "grok": "xai/grok-imagine-image", "nano": "gemini/gemini-3-pro-image",
    "imagen": "gemini/imagen-4.0-generate-001",
}  # fmt: skip


def _openai(seen: Seen) -> Any:
    data = [{"object": "embedding", "index": at, "embedding": VECTORS[text]} for at, text in enumerate(seen.fields["input"])]
    usage = {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
    return {"object": "list", "data": data, "model": seen.fields["model"], "usage": usage}


def _batch(seen: Seen) -> Any:
    return {"embeddings": [{"values": VECTORS[one["content"]["parts"][0]["text"]]} for one in seen.fields["requests"]]}


def _predict(seen: Seen) -> Any:
    if "prompt" in seen.fields["instances"][0]:
        made = {"mimeType": "image/png", "bytesBase64Encoded": PNG}
        return {"predictions": [made] * seen.fields["parameters"]["sampleCount"]}
    found = [VECTORS[one["content"]] for one in seen.fields["instances"]]
    return {"predictions": [{"embeddings": {"values": one, "statistics": {"token_count": TOKENS}}} for one in found]}


def _ollama(seen: Seen) -> Any:
    found = [VECTORS[text] for text in seen.fields["input"]]
    return {"model": seen.fields["model"], "embeddings": found, "total_duration": 5, "prompt_eval_count": TOKENS}


def _cohere(seen: Seen) -> Any:
    assert seen.fields["input_type"]
    found = {"float": [VECTORS[text] for text in seen.fields["texts"]]}
    return {"id": "x", "embeddings": found, "meta": {"billed_units": {"input_tokens": TOKENS}}}


def _invoke(seen: Seen) -> Any:
    if "inputText" in seen.fields:
        return {"embedding": VECTORS[seen.fields["inputText"]], "inputTextTokenCount": TOKENS}
    return {"embeddings": {"float": [VECTORS[text] for text in seen.fields["texts"]]}, "response_type": "embeddings_by_type"}


def _images(seen: Seen) -> Any:
    assert not {"quality", "response_format"} <= seen.fields.keys()
    usage = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105, "input_tokens_details": {}}
    return {"created": 1, "data": [{"b64_json": PNG}] * seen.fields.get("n", 1), "usage": usage}


def _generate(seen: Seen) -> Any:
    assert seen.fields["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]
    made = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295}
    return {"candidates": [{"content": {"parts": [made]}, "finishReason": "STOP"}], "usageMetadata": usage}


def _older(seen: Seen) -> Any:
    return {"embedding": VECTORS[seen.fields["prompt"]]}


PLACES = {
    "/v1/embeddings": _openai, ":batchEmbedContents": _batch, ":predict": _predict, "/api/embed": _ollama,
    "/api/embeddings": _older, "/v2/embed": _cohere, "/invoke": _invoke, "/v1/images/generations": _images,
    ":generateContent": _generate,
}  # fmt: skip


def answer(seen: Seen) -> Any:
    """The provider at the path's end."""
    made = next(made for end, made in PLACES.items() if seen.target.endswith(end))
    return [whole(200, json.dumps(made(seen)).encode())]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """All providers at one address."""
    with Upstream() as running:
        running.script(answer)
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway process."""
    base = upstream.url.removesuffix("/v1")
    kinds = {"openai": upstream.url, "xai": upstream.url, "gemini": base, "ollama": base, "cohere": base, "bedrock": base}
    providers: dict[str, Any] = {
        kind: {"kind": kind, "base_url": url, "api_key": PROVIDER_KEY, **({"region": "us-east-1"} if kind == "bedrock" else {})}
        for kind, url in kinds.items()
    }
    providers["predict"] = {**providers["gemini"], "facts": {"text-*": {"form": "predict"}}}
    config = {
        "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "providers": providers,
        "models": {name: {"targets": [target]} for name, target in {**TARGETS, **DRAWN}.items()},
        "keys": [{"name": "tester", "secret": KEY}],
    }
    with Gateway(config, tmp_path_factory.mktemp("tasks")) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(upstream: Upstream) -> None:
    upstream.requests.clear()


def url(gateway: Gateway) -> str:
    """Where it listens."""
    return "http://{}:{}".format(*gateway.listen)


def of_openai(gateway: Gateway) -> openai.OpenAI:
    """OpenAI's client."""
    return openai.OpenAI(base_url=f"{url(gateway)}/v1", api_key=KEY, max_retries=0)


@pytest.mark.parametrize("fields", [{}, {"encoding_format": "float"}, {"dimensions": 3}], ids=["base64", "float", "dimensions"])
@pytest.mark.parametrize("model", TARGETS)
def test_openais_sdk(model: str, fields: dict[str, Any], gateway: Gateway) -> None:
    """The same numbers from every provider, in either spelling, with the tokens that the provider told."""
    with of_openai(gateway) as client:
        told = client.embeddings.create(model=model, input=["one", "two"], **fields)
    assert [(one.index, one.embedding) for one in told.data] == [(0, VECTORS["one"]), (1, VECTORS["two"])]
    assert told.usage.prompt_tokens == told.usage.total_tokens == TOLD.get(model, told.usage.prompt_tokens) > 0


@pytest.mark.parametrize("model", TARGETS)
def test_ollamas_client(model: str, gateway: Gateway) -> None:
    """Both of its questions."""
    with ollama.Client(host=url(gateway), headers={"authorization": f"Bearer {KEY}"}) as client:
        told = client.embed(model, ["one", "two"], truncate=True)
        older = client.embeddings(model, "two")
    assert [list(one) for one in told.embeddings] == [VECTORS["one"], VECTORS["two"]]
    assert told.prompt_eval_count
    assert list(older.embedding) == VECTORS["two"]


@pytest.mark.parametrize("model", TARGETS)
def test_googles_sdk(model: str, gateway: Gateway, upstream: Upstream) -> None:
    """What the vectors are for reaches those who ask for it."""
    config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=3)
    with genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url(gateway))) as client:
        told = client.models.embed_content(model=model, contents=["one", "two"], config=config)
    assert [one.values for one in told.embeddings or []] == [VECTORS["one"], VECTORS["two"]]
    said = {
        "gemini": "RETRIEVAL_QUERY",
        "predict": "RETRIEVAL_QUERY",
        "cohere": "search_query",
        "bedrock-cohere": "search_query",
    }
    assert said.get(model, "") in upstream.requests[0].body.decode()


@pytest.mark.parametrize("model", DRAWN)
def test_openais_sdk_draws(model: str, gateway: Gateway) -> None:
    """Pictures of every kind of provider that makes them."""
    with of_openai(gateway) as client:
        told = client.images.generate(model=model, prompt="a cat", n=2, size="1536x1024", quality="high")
    assert [one.b64_json for one in told.data or []] == [PNG, PNG]
    assert (told.usage is not None) == (model != "imagen")


@pytest.mark.parametrize(
    ("given", "param"),
    [([1, 2], "input[0]"), ([[1], [2]], "input[0]"), ([], "input"), ("", "input"), (["one", ""], "input[1]")],
)
def test_what_cannot_be_embedded_is_told_in_openais_words(given: Any, param: str, gateway: Gateway) -> None:
    """Token arrays mean something to one model only."""
    with of_openai(gateway) as client, pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="google", input=given)
    assert raised.value.param == param


@pytest.mark.parametrize("recording", parameters(recordings("openai.embeddings")))
def test_a_recorded_answer_passes(recording: Recording, gateway: Gateway, upstream: Upstream) -> None:
    """To the byte, as did the request."""
    upstream.then([whole(recording.status, recording.body)])
    reply: Reply = gateway.ask("/v1/embeddings", {**recording.request, "model": f"openai/{recording.request['model']}"})
    assert (reply.status, reply.body) == (recording.status, recording.body)
    assert upstream.requests[0].fields == recording.request


def test_the_ledger_knows_them_all(gateway: Gateway) -> None:
    """By their doors, with the provider's counts, and a price where there is one."""
    with of_openai(gateway) as client:
        client.embeddings.create(model="titan", input=["one", "two"])
        client.images.generate(model="nano", prompt="a cat", n=2)
    gateway.stop()
    rows = gateway.ledger()[-2:]
    assert [(row["endpoint"], row["input_tokens"], row["output_tokens"], row["images"], row["basis"]) for row in rows] == [
        ("embeddings", 6, 0, 0, "reported"),
        ("images.generations", 10, 2580, 2, "reported"),
    ]
    assert rows[1]["cost_nano"] == 10 * 2000 + 2580 * 120_000
