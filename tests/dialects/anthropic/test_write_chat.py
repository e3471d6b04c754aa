"""Whole requests for a provider's model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic.samples import HELLO, ask, chat, foreign, request_plain, written
from trunkline.canon.chat import (
    Chat,
    Media,
    Message,
    Other,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Sampling,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.count import write_count
from trunkline.dialects.anthropic.read_chat import read_chat
from trunkline.dialects.anthropic.write_chat import write_chat

USER = (Message("user", (Text("Hello"),)),)
LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "integer", "description": "{minimum: 1}"}},
    "additionalProperties": False,
}
MIDWAY = Facts(system_midway=True)
HIGH = Reasoning("on", "high")


def other(**fields: Any) -> Chat:
    """A request of another dialect."""
    return foreign(**{"messages": USER, **fields})


def test_the_least_that_is_sent() -> None:
    """`max_tokens` is required, and nothing else is made up."""
    loss = Loss(strict=True)
    out = write_chat(other(), "claude", NO_FACTS, loss, ask_usage=True)
    assert (out.path, out.head, out.names) == ("/v1/messages", b"anthropic-version: 2023-06-01\r\n", {})
    assert json.loads(out.body) == {"model": "claude", "max_tokens": 4096, "messages": HELLO}
    assert (
        write_chat(other(), "c", Facts(version="2026-10-21"), loss, ask_usage=True).head == b"anthropic-version: 2026-10-21\r\n"
    )


BINDING = {"prefix_mismatch_behavior": "drop_block"}
BETA = b"anthropic-version: 2023-06-01\r\nanthropic-beta: thinking-binding-controls-2026-08-01\r\n"


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (None, {"type": "adaptive", "block_binding": BINDING}),
        (Reasoning(effort="high", show=True), {"type": "adaptive", "display": "summarized", "block_binding": BINDING}),
        (Reasoning("off"), {"type": "disabled"}),
    ],
)
def test_a_thought_whose_prefix_changed_is_let_go(reasoning: Reasoning | None, thinking: dict[str, Any]) -> None:
    """A client of another dialect that shortens its history would else get a 400 for every further turn."""
    thought = Message("assistant", (Thinking("", Seal("anthropic", "s"), redacted=True), Text("b")))
    asked = other(messages=(*USER, thought, *USER), reasoning=reasoning)
    facts = Facts(thinks="adaptive", binds_thinking=True)
    out = write_chat(asked, "c", facts, Loss(strict=True), ask_usage=True)
    assert json.loads(out.body)["thinking"] == thinking
    assert (out.head == BETA) == ("block_binding" in thinking)
    question = write_count(asked, "c", facts)
    assert question is not None
    assert (json.loads(question.body)["thinking"], question.head) == (thinking, out.head)
    for held, model in (((*USER, *USER), facts), ((*USER, thought, *USER), Facts(thinks="adaptive"))):
        out = write_chat(other(messages=held, reasoning=reasoning), "c", model, Loss(strict=True), ask_usage=True)
        assert b"block_binding" not in out.body
        assert b"beta" not in out.head


@pytest.mark.parametrize("messages", [(), (Message("user", ()),), (Message("user", (Text("  "),)),)])
def test_a_conversation_without_a_word_is_refused(messages: tuple[Message, ...]) -> None:
    """Ollama's request to load a model would be a 400 of Anthropic's that nobody understands."""
    with pytest.raises(GatewayError, match="The conversation is empty") as raised:
        written(foreign(messages=messages))
    assert (raised.value.status, raised.value.param) == (400, "messages")
    assert written(chat(messages=[]))[0]["messages"] == []


@pytest.mark.parametrize(
    ("fields", "facts", "told", "lost"),
    [
        ({"max_tokens": 9}, NO_FACTS, {"max_tokens": 9}, []),
        ({"max_tokens": 0}, Facts(max_output=8), {"max_tokens": 0}, []),
        ({"max_tokens": 9}, Facts(max_output=8), {"max_tokens": 8}, ["max_tokens"]),
        ({}, Facts(max_output=8), {"max_tokens": 8}, []),
        ({"stream": True}, NO_FACTS, {"stream": True}, []),
        ({"user": "u"}, NO_FACTS, {"metadata": {"user_id": "u"}}, []),
        ({"cache": "1h"}, NO_FACTS, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, []),
        ({"stop": ("a", " \n")}, NO_FACTS, {"stop_sequences": ["a"]}, ["stop"]),
        ({"stop": ("a",)}, Facts(refuses=frozenset({"stop"})), {}, ["stop"]),
        ({"choices": 1}, NO_FACTS, {}, []),
        ({"choices": 2}, NO_FACTS, {}, ["n"]),
        ({"vendor": {"store": True, "x": 1}, "hints": frozenset({"store"})}, NO_FACTS, {}, ["store", "x"]),
        (
            {"reasoning": HIGH},
            Facts(thinks="budget"),
            {"max_tokens": 4096 + 16384, "thinking": {"type": "enabled", "budget_tokens": 16384}},
            [],
        ),
        (
            {"reasoning": HIGH},
            Facts(thinks="budget", max_output=8000),
            {"max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 7999}},
            ["reasoning_effort"],
        ),
        (
            {"reasoning": HIGH},
            Facts(thinks="adaptive"),
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            [],
        ),
    ],
)
def test_each_field_is_written(fields: dict[str, Any], facts: Facts, told: dict[str, Any], lost: list[str]) -> None:
    """In Anthropic's words, and what it has none for is named."""
    expected = {"model": "m", "max_tokens": 4096, "messages": HELLO, **told}
    assert written(other(**fields), facts) == (expected, lost)


@pytest.mark.parametrize(
    ("sampling", "facts", "told", "lost"),
    [
        ({"temperature": 0.5, "top_p": 0.1, "top_k": 3}, NO_FACTS, {"temperature": 0.5, "top_p": 0.1, "top_k": 3}, []),
        ({"temperature": 1.5}, NO_FACTS, {"temperature": 1.0}, ["temperature"]),
        ({"temperature": 1.0, "top_k": 3}, Facts(refuses=frozenset({"temperature"})), {"top_k": 3}, ["temperature"]),
        (
            {"temperature": 1.0, "top_p": 1.0, "top_k": 3},
            Facts(version="2026-10-21"),
            {},
            ["temperature", "top_p", "top_k"],
        ),
        (
            {"temperature": 0.5, "top_p": 0.1},
            Facts(exclusive=(frozenset({"temperature", "top_p"}),)),
            {"temperature": 0.5},
            ["top_p"],
        ),
        ({"top_p": 0.1}, Facts(exclusive=(frozenset({"temperature", "top_p"}),)), {"top_p": 0.1}, []),
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 3}, Facts(thinks="adaptive"), {}, ["temperature", "top_p", "top_k"]),
        ({"temperature": 1.0, "top_p": 0.99}, Facts(thinks="adaptive"), {"temperature": 1.0, "top_p": 0.99}, []),
        (
            {
                "min_p": 0.1,
                "seed": 0,
                "frequency_penalty": 1,
                "presence_penalty": 1,
                "logit_bias": {"1": 2},
                "logprobs": True,
                "top_logprobs": 3,
            },
            NO_FACTS,
            {},
            ["min_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"],
        ),
        ({"min_p": 0.0, "frequency_penalty": 0.0, "logit_bias": {}, "logprobs": False, "top_logprobs": 0}, NO_FACTS, {}, []),
    ],
)
def test_sampling_is_what_the_model_takes(
    sampling: dict[str, Any], facts: Facts, told: dict[str, Any], lost: list[str]
) -> None:
    """From 2026-10-21 on every one of these is a 400 even at its default; nothing goes in silence."""
    reasoning = HIGH if facts.thinks else None
    body, names = written(other(sampling=Sampling(**sampling), reasoning=reasoning), facts)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == told
    assert names == lost
    if lost and lost != ["temperature"]:
        with pytest.raises(GatewayError):
            written(other(sampling=Sampling(**sampling), reasoning=reasoning), facts, strict=True)


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (LOOK, {"name": "look", "description": "Looks.", "input_schema": LOOK.parameters}),
        (Tool("f"), {"name": "f", "input_schema": {"type": "object", "properties": {}}}),
        (Tool("f", parameters={}), {"name": "f", "input_schema": {"type": "object", "properties": {}}}),
        (Tool("f", parameters={"$defs": {}}), {"name": "f", "input_schema": {"$defs": {}, "type": "object"}}),
        (Tool("f", parameters=SCHEMA, strict=True), {"name": "f", "input_schema": CLOSED, "strict": True}),
        (Tool("f", parameters=SCHEMA, strict=False), {"name": "f", "input_schema": SCHEMA}),
        (
            Tool("f", cache="5m"),
            {"name": "f", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}},
        ),
    ],
)
def test_a_tool_is_written(tool: Tool, told: dict[str, Any]) -> None:
    """Its schema must be an object's; a strict one is in Anthropic's subset."""
    body, lost = written(other(tools=(tool,)))
    assert (body["tools"], lost) == ([told], [])


def test_tools_with_other_names_are_told() -> None:
    """The client must be called by the name it gave; history and choice use the name that is sent."""
    call = Message("assistant", (ToolCall("c", "a.b", "{}"),))
    told = other(tools=(Tool("a.b"), LOOK), messages=(*USER, call), tool_choice=ToolChoice("required", ("a.b",)))
    out = write_chat(told, "m", NO_FACTS, Loss(strict=True), ask_usage=True)
    body = json.loads(out.body)
    [(sent, name)] = out.names.items()
    assert name == "a.b"
    assert body["tools"][0]["name"] == body["tool_choice"]["name"] == body["messages"][1]["content"][0]["name"] == sent


def test_tools_that_cannot_be_carried_are_named() -> None:
    """Another provider's, or any where the model takes none."""
    tools = (LOOK, Other("openai_responses", {"type": "web_search"}), Tool("f", vendor={"x": 1}))
    body, lost = written(other(tools=tools))
    assert ([tool["name"] for tool in body["tools"]], lost) == (["look", "f"], ["tools[1]", "tools[2].x"])
    body, lost = written(other(tools=tools), Facts(tools=False))
    assert ("tools" in body, lost) == (False, ["tools"])


def test_a_history_of_calls_without_tools_gets_them_but_may_not_call_them() -> None:
    """Anthropic does not read such a history without; the client did not offer them."""
    history = (
        *USER,
        Message("assistant", (ToolCall("c", "a.b", "{}"), ToolCall("d", "a.b", "{}"))),
        Message("tool", (ToolResult("c", "", ()),)),
    )
    body, lost = written(other(messages=history))
    assert [tool["input_schema"] for tool in body["tools"]] == [{"type": "object"}]
    assert (body["tool_choice"], lost) == ({"type": "none"}, [])
    own = [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]
    assert "tools" not in written(chat(messages=own))[0]


@pytest.mark.parametrize(
    ("choice", "parallel", "facts", "told", "lost"),
    [
        (None, None, NO_FACTS, None, []),
        (None, True, NO_FACTS, None, []),
        (None, False, NO_FACTS, {"type": "auto", "disable_parallel_tool_use": True}, []),
        (ToolChoice("auto"), True, NO_FACTS, {"type": "auto", "disable_parallel_tool_use": False}, []),
        (ToolChoice("none"), False, NO_FACTS, {"type": "none"}, []),
        (ToolChoice("required"), None, NO_FACTS, {"type": "any"}, []),
        (ToolChoice("required", ("f",)), False, NO_FACTS, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}, []),
        (ToolChoice("required"), None, Facts(forced_tools="never"), {"type": "auto"}, ["tool_choice"]),
        (ToolChoice("required"), None, Facts(forced_tools="not_thinking"), {"type": "any"}, []),
        (
            ToolChoice("required"),
            None,
            Facts(forced_tools="not_thinking", thinks="adaptive"),
            {"type": "auto"},
            ["tool_choice"],
        ),
        (ToolChoice("auto", vendor={"x": 1}), None, NO_FACTS, {"type": "auto"}, ["tool_choice.x"]),
    ],
)
def test_the_choice_of_tools(
    choice: ToolChoice | None, parallel: bool | None, facts: Facts, told: Any, lost: list[str]
) -> None:
    """Opus 5.5 answers a forced tool with an error; a call that was to be forced and is not is never a secret."""
    reasoning = HIGH if facts.thinks else None
    body, names = written(
        other(tools=(LOOK, Tool("f")), tool_choice=choice, parallel_tools=parallel, reasoning=reasoning), facts
    )
    assert (body.get("tool_choice"), names) == (told, lost)


def test_a_choice_of_several_sends_only_these() -> None:
    """Anthropic can name one tool or none."""
    tools = (LOOK, Tool("f"), Tool("g"), Other("anthropic", {"type": "bash_20250124", "name": "bash"}))
    for mode, told in (("required", "any"), ("auto", "auto")):
        body, lost = written(other(tools=tools, tool_choice=ToolChoice(mode, ("f", "g"))))  # type: ignore[arg-type]
        assert ([tool["name"] for tool in body["tools"]], body["tool_choice"], lost) == (["f", "g"], {"type": told}, [])
    body, _ = written(other(tools=(LOOK,), tool_choice=ToolChoice("auto", ("x", "y"))))
    assert "tools" not in body
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("output", "facts", "told", "said", "lost"),
    [
        (OutputFormat("schema", SCHEMA), NO_FACTS, {"format": {"type": "json_schema", "schema": CLOSED}}, "", []),
        (OutputFormat("schema", SCHEMA), Facts(schema=False), None, '"minimum":1', ["response_format"]),
        (OutputFormat("schema"), NO_FACTS, None, "a JSON object only", ["response_format"]),
        (OutputFormat("json"), NO_FACTS, None, "a JSON object only", ["response_format"]),
    ],
)
def test_the_form_of_the_answer(output: OutputFormat, facts: Facts, told: Any, said: str, lost: list[str]) -> None:
    """What the API cannot promise is asked for in words, and told to be no promise."""
    body, names = written(other(output=output), facts)
    assert (body.get("output_config"), names) == (told, lost)
    assert said in (body["system"][-1]["text"] if said else "")


def test_a_json_object_may_be_asked_for_even_strictly() -> None:
    """A model follows the instruction; a schema is another matter."""
    written(other(output=OutputFormat("json")), strict=True)
    with pytest.raises(GatewayError):
        written(other(output=OutputFormat("schema", SCHEMA)), Facts(schema=False), strict=True)


def test_thinking_that_did_not_come_back_switches_thinking_off() -> None:
    """In the middle of a tool's turn Claude with a budget wants it back, or answers 400."""
    call = Message("assistant", (ToolCall("c", "look", "{}"),))
    done = Message("tool", (ToolResult("c", "look", (Text("x"),)),))
    told = other(messages=(*USER, call, done), tools=(LOOK,), reasoning=HIGH)
    body, lost = written(told, Facts(thinks="budget"))
    assert ("thinking" in body, body["max_tokens"], lost) == (False, 4096, ["reasoning_effort"])
    assert written(told, Facts(thinks="adaptive"))[0]["thinking"] == {"type": "adaptive"}
    own = Message("assistant", (Thinking("Hm", Seal("anthropic", "b3du")), *call.parts))
    body, lost = written(other(messages=(*USER, own, done), tools=(LOOK,), reasoning=HIGH), Facts(thinks="budget"))
    assert (body["thinking"]["type"], lost) == ("enabled", [])


def test_no_more_marks_than_four() -> None:
    """One for the whole prompt counts as one of them."""
    texts = Message("user", tuple(Text(str(at), cache="5m") for at in range(4)))
    body, lost = written(other(messages=(texts,), tools=(Tool("f", cache="5m"),), cache="5m"))
    marks = ["cache_control" in block for block in [*body["tools"], *body["messages"][0]["content"]]]
    assert (marks, lost) == ([False, False, True, True, True], ["cache_control"])
    assert written(other(messages=(texts,)))[1] == []


OWN: list[dict[str, Any]] = [
    {"system": "Be kind.", "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["a"], "stream": True},
    {"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0.3, "output_config": {"effort": "low", "x": 1}},
    {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    },
    {"thinking": {"type": "between_tools"}, "output_config": {"format": {"type": "grammar", "grammar": "x"}}},
    {"metadata": {"user_id": "u", "x": 1}, "service_tier": "auto", "container": "c", "mcp_servers": [{"url": "http://x"}]},
    {
        "metadata": {"x": 1},
        "context_management": {"edits": []},
        "cache_control": {"type": "ephemeral", "scope": "x"},
        "speed": "fast",
    },
    {
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": False, "defer_loading": True}],
        "tool_choice": {"type": "tool", "name": "f", "x": 1},
    },
    {
        "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    },
    {
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            *HELLO,
            {"role": "system", "content": [{"type": "text", "text": "b"}], "output_config": {"effort": "low"}},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "b3du"},
                    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
                    {"type": "text", "text": "\n\n", "citations": [{"type": "char_location", "cited_text": "x"}]},
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}, "caller": {"type": "direct"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "a",
                        "is_error": True,
                        "content": [
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoA"}},
                            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
                            {"type": "tool_reference", "tool_name": "f"},
                        ],
                    },
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
                        "title": "t",
                        "context": "c",
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "é"},
                        "citations": {"enabled": True},
                    },
                    {"type": "container_upload", "file_id": "f"},
                ],
            },
        ],
    },
]


@pytest.mark.parametrize("request_", OWN, ids=[str(at) for at in range(len(OWN))])
def test_reading_and_writing_returns_what_came_in(request_: dict[str, Any]) -> None:
    """Where a request of this dialect goes through canon, nothing of it may be lost."""
    told = {"model": "m", "messages": HELLO, "max_tokens": 9, **request_}
    body, lost = written(read_chat(ask(told)), MIDWAY, strict=True)
    assert (request_plain(body), lost) == (request_plain(told), [])


ids = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=4)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
texts = st.builds(Text, words)
calls = st.builds(lambda one, value: ToolCall(one, "look", json.dumps({"a": value}, separators=(",", ":"))), ids, st.integers())
said: dict[Role, st.SearchStrategy[Part]] = {
    "user": texts | st.just(Media("image", "image/png", "iVBORw0KGgoA")) | st.just(Media("document", url="http://x")),
    "assistant": texts | calls | st.builds(lambda word: Thinking(word, Seal("anthropic", "b3du")), words),
    "tool": st.builds(lambda one, text, failed: ToolResult(one, "", (text,), failed), ids, texts, st.booleans()),
}


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Roles that alternate, as canon's readers give them: a result before what the user adds."""
    roles: list[Role] = []
    for at in range(draw(st.integers(1, 5))):
        roles += ["assistant"] if at % 2 else draw(st.sampled_from([["user"], ["tool"], ["tool", "user"]]))
    return tuple(Message(role, tuple(draw(st.lists(said[role], min_size=1, max_size=3)))) for role in roles)


@given(conversations())
def test_any_conversation_survives_writing_and_reading(messages: tuple[Message, ...]) -> None:
    """What canon and this dialect both can say is the same after a round trip."""
    told = Chat("anthropic", "m", messages)
    body, lost = written(told)
    assert (chat(messages=body["messages"]).messages, lost) == (messages, [])
