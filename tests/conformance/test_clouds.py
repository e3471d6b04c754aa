"""Azure OpenAI and Vertex AI through the real gateway process: recorded answers and scripted ones, asked for by the SDKs.

Where they part from the APIs that they host is the path, the credential and some fields; what is said is the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conformance.clients import CLIENTS, Client, Heard
from conformance.plays import CALLS, PLAYS, SEAL, TEXT, THOUGHT
from conformance.recordings import Recording, combined, parameters, recordings
from conformance.said import Json
from conformance.stage import HELLO, Part, Scene, Stage, cut_of, part_of, streams, wanted
from conformance.test_answers import check_error, check_whole
from credentials.accounts import answered, claims, form, granted, service_account
from harness.client import request
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import Hold, Seen
from harness.upstream import Upstream

TOKEN = "ya29.a-token-of-the-lab"
VERSION = "2024-10-21"
CLAUDE = "claude-sonnet-4-5@20250929"
GEMINI_BASE = "/v1/projects/lab-1/locations/europe-west4/publishers"
ENDPOINTS = ("openai.chat", "gemini.generate_content", "gemini.stream_generate_content")
RECORDED = [one for endpoint in ENDPOINTS for one in recordings(endpoint) if one.provider in {"azure", "vertex"}]
OWN = {"azure": "openai", "vertex": "gemini"}
PLAYED = combined("recording, client", ((one, who) for one in RECORDED for who in CLIENTS))
_numbers = count(1)


class Clouds(NamedTuple):
    """What the tests meet."""

    stage: Stage
    tokens: Upstream
    scenes: dict[tuple[str, str], Scene]
    """Each recording is played once to each client."""


def played(recording: Recording) -> Part:
    """A cloud that answers with this recording."""
    return part_of(recording)._replace(kind=recording.provider)


def claude(seen: Seen) -> tuple[int, dict[str, str], bytes]:
    """Claude on Vertex AI."""
    if "count-tokens" in seen.target:
        return 200, {"content-type": "application/json"}, b'{"input_tokens":42}'
    if b"limit" in seen.body:
        told = {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}}
        return 429, {"content-type": "application/json"}, json.dumps([told]).encode()
    if b"parrot" in seen.body:
        told = {"error": {"code": 401, "message": f"bad {seen.header('authorization')}", "status": "UNAUTHENTICATED"}}
        return 401, {"content-type": "application/json"}, json.dumps(told).encode()
    return 200, *PLAYS["anthropic"].answer(seen.target.endswith(":streamRawPredict"))


def _chunk(choices: list[Json], **fields: Any) -> bytes:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-11-20"}
    return b"data: " + json.dumps({**head, "choices": choices, **fields}).encode() + b"\n\n"


_SAFE = {"hate": {"filtered": False, "severity": "safe"}}
_NAMELESS = {"id": "", "object": "", "created": 0, "model": ""}
_OFFSETS = {"check_offset": 0, "start_offset": 0, "end_offset": 11}
FILTERED = b"".join(
    (
        _chunk([], **_NAMELESS, prompt_filter_results=[{"prompt_index": 0, "content_filter_results": _SAFE}]),
        _chunk(
            [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None, "content_filter_results": {}}]
        ),
        *(_chunk([{"index": 0, "delta": {"content": text}, "finish_reason": None}]) for text in ("Hello ", "world")),
        _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        # the asynchronous filter tells what it found behind the text, in choices that say nothing
        _chunk(
            [{"index": 0, "finish_reason": None, "content_filter_results": _SAFE, "content_filter_offsets": _OFFSETS}],
            **_NAMELESS,
        ),
        _chunk([], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
        b"data: [DONE]\n\n",
    )
)
"""As Azure streams where filters are asynchronous (learn.microsoft.com, content streaming)."""


def filtering(seen: Seen) -> tuple[int, dict[str, str], bytes]:
    """A deployment with filters; one prompt it refuses."""
    if b"bomb" in seen.body:
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True}}}
        told = {"message": "The prompt was filtered.", "type": None, "param": "prompt", "code": "content_filter", "status": 400}
        return 400, {"content-type": "application/json"}, json.dumps({"error": {**told, "innererror": inner}}).encode()
    if b"huge" in seen.body:
        return 413, {"content-type": "text/plain"}, b"Request body too large"
    if b"quota" in seen.body:
        told = {"code": "RateLimitReached", "message": "Retry after 1 second.", "details": "x"}
        headers = {"content-type": "application/json", "retry-after": "1", "retry-after-ms": "0"}
        return 429, headers, json.dumps({"error": told}).encode()
    return 200, {"content-type": "text/event-stream"}, FILTERED


def model_of_ones_own(_: Seen) -> tuple[int, dict[str, str], bytes]:
    """An open model at `endpoints/openapi`."""
    return 200, *PLAYS["deepseek"].answer(stream=False)


RESPONSES = [one for one in recordings("openai.responses") if one.provider == "azure" and b'"choices"' not in one.body]
"""But for one, which is a chat completion."""
PARTS = (
    *(played(one) for one in RECORDED),
    *(played(one) for one in RESPONSES),
    Part("filtered", "azure", "openai.chat", "any-deployment", filtering),
    Part("claude", "vertex", "anthropic.messages", CLAUDE, claude),
    Part("open", "vertex", "openai.chat", "meta/llama-3.3-70b-instruct-maas", model_of_ones_own),
    Part(
        "talk", "vertex", "gemini.generate_content", "gemini-2.5-flash", lambda _: (200, *PLAYS["gemini"].answer(stream=False))
    ),
    Part("gemini", "vertex", "gemini.generate_content", "gemini-2.5-flash", lambda _: (200, {}, b'{"totalTokens":7}')),
)


def settings(name: str, config: Json, account: Path) -> Json:
    """How a cloud is configured, by the part it plays."""
    part = next(part for part in PARTS if part.name == name)
    if part.kind == "azure":
        if part.endpoint == "openai.responses":
            told = {"kind": "azure", "base_url": config["base_url"], "api_key": PROVIDER_KEY, "dialect": "openai_responses"}
            return told | ({"api_version": VERSION} if part.model == "gpt-5-nano" else {})
        own = config["base_url"] + ("/models" if part.model.startswith("grok") else "")
        told = {"kind": "azure", "base_url": own, "api_key": PROVIDER_KEY, "api_version": VERSION}
        return told | {"dialect": "openai_chat"}  # it would speak Responses to a client that does
    told = {"kind": "vertex", "base_url": config["base_url"], "location": "europe-west4"}
    return {**told, "credentials_file": str(account)}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    """One gateway with all of them, and a token server."""
    folder = tmp_path_factory.mktemp("clouds")
    with Upstream() as tokens:
        tokens.script(lambda _: granted(TOKEN))
        account = service_account(folder, f"http://127.0.0.1:{tokens.port}/token")

        def gateway_of(config: Json) -> Gateway:
            told = {name: settings(name, one, account) for name, one in config["providers"].items()}
            return Gateway({**config, "providers": told}, folder)

        with Stage(gateway_of, PARTS) as stage:
            yield Clouds(stage, tokens, {})


def scene_of(clouds: Clouds, recording: Recording, client: str) -> Scene:
    """The recorded answer as this client saw it."""
    if (recording.id, client) not in clouds.scenes:
        clouds.scenes[recording.id, client] = _scene(clouds.stage, recording, client)
    return clouds.scenes[recording.id, client]


def _scene(stage: Stage, recording: Recording, client: str) -> Scene:
    helped = client == "anthropic" or client != OWN[recording.provider]

    def use(sdk: Client, model: str) -> Heard:
        return sdk.ask(model, HELLO, stream=streams(recording), helper=helped and wanted(recording).finish != "content_filter")

    return stage.ask(played(recording), client, use, cut_of(recording, client))


@PLAYED
def test_a_client_sees_what_a_cloud_said(recording: Recording, client: str, clouds: Clouds) -> None:
    """Filter results before the answer, and other fields of a cloud's own, must not disturb a program."""
    scene, want = scene_of(clouds, recording, client), wanted(recording)
    same = OWN[recording.provider] == client
    if want.error:
        check_error(recording, want, scene.heard, client, same)
    else:
        check_whole(want, scene.heard, client, same)


@PLAYED
def test_the_ledger_says_what_a_cloud_reported(recording: Recording, client: str, clouds: Clouds) -> None:
    """What is billed is what was used."""
    want, row = wanted(recording), clouds.stage.row(scene_of(clouds, recording, client))
    assert row["outcome"] == ("upstream_error" if want.error else "ok")
    if want.spent is not None:
        assert (row["basis"], row["input_tokens"], row["output_tokens"]) == ("reported", want.spent.input, want.spent.output)


@PLAYED
def test_a_cloud_is_asked_in_its_own_way(recording: Recording, client: str, clouds: Clouds) -> None:
    """It would answer 404, or 401."""
    seen = scene_of(clouds, recording, client).seen[0]
    part = played(recording)
    if recording.provider == "azure":
        below = "/models" if part.model.startswith("grok") else f"/openai/deployments/{part.model}"
        assert seen.target == f"/{part.name}{below}/chat/completions?api-version={VERSION}"
        assert (seen.header("api-key"), seen.header("authorization")) == (PROVIDER_KEY, None)
    else:
        action = "streamGenerateContent?alt=sse" if streams(recording) else "generateContent"
        assert seen.target == f"/{part.name}{GEMINI_BASE}/google/models/{part.model}:{action}"
        assert (seen.header("authorization"), seen.header("x-goog-api-key")) == (f"Bearer {TOKEN}", None)


@pytest.mark.parametrize("recording", parameters(RESPONSES))
def test_azures_responses_pass(recording: Recording, clouds: Clouds) -> None:
    """Its Responses API has no deployment in the path; what it answers arrives to the byte, and the SDK reads it."""
    part = played(recording)
    sdk = clouds.stage.clients["openai"].sdk
    before = len(clouds.stage.upstream.requests)
    model = f"{part.name}/{part.model}"
    with sdk.responses.with_streaming_response.create(model=model, input="Hi", stream=streams(recording)) as reply:
        assert reply.read() == recording.body
    if streams(recording):
        assert [event.type for event in sdk.responses.create(model=model, input="Hi", stream=True)][-1] == "response.completed"
    else:
        assert sdk.responses.create(model=model, input="Hi").id == json.loads(recording.body)["id"]
    below = f"/openai/responses?api-version={VERSION}" if part.model == "gpt-5-nano" else "/openai/v1/responses"
    for seen in clouds.stage.upstream.requests[before:]:
        assert seen.target == f"/{part.name}{below}"
        assert (seen.fields["model"], seen.header("api-key")) == (part.model, PROVIDER_KEY)


@pytest.mark.parametrize("client", CLIENTS)
def test_filters_do_not_disturb_a_stream(client: str, clouds: Clouds) -> None:
    """The first chunk of Azure's has no choice and no name, the last ones have no delta."""
    scene = ask(clouds, "filtered", client, stream=True)
    assert not scene.heard.raised, scene.heard.said.error
    assert (scene.heard.said.text, scene.heard.said.finish) == ("Hello world", "stop")


def test_usage_behind_the_filters_is_booked(clouds: Clouds) -> None:
    """It is told in the last chunk, behind those of the filter."""
    for scene in [ask(clouds, "filtered", client, stream=True) for client in CLIENTS]:
        row = clouds.stage.row(scene)
        assert (row["outcome"], row["basis"], row["input_tokens"], row["output_tokens"]) == ("ok", "reported", 5, 2)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("bomb", 400, "The prompt was filtered."),
        ("huge", 413, "Request body too large"),
        ("quota", 429, "Retry after 1 second."),
    ],
)
def test_azures_errors(word: str, status: int, said: str, client: str, clouds: Clouds) -> None:
    """A program would not know what to do: its gateways do not all speak OpenAI's way."""
    arguments: dict[str, Any] = {"max_tokens": 10, "messages": [{"role": "user", "content": word}]}
    part = clouds.stage.parts["filtered"]
    scene = clouds.stage.ask(part, client, lambda sdk, model: sdk.send(model, arguments, stream=False))
    assert (scene.heard.said.status, scene.heard.said.error) == (status, said)
    assert scene.heard.head.get("retry-after") == ("1" if status == 429 else None)


def ask(clouds: Clouds, name: str, client: str, stream: bool) -> Scene:
    """Say hello to a part, once in each way."""
    part, way = clouds.stage.parts[name], (f"{name} {stream}", client)
    if way not in clouds.scenes:
        clouds.scenes[way] = clouds.stage.ask(part, client, lambda sdk, model: sdk.ask(model, HELLO, stream=stream), "random")
    return clouds.scenes[way]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_claude_on_vertex(client: str, stream: bool, clouds: Clouds) -> None:
    """Whoever asks for Claude at Google must be answered by it, thinking, state and tool calls and all."""
    scene = ask(clouds, "claude", client, stream)
    heard, seen = scene.heard, scene.seen[0]
    assert not heard.raised, heard.said.error
    assert (heard.said.text, heard.said.thinking) == (TEXT, THOUGHT)
    assert [(call.name, call.arguments) for call in heard.said.calls] == [*CALLS]
    if client != "ollama":
        assert any(seal == SEAL or SEAL.encode() in base64.b64decode(seal + "==") for seal in heard.said.seals)
    action = "streamRawPredict" if stream else "rawPredict"
    assert seen.target == f"/claude{GEMINI_BASE}/anthropic/models/{CLAUDE}:{action}"
    assert seen.header("authorization") == f"Bearer {TOKEN}"
    assert seen.header("anthropic-version") is None
    assert scene.sent["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in scene.sent
    assert scene.sent.get("stream", False) is stream


def test_claude_on_vertex_costs_what_google_takes(clouds: Clouds) -> None:
    """The accounts would be empty of it, whole or streamed, whoever asked."""
    for scene in [ask(clouds, "claude", client, stream) for client in CLIENTS for stream in (False, True)]:
        row = clouds.stage.row(scene)
        assert (row["outcome"], row["basis"], row["input_tokens"], row["output_tokens"]) == ("ok", "reported", 10, 20)
        assert row["cost_nano"] == 10 * 3000 + 20 * 15000


def test_what_claudes_own_clients_say_passes(clouds: Clouds) -> None:
    """A field that is newer than we are, or a beta that Vertex knows, must arrive; one that it refuses must not."""
    arguments = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}], "extra_body": {"newer": {"a": 1.50}}}
    betas = {"extra_headers": {"anthropic-beta": "interleaved-thinking-2025-05-14,prompt-caching-scope-2026-01-05"}}
    part = clouds.stage.parts["claude"]
    scene = clouds.stage.ask(part, "anthropic", lambda sdk, model: sdk.send(model, {**arguments, **betas}, stream=False))
    assert scene.sent["newer"] == {"a": 1.5}
    assert scene.seen[0].header("anthropic-beta") == "interleaved-thinking-2025-05-14"
    assert scene.heard.head["x-trunkline-dropped"] == "anthropic-beta: prompt-caching-scope-2026-01-05"


def test_claude_counts_on_vertex(clouds: Clouds) -> None:
    """Claude Code asks before it compacts a conversation."""
    sdk = clouds.stage.clients["anthropic"].sdk
    before = len(clouds.stage.upstream.requests)
    told = sdk.messages.count_tokens(model=f"claude/{CLAUDE}", messages=[{"role": "user", "content": "Hello"}], system="Be.")
    assert told.input_tokens == 42
    seen = clouds.stage.upstream.requests[before]
    assert seen.target == f"/claude{GEMINI_BASE}/anthropic/models/count-tokens:rawPredict"
    assert (seen.fields["model"], seen.fields["system"]) == (CLAUDE, "Be.")


def test_gemini_counts_on_vertex(clouds: Clouds) -> None:
    """Vertex knows no `generateContentRequest`."""
    before = len(clouds.stage.upstream.requests)
    told = clouds.stage.clients["gemini"].sdk.models.count_tokens(model="gemini/gemini-2.5-flash", contents="Hello")
    assert told.total_tokens == 7
    sdk = clouds.stage.clients["anthropic"].sdk
    told = sdk.messages.count_tokens(
        model="gemini/gemini-2.5-flash", messages=[{"role": "user", "content": "Hi"}], system="Be."
    )
    assert told.input_tokens == 7
    for seen in clouds.stage.upstream.requests[before:]:
        assert seen.target == f"/gemini{GEMINI_BASE}/google/models/gemini-2.5-flash:countTokens"
        assert set(seen.fields) <= {"contents", "systemInstruction", "generationConfig"}


def test_vertex_hears_of_two_roles_only(clouds: Clouds) -> None:
    """It refuses every other: instructions and results of tools must stand where it takes them."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "12:00"},
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Thanks."},
    ]
    tools = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}]
    part = clouds.stage.parts["talk"]
    arguments = {"messages": messages, "tools": tools}
    scene = clouds.stage.ask(part, "openai", lambda sdk, model: sdk.send(model, arguments, stream=False))
    assert not scene.heard.raised, scene.heard.said.error
    assert {content["role"] for content in scene.sent["contents"]} == {"user", "model"}
    assert "Be brief." in json.dumps(scene.sent["systemInstruction"])


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_an_open_model_on_vertex(client: str, clouds: Clouds) -> None:
    """Llama at Google would be asked for in Gemini's words."""
    scene = ask(clouds, "open", client, stream=False)
    assert not scene.heard.raised, scene.heard.said.error
    assert scene.heard.said.text == TEXT
    assert scene.seen[0].target == "/open/v1beta1/projects/lab-1/locations/europe-west4/endpoints/openapi/chat/completions"
    assert scene.sent["model"] == "meta/llama-3.3-70b-instruct-maas"


@pytest.mark.parametrize("client", ["anthropic", "openai"])
def test_googles_own_errors_about_claude(client: str, clouds: Clouds) -> None:
    """Its quota is told in Google's form, in a list."""
    part = clouds.stage.parts["claude"]
    arguments = {"max_tokens": 10, "messages": [{"role": "user", "content": "limit"}]}
    scene = clouds.stage.ask(part, client, lambda sdk, model: sdk.send(model, arguments, stream=False))
    assert "RateLimitError" in scene.heard.raised
    assert scene.heard.said.error == "Quota exceeded."


def test_a_token_said_back_is_blotted_out(clouds: Clouds) -> None:
    """A client could read the token out of an error, and use it."""
    arguments: dict[str, Any] = {"max_tokens": 10, "messages": [{"role": "user", "content": "parrot"}]}
    part = clouds.stage.parts["claude"]
    scene = clouds.stage.ask(part, "anthropic", lambda sdk, model: sdk.send(model, arguments, stream=False))
    assert scene.seen[0].header("authorization") == f"Bearer {TOKEN}"
    assert scene.heard.said.error == "bad Bearer ***"
    assert TOKEN not in clouds.stage.gateway.output() + json.dumps(clouds.stage.row(scene))


def test_the_token_was_asked_for_once_by_each_provider(clouds: Clouds) -> None:
    """Each request would wait for Google's token server."""
    asked = clouds.tokens.wait_requests(sum(part.kind == "vertex" for part in PARTS))
    assert len(asked) == sum(part.kind == "vertex" for part in PARTS)
    assert {claims(form(seen)["assertion"])["iss"] for seen in asked} == {"gateway@lab-1.iam.gserviceaccount.com"}


# a token server in trouble ------------------------------------------------------------------------------------------------


class Lab(NamedTuple):
    """A gateway of its own with Claude on Vertex behind it."""

    gateway: Gateway
    tokens: Upstream
    upstream: Upstream

    def ask(self) -> tuple[int, Json]:
        """One request."""
        number = next(_numbers)
        reply = self.gateway.ask("/v1/messages", {**MESSAGE, "metadata": {"user_id": f"u{number}"}})
        return reply.status, json.loads(reply.body)


MESSAGE = {"model": f"vertex/{CLAUDE}", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Not started yet, so that a test may say first what the token server does."""
    with Upstream() as tokens, Upstream() as upstream:
        upstream.script(lambda _: answered(PLAYS_WHOLE))
        account = service_account(tmp_path, f"http://127.0.0.1:{tokens.port}/token")
        provider = {"base_url": f"http://127.0.0.1:{upstream.port}", "credentials_file": str(account)}
        config = {
            "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "providers": {"vertex": provider},
            "keys": [{"name": "tester", "secret": KEY}],
        }
        gateway = Gateway(config, tmp_path)
        yield Lab(gateway, tokens, upstream)
        gateway.kill()


PLAYS_WHOLE = json.loads(PLAYS["anthropic"].answer(stream=False)[1])


def test_many_first_requests_make_one_call(lab: Lab) -> None:
    """A start under load would be a burst at Google's token server."""
    lab.tokens.then(iter([Hold(), *granted(TOKEN)]))
    with lab.gateway:
        wires = [lab.gateway.connect() for _ in range(50)]
        body = json.dumps(MESSAGE).encode()
        for wire in wires:
            wire.send(request("POST", "/v1/messages", [("x-api-key", KEY), ("content-type", "application/json")], body))
        lab.tokens.wait_requests(1)
        lab.tokens.release()
        replies = [wire.read_reply() for wire in wires]
        for wire in wires:
            wire.close()
    assert {reply.status for reply in replies if reply} == {200}
    assert len(lab.tokens.requests) == 1


def test_a_refused_account_is_named_once(lab: Lab) -> None:
    """The operator must read which file is wrong; and each request must not knock again."""
    lab.tokens.script(lambda _: answered({"error": "invalid_grant", "error_description": "Account not found"}, 400))
    with lab.gateway:
        lab.gateway.wait_log(lambda line: "account.json" in str(line))
        for _ in range(5):
            status, told = lab.ask()
            assert status == 401
            assert "account.json" in told["error"]["message"]
            assert "invalid_grant: Account not found" in told["error"]["message"]
    assert len(lab.tokens.requests) == 1
    assert lab.upstream.requests == []


def test_a_start_does_not_wait_for_a_token_server(lab: Lab) -> None:
    """Google's trouble would be every provider's; a stop must not wait either."""
    lab.tokens.script("hold")
    with lab.gateway:
        assert lab.gateway.get("/healthz").status == 200
        lab.tokens.wait_requests(1)
        assert lab.gateway.stop(timeout=8) == 0
