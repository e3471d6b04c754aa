"""The scripted provider is what it claims to be: the official SDKs read its answers, and two rounds of tools lead to an end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types

from real.scripted import COMMANDS, THOUGHTS, TOKENS, Scripted, instance
from real.tongues import ANSWERED, CACHED, PROMPT, signature

SHELL = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def provider() -> Iterator[Scripted]:
    """A fresh one."""
    with Scripted() as running:
        yield running


def test_as_openai(provider: Scripted) -> None:
    """Chat completions, whole and streamed, as DeepSeek's thinking models write them."""
    function = {"name": "bash", "parameters": SHELL}
    ask: Any = {"model": "deepseek-x", "messages": HELLO, "tools": [{"type": "function", "function": function}]}
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0) as client:
        message = client.chat.completions.create(**ask).choices[0].message
        chunks = list(client.chat.completions.create(**ask, stream=True))
    (call,) = message.tool_calls or []
    assert json.loads(call.function.arguments) == {"command": COMMANDS[0]}
    deltas = [chunk.choices[0].delta for chunk in chunks]
    made = [call.function for delta in deltas for call in delta.tool_calls or ()]
    assert json.loads("".join(function.arguments or "" for function in made if function)) == {"command": COMMANDS[0]}
    assert "".join((delta.model_extra or {}).get("reasoning_content", "") for delta in deltas) == THOUGHTS[0]
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (PROMPT, ANSWERED)
    assert [turn.streams for turn in provider.turns()] == [False, True]


def test_as_anthropic(provider: Scripted) -> None:
    """Messages, streamed, with a signature; and the second round comes after the first one's result."""
    ask: Any = {"model": "m", "max_tokens": 9, "tools": [{"name": "Bash", "input_schema": SHELL}]}
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as client:
        with client.messages.stream(**ask, messages=HELLO) as events:
            message: Any = events.get_final_message()
        thinking, text, call = message.content
        assert (thinking.type, text.type, call.type) == ("thinking", "text", "tool_use")
        assert (thinking.thinking, thinking.signature) == (THOUGHTS[0], signature("anthropic", 0))
        assert call.input == {"command": COMMANDS[0]}
        assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (PROMPT - CACHED, CACHED)
        assert message.usage.output_tokens == ANSWERED
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "done"}
        further: Any = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
        again: Any = client.messages.create(**ask, messages=further)
        assert again.content[-1].type == "tool_use"
        assert again.content[-1].input == {"command": COMMANDS[1]}
        assert client.messages.count_tokens(model="m", messages=HELLO).input_tokens == TOKENS
    assert [turn.results for turn in provider.turns()] == [[], ["done"]]
    assert provider.counted() == 1


def test_as_gemini(provider: Scripted) -> None:
    """generateContent, streamed, with a signature beside the call; and what a router asks for."""
    declared = types.FunctionDeclaration(name="run_shell_command", parameters_json_schema=SHELL)
    tool = types.Tool(function_declarations=[declared])
    config: Any = {"tools": [tool], "automatic_function_calling": {"disable": True}}
    form: Any = {"response_mime_type": "application/json", "response_schema": {"type": "OBJECT", "properties": {}}}
    with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=provider.url, api_version="v1beta")) as client:
        chunks = list(client.models.generate_content_stream(model="m", contents="Hello", config=config))
        parts = [part for chunk in chunks for part in chunk.parts or ()]
        assert "".join(part.text or "" for part in parts if part.thought) == THOUGHTS[0]
        assert parts[-1].function_call is not None
        assert parts[-1].function_call.args == {"command": COMMANDS[0]}
        assert parts[-1].thought_signature is not None
        usage = chunks[-1].usage_metadata
        assert usage is not None
        assert usage.total_token_count == PROMPT + ANSWERED
        assert client.models.generate_content(model="m", contents="Hello", config=form).text == "{}"
        assert client.models.count_tokens(model="m", contents="Hello").total_tokens == TOKENS


def test_as_ollama(provider: Scripted) -> None:
    """/api/chat, streamed as lines."""
    function = {"name": "bash", "parameters": SHELL}
    with ollama.Client(host=provider.url) as client:
        lines = list(client.chat("m", HELLO, tools=[{"type": "function", "function": function}], stream=True))
    assert "".join(line.message.thinking or "" for line in lines) == THOUGHTS[0]
    (call,) = [call for line in lines for call in line.message.tool_calls or ()]
    assert call.function.arguments == {"command": COMMANDS[0]}
    assert (lines[-1].done, lines[-1].prompt_eval_count, lines[-1].eval_count) == (True, PROMPT, ANSWERED)


@pytest.mark.parametrize("fault", ["429", "529", "cut"])
def test_faults_come_once(fault: str, provider: Scripted) -> None:
    """A spoilt turn is followed by a good one, and what has no tools is never spoilt."""
    provider.spoil(fault)
    ask: Any = {"model": "m", "max_tokens": 9, "messages": HELLO}
    tools: Any = [{"name": "Bash", "input_schema": SHELL}]
    with anthropic.Anthropic(base_url=provider.url, api_key="k", max_retries=0) as client:
        assert client.messages.create(**ask).content[0].type == "text"
        with pytest.raises(Exception, match=r"scripted|incomplete chunked read|peer closed"):  # noqa: SIM117
            with client.messages.stream(**ask, tools=tools) as events:
                events.until_done()
        assert client.messages.create(**ask, tools=tools).stop_reason == "tool_use"


def test_an_instance_of_a_schema() -> None:
    """What a router is told must be what it asked for, in either spelling of its types."""
    kinds = {"a": {"type": "STRING", "enum": ["x", "y"]}, "b": {"type": "integer"}, "c": {"type": "boolean"}}
    assert instance({"type": "OBJECT", "properties": kinds, "required": ["a", "b"]}) == {"a": "x", "b": 1}
    assert instance({"type": "object", "properties": kinds}) == {"a": "x", "b": 1, "c": True}
