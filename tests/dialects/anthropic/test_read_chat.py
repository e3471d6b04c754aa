"""Whole requests in canon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic.samples import HELLO, chat
from trunkline.canon.chat import (
    Chat,
    Message,
    Other,
    OutputFormat,
    Reasoning,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from trunkline.canon.errors import GatewayError
from trunkline.dialects.anthropic.read_chat import read_chat
from trunkline.dialects.anthropic.request import read_request
from trunkline.dialects.dialect import Named

USER = Message("user", (Text("Hello"),))
SCHEMA = {"type": "object", "properties": {}}


def test_a_bare_request() -> None:
    """The least that a client sends."""
    assert chat(max_tokens=9) == Chat("anthropic", "m", (USER,), max_tokens=9)
    count = read_request(b'{"model":"m","messages":[]}', Named(form="count"))
    assert read_chat(count) == Chat("anthropic", "m", ())


@pytest.mark.parametrize(
    ("request_", "field", "value"),
    [
        ({"stream": True}, "stream", True),
        ({"stop_sequences": ["a", "b"]}, "stop", ("a", "b")),
        ({"stop_sequences": None}, "stop", ()),
        ({"temperature": 1, "top_p": 0.5, "top_k": 7}, "sampling", Sampling(temperature=1.0, top_p=0.5, top_k=7)),
        ({"metadata": {"user_id": "u"}}, "user", "u"),
        ({"metadata": {"user_id": None}}, "user", ""),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache", "1h"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "reasoning", Reasoning("adaptive", "low")),
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "output", OutputFormat("schema", SCHEMA)),
        ({"output_format": {"type": "json_schema", "schema": SCHEMA}}, "output", OutputFormat("schema", SCHEMA)),
        ({"output_config": {"format": None}}, "output", None),
        ({"tools": [{"name": "f"}]}, "tools", (Tool("f"),)),
        (
            {
                "tools": [
                    {
                        "type": "custom",
                        "name": "f",
                        "description": "d",
                        "input_schema": SCHEMA,
                        "strict": True,
                        "defer_loading": True,
                    }
                ]
            },
            "tools",
            (Tool("f", "d", SCHEMA, True, vendor={"defer_loading": True}),),
        ),
        ({"tools": [{"name": "f", "cache_control": {"type": "ephemeral"}, "strict": None}]}, "tools", (Tool("f", cache="5m"),)),
        (
            {"tools": [{"type": "bash_20250124", "name": "bash"}]},
            "tools",
            (Other("anthropic", {"type": "bash_20250124", "name": "bash"}),),
        ),
        ({"tools": [{"type": ["x"], "name": "f"}]}, "tools", (Other("anthropic", {"type": ["x"], "name": "f"}),)),
        ({"tool_choice": {"type": "auto"}}, "tool_choice", ToolChoice("auto")),
        ({"tool_choice": {"type": "any"}}, "tool_choice", ToolChoice("required")),
        ({"tool_choice": {"type": "none", "x": 1}}, "tool_choice", ToolChoice("none", vendor={"x": 1})),
        ({"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice", ToolChoice("required", ("f",))),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, "parallel_tools", False),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}}, "parallel_tools", True),
        ({"tool_choice": {"type": "auto"}}, "parallel_tools", None),
        ({"tool_choice": None}, "tool_choice", None),
    ],
)
def test_each_field_is_read(request_: dict[str, Any], field: str, value: Any) -> None:
    """What is not read here never reaches a provider of another dialect."""
    told = chat(**request_)
    assert getattr(told, field) == value
    assert (told.vendor, told.hints) == ({}, frozenset())


@pytest.mark.parametrize(
    ("request_", "vendor", "hints"),
    [
        ({"service_tier": "auto", "container": "c"}, {"service_tier": "auto", "container": "c"}, {"service_tier"}),
        ({"context_management": {"edits": []}}, {"context_management": {"edits": []}}, {"context_management"}),
        ({"mcp_servers": [{"url": "http://x"}], "container": None}, {"mcp_servers": [{"url": "http://x"}]}, set()),
        ({"metadata": {"user_id": "u", "x": 1}}, {"metadata": {"x": 1}}, {"metadata"}),
        ({"output_config": {"effort": "low", "x": 1}}, {"output_config": {"x": 1}}, set()),
        (
            {"output_config": {"x": 1, "format": {"type": "json_schema", "schema": SCHEMA}}},
            {"output_config": {"x": 1}},
            set(),
        ),
        ({"output_config": {"format": {"type": "grammar"}}}, {"output_config": {"format": {"type": "grammar"}}}, set()),
        ({"cache_control": {"type": "new"}}, {"cache_control": {"type": "new"}}, {"cache_control"}),
    ],
)
def test_what_canon_has_no_word_for_rides_along(request_: dict[str, Any], vendor: dict[str, Any], hints: set[str]) -> None:
    """Harmless fields are marked as such: Claude Code's own must not make every request fail that is strict."""
    told = chat(**request_)
    assert (told.vendor, told.hints) == (vendor, frozenset(hints))


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("Be kind.", (Message("system", (Text("Be kind."),)),)),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], (Message("system", (Text("a"), Text("b"))),)),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_instructions_are_the_first_message(system: object, message: tuple[Message, ...]) -> None:
    """In every dialect that has them as one."""
    assert chat(system=system).messages == (*message, USER)


def test_instructions_in_mid_conversation_keep_their_place_and_their_fields() -> None:
    """Claude Code sends them to every model whose name it does not know, as a list, a string and an empty list."""
    config = {"output_config": {"effort": "low"}}
    messages = [
        *HELLO,
        {"role": "system", "content": [{"type": "text", "text": "a"}], **config},
        {"role": "system", "content": "b"},
        {"role": "system", "content": []},
    ]
    assert chat(messages=messages).messages[1:] == (
        Message("system", (Text("a"),), vendor=config),
        Message("system", (Text("b"),)),
        Message("system", ()),
    )


def test_results_of_tools_stand_alone_and_first() -> None:
    """They answer the turn before; what the user adds comes after them."""
    result = {"type": "tool_result", "tool_use_id": "a", "content": "done"}
    use = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    said = {"type": "text", "text": "and now?"}
    messages = [
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result], "x": 1},
        {"role": "user", "content": [said, result], "x": 1},
    ]
    read = ToolResult("a", "", (Text("done"),))
    assert chat(messages=messages).messages == (
        Message("assistant", (ToolCall("a", "f", "{}"),)),
        Message("tool", (read,), vendor={"x": 1}),
        Message("tool", (read,)),
        Message("user", (Text("and now?"),), vendor={"x": 1}),
    )


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({"messages": [7]}, "messages[0]"),
        ({"messages": [{"content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [*HELLO, {"role": "user", "content": [{"type": "text"}]}]}, "messages[1].content[0].text"),
        ({"system": 7}, "system"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop_sequences": ["a", 7]}, "stop_sequences[1]"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": {"name": "f"}}, "tools"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"x": 1}}, "tool_choice.type"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": []}, "thinking"),
        ({"output_config": {"effort": 7}}, "output_config.effort"),
        ({"output_config": {"format": 7}}, "output_config.format"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(request_: dict[str, Any], path: str) -> None:
    """A caller must find it in a request of 80 KB."""
    with pytest.raises(GatewayError) as caught:
        chat(**request_)
    assert (caught.value.status, caught.value.param) == (400, path)


def test_a_field_nested_without_end_is_refused() -> None:
    """It must not exhaust the stack."""
    body = b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 200_000 + b"]" * 200_000 + b"}]}"
    with pytest.raises(GatewayError):
        read_chat(read_request(body))


FIELDS = ["system", "messages", "tools", "tool_choice", "thinking", "output_config", "metadata", "max_tokens", "cache_control"]
WORDS = [
    "type",
    "role",
    "content",
    "text",
    "source",
    "name",
    "input",
    "cache_control",
    "citations",
    "tool_use_id",
    "signature",
    "data",
]
LEAVES = (
    st.none()
    | st.integers(0, 3)
    | st.sampled_from(["text", "user", "assistant", "image", "tool_use", "tool_result", "thinking", "base64", "x"])
)
values = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(FIELDS), values))
def test_any_request_is_read_or_refused(fields: dict[str, Any]) -> None:
    """A client's nonsense is a 400, never a 500."""
    status = 200
    try:
        chat(**fields)
    except GatewayError as error:
        status = error.status
    assert status in {200, 400}
