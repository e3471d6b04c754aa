"""Every recorded request, asked again through each SDK: what reaches the provider means what was recorded.

And word for word where client and provider speak the same; and, posted as it was recorded, at providers that speak another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from conformance.asked import Asked, asked
from conformance.clients import CLIENTS
from conformance.meaning import arrived, effective, plain
from conformance.recordings import Recording, combined, parameters
from conformance.said import Json
from conformance.saying import can
from conformance.stage import OWN_KINDS, PLAY_ENDPOINTS, Part, Stage, all_recordings, part_of, spoken
from harness.client import Reply, request
from harness.gateway import KEY, Gateway
from harness.script import Seen

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
ANSWERS: dict[str, Json] = {
    "openai": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": _USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    },
    "anthropic": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ok"}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
    },
    "ollama": {
        "model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "ok"}, "done": True,
        "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1,
    },
    "responses": {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [
            {
                "id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "ok", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
    },
    "bedrock": {
        "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    },
    "cohere": {
        "id": "c", "message": {"role": "assistant", "content": [{"type": "text", "text": "ok"}]}, "finish_reason": "COMPLETE",
        "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}},
    },
}  # fmt: skip


def answering(part: Part) -> Part:
    """The part with an answer of a single word."""
    body = json.dumps(ANSWERS[spoken(part.endpoint)]).encode()
    return part._replace(answer=lambda _: (200, {"content-type": "application/json"}, body))


_KEPT = ("file_id", "previous_response", "s3Location")
"""What names a thing that only its provider has."""
#: Requests that their own provider found no fault with.
GOOD = [
    one
    for one in all_recordings()
    if one.request and one.status not in {400, 422} and not any(word in str(one.request) for word in _KEPT)
]
#: That have clients.
POSTED = [one for one in GOOD if spoken(one.endpoint) in CLIENTS]
ALL = pytest.mark.parametrize("recording", parameters(POSTED))
#: A model of each API of which nothing is known.
ANY = {
    name: Part(f"any-{name}", OWN_KINDS.get(name, name), endpoint, "some-model", lambda _: (200, {}, b""))
    for name, endpoint in {**PLAY_ENDPOINTS, "cohere": "cohere.chat"}.items()
}
PATHS = {
    "openai.chat": "/v1/chat/completions",
    "anthropic.messages": "/v1/messages",
    "gemini.generate_content": "/v1beta/models/{model}:generateContent",
    "gemini.stream_generate_content": "/v1beta/models/{model}:generateContent",
    "ollama.chat": "/api/chat",
    "ollama.generate": "/api/generate",
    "openai.responses": "/v1/responses",
}


_LEFT = {"response_format": ("schema", "json", "system"), "tool_choice": ("choice", "tools"), "reasoning_effort": ("thinks",)}
"""What of `Asked` is not looked at where the gateway says that it dropped this; else it is the same name."""
_INEXACT = {"reasoning_effort"}
"""Told where a measure of thinking can only be met roughly: an effort for a number of tokens."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway with a provider for every recording, and one of each API."""
    folder = tmp_path_factory.mktemp("requests")
    parts = [answering(part) for part in [*map(part_of, GOOD), *ANY.values()]]
    with Stage(lambda config: Gateway(config, folder), parts) as running:
        yield running


def read(endpoint: str, seen: Seen) -> Asked:
    """What the provider was asked."""
    return asked(endpoint, json.loads(seen.body))


def compare(want: Asked, got: Asked, *leave: str) -> None:
    """Field by field, so that a failure names one; `thinks` only where it was said."""
    wanted, found = plain(effective(want)), plain(effective(got))
    for name, value in wanted.items():
        if name in leave or (name == "thinks" and value is None) or (name == "turns" and arrived(want, got)):
            continue
        assert found[name] == value, name
    assert not (want.effort and got.effort) or got.effort == want.effort


def saying(recording: Recording, client: str) -> Asked | None:
    """The recorded question as far as this API has words for it."""
    return can(client, asked(recording.endpoint, recording.request))


@combined("recording, client", ((one, who) for who in CLIENTS for one in GOOD if saying(one, who)))
def test_asked_through_an_sdk_it_means_what_was_recorded(recording: Recording, client: str, stage: Stage) -> None:
    """Whoever moves to another SDK must reach the same model with the same question."""
    want = saying(recording, client)
    assert want is not None
    part = stage.parts[part_of(recording).name]
    scene = stage.ask(part, client, lambda sdk, model: sdk.ask(model, want, stream=False))
    assert not scene.heard.raised, scene.heard.said.error
    assert scene.heard.said.text == "ok"
    got = read(
        recording.endpoint.replace("generate", "chat") if "ollama" in recording.endpoint else recording.endpoint, scene.seen[0]
    )
    compare(want, got)
    assert spoken(recording.endpoint) in {"gemini", "bedrock"} or scene.sent["model"] == part.model
    assert part.model in unquote(scene.seen[0].head.decode()) + scene.seen[0].body.decode()
    dropped = scene.heard.head.get("x-trunkline-dropped", "")
    left = [name for name in dropped.split(", ") if name and name not in _INEXACT and not name.endswith(".name")]
    assert not left, f"everything it asks for was taken by this provider, but dropped: {left}"


def posted(recording: Recording, part: Part, stage: Stage) -> tuple[Reply, list[Seen]]:
    """The recorded body at its own API's endpoint, but for the model."""
    model = f"{part.name}/{part.model}"
    body = {name: model if name == "model" else value for name, value in recording.request.items() if name != "stream"}
    if recording.endpoint.startswith("ollama"):
        body["stream"] = False
    raw = json.dumps(body).encode()
    headers = [("authorization", f"Bearer {KEY}"), ("content-type", "application/json"), ("anthropic-version", "2023-06-01")]
    before = len(stage.upstream.requests)
    with stage.gateway.connect() as wire:
        wire.send(request("POST", PATHS[recording.endpoint].format(model=model), headers, raw))
        reply = wire.read_reply()
    assert reply is not None, stage.gateway.output()
    return reply, stage.upstream.requests[before:]


@ALL
def test_posted_at_its_own_api_it_arrives_as_it_was(recording: Recording, stage: Stage) -> None:
    """Caches and signatures hang on the bytes: nothing but the model's name may change."""
    part = stage.parts[part_of(recording).name]
    reply, seen = posted(recording, part, stage)
    assert reply.status == 200, reply.body
    body: dict[str, Any] = {name: value for name, value in recording.request.items() if name != "stream"}
    if recording.endpoint.startswith("ollama"):
        body["stream"] = False
    if not recording.endpoint.startswith("gemini"):
        body["model"] = part.model
    assert json.loads(seen[0].body) == body
    assert KEY.encode() not in seen[0].head


def links(recording: Recording) -> list[str]:
    """URLs of pictures and files."""
    turns = asked(recording.endpoint, recording.request).turns
    return [item.data for turn in turns for item in turn.items if item.data.startswith("http")]


OTHERS = [(one, other) for other in ANY for one in POSTED if other != spoken(one.endpoint)]
"""Each with the providers of another API; at those of the same its bytes pass."""
FETCHED = [(one, other) for one, other in OTHERS if other in {"gemini", "ollama", "bedrock"} and links(one)]
"""Those where the gateway itself must fetch what the request names."""


@combined("recording, other", (pair for pair in OTHERS if pair not in FETCHED))
def test_posted_at_its_own_api_it_means_the_same_to_another_provider(recording: Recording, other: str, stage: Stage) -> None:
    """What real programs send must reach any provider, or be refused with the field that it cannot take."""
    question, want = asked(recording.endpoint, recording.request), saying(recording, other)
    reply, seen = posted(recording, ANY[other], stage)
    if reply.status == 400:
        assert b"cannot be sent to this model" in reply.body, reply.body
        assert want is None or "cachedContent" in recording.request  # a prompt that only its own provider has
        assert not seen
        return
    assert reply.status == 200, reply.body
    dropped = (reply.header("x-trunkline-dropped") or "").split(", ")
    left = [name for told in dropped for name in _LEFT.get(told, (told,))]
    if other == "anthropic" and not question.max_tokens:
        left.append("max_tokens")  # it must be told some
    if other == "bedrock" and not question.tools:
        left += ["tools", "choice"]  # those that the history calls must be declared
    if question.turns:  # instructions alone are a question where there must be one
        compare(want or question, read(ANY[other].endpoint, seen[0]), *left)


@combined("recording, other", FETCHED)
def test_a_link_that_may_not_be_fetched_is_refused(recording: Recording, other: str, stage: Stage) -> None:
    """A provider that fetches no URLs must not be asked about a picture that it was not given."""
    body = json.dumps(recording.request)
    for link in links(recording):
        body = body.replace(json.dumps(link), '"https://192.0.2.1/picture.png"')  # reserved: no network has it
    reply, seen = posted(recording._replace(request=json.loads(body)), ANY[other], stage)
    assert reply.status == 400
    assert not seen
    error = json.loads(reply.body)["error"]
    assert error["code"] == "url_refused"
    assert "A URL of the request is not fetched" in error["message"]
