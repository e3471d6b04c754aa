"""Cohere's recorded answers through the real process, to the official SDKs of those who know nothing of Cohere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from conformance.recordings import Recording, recordings
from harness.gateway import KEY, PROVIDER_KEY, Gateway
from harness.script import END, Seen, Step, chunk, head, whole
from harness.upstream import Upstream

CITED, CALLED = (
    next((one for one in recordings("cohere.chat") if one.streamed is streamed), None) for streamed in (False, True)
)
MODEL = "co/command-a-plus-05-2026"
HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "best_language_to_learn", "description": "Finds it.", "parameters": {"type": "object", "properties": {}}}


class Scene(NamedTuple):
    """The provider and the gateway before it."""

    upstream: Upstream
    gateway: Gateway

    @property
    def url(self) -> str:
        """The gateway's address."""
        host, port = self.gateway.listen
        return f"http://{host}:{port}"

    @property
    def sent(self) -> dict[str, Any]:
        """The last request that reached the provider."""
        seen = self.upstream.requests[-1]
        assert (seen.target, seen.header("authorization")) == ("/v2/chat", f"Bearer {PROVIDER_KEY}")
        return seen.fields


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Skipped where there are no recordings."""
    if CITED is None or CALLED is None:
        pytest.skip("no recordings")
    with Upstream() as upstream:
        place = f"http://{upstream.host}:{upstream.port}"
        config = {
            "server": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "providers": {"co": {"kind": "cohere", "base_url": place, "api_key": PROVIDER_KEY}},
            "keys": [{"name": "tester", "secret": KEY}],
        }
        upstream.script(answer)
        with Gateway(config, tmp_path_factory.mktemp("cohere")) as gateway:
            yield Scene(upstream, gateway)


def answer(seen: Seen) -> Iterator[Step]:
    """The recorded stream where one is asked for, else the recorded answer; `fail` fails."""
    recording = CALLED if seen.fields["stream"] else CITED
    assert recording is not None
    if "fail" in str(seen.fields["messages"]):
        yield whole(429, b'{"id":"1","message":"slow down"}')
    elif seen.fields["stream"]:
        yield head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
        for at in range(0, len(recording.body), 50):
            yield chunk(recording.body[at : at + 50])
        yield END
    else:
        yield whole(200, recording.body)


def told(recording: Recording | None) -> dict[str, Any]:
    """The recorded whole answer."""
    assert recording is not None
    return dict(json.loads(recording.body))


def blocks() -> tuple[str, str]:
    """The recorded answer's thinking and text."""
    thinking, text = told(CITED)["message"]["content"]
    return thinking["thinking"], text["text"]


def test_a_chat(scene: Scene) -> None:
    """Text, thinking, sources and usage of a whole answer, and what was asked for."""
    with openai.OpenAI(base_url=f"{scene.url}/v1", api_key=KEY, max_retries=0) as client:
        reply = client.chat.completions.create(model=MODEL, messages=HI, max_tokens=500, top_p=0.5)  # type: ignore[arg-type]
    message = reply.choices[0].message
    assert (getattr(message, "reasoning_content", ""), message.content) == blocks()
    assert reply.choices[0].finish_reason == "stop"
    assert {one.url_citation.url for one in message.annotations or ()} == {"https://example.com/ruby-facts"}
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (379, 164)
    assert scene.sent == {
        "model": "command-a-plus-05-2026", "messages": HI, "stream": False, "max_tokens": 500, "p": 0.5,
    }  # fmt: skip


def test_a_stream_that_calls(scene: Scene) -> None:
    """An agent's loop hangs on the call, its id and the reason of the end."""
    with openai.OpenAI(base_url=f"{scene.url}/v1", api_key=KEY, max_retries=0) as client:
        asked: dict[str, Any] = {"model": MODEL, "messages": HI, "tools": [{"type": "function", "function": TOOL}]}
        with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            reply = stream.get_final_completion()
    (call,) = reply.choices[0].message.tool_calls or ()
    assert (call.id, call.function.name, call.function.arguments) == (
        "best_language_to_learn_wgdyg5frjc39", "best_language_to_learn", "{}",
    )  # fmt: skip
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 1591
    assert scene.sent["tools"] == [{"type": "function", "function": TOOL}]
    row = scene.gateway.ledger()[-1]
    assert (row["outcome"], row["input_tokens"], row["output_tokens"], row["finish"]) == ("ok", 1591, 38, "TOOL_CALL")


def test_messages(scene: Scene) -> None:
    """Claude's clients read thinking and text as blocks, and calls from a stream."""
    with anthropic.Anthropic(base_url=scene.url, api_key=KEY, max_retries=0) as client:
        reply = client.messages.create(model=MODEL, messages=HI, max_tokens=500)  # type: ignore[arg-type]
        shown = [getattr(block, "thinking", None) or getattr(block, "text", "") for block in reply.content]
        assert "".join(shown) == "".join(blocks())
        assert (reply.stop_reason, reply.usage.output_tokens, reply.usage.cache_read_input_tokens) == ("end_turn", 164, 144)
        tools = [{"name": TOOL["name"], "input_schema": TOOL["parameters"]}]
        with client.messages.stream(model=MODEL, messages=HI, max_tokens=500, tools=tools) as stream:  # type: ignore[arg-type]
            final = stream.get_final_message()
    assert [(block.type, block.name, block.input) for block in final.content if block.type == "tool_use"] == [
        ("tool_use", "best_language_to_learn", {})
    ]
    assert final.stop_reason == "tool_use"


def test_completions(scene: Scene) -> None:
    """The oldest API of all, in front of a model that thinks: text alone, for each prompt."""
    with openai.OpenAI(base_url=f"{scene.url}/v1", api_key=KEY, max_retries=0) as client:
        reply = client.completions.create(model=MODEL, prompt=["One", "Two"], echo=True)
    assert [choice.text for choice in reply.choices] == ["One" + blocks()[1], "Two" + blocks()[1]]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 328
    assert [seen.fields["max_tokens"] for seen in scene.upstream.requests[-2:]] == [16, 16]


def test_an_error(scene: Scene) -> None:
    """Its message and status, in the client's own form."""
    with openai.OpenAI(base_url=f"{scene.url}/v1", api_key=KEY, max_retries=0) as client:
        asked: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "fail"}]}
        with pytest.raises(openai.RateLimitError, match="slow down"):
            client.chat.completions.create(**asked)
