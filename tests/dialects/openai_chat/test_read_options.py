"""A client's parameters read into canon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_chat.telling import ask
from dialects.openai_chat.test_reader import ANY
from trunkline.canon.chat import Chat, Other, OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.openai_chat.read_chat import read_chat

SCHEMA = {"type": "object", "properties": {}}


def chat(**fields: Any) -> Chat:
    """The request with these fields."""
    return read_chat(ask(**fields))


def test_nothing_asked_is_nothing() -> None:
    """What the client did not say must not be said for it; null is not said."""
    nulls = dict.fromkeys(
        ("temperature", "tools", "tool_choice", "stop", "n", "response_format", "reasoning_effort", "user", "x")
    )
    assert chat() == chat(**nulls) == Chat("openai_chat", "asked", ())


def test_every_parameter_in_its_place() -> None:
    """One by one, with the values that were sent."""
    told = chat(
        stream=True,
        max_tokens=10,
        temperature=0,
        top_p=0.5,
        top_k=4,
        min_p=0.1,
        seed=5,
        frequency_penalty=1,
        presence_penalty=-1,
        logit_bias={"5": 1},
        logprobs=True,
        top_logprobs=2,
        stop="END",
        n=3,
        parallel_tool_calls=False,
        user="u",
        cache_control={"type": "ephemeral"},
    )
    assert told == Chat(
        "openai_chat",
        "asked",
        (),
        stream=True,
        max_tokens=10,
        stop=("END",),
        choices=3,
        parallel_tools=False,
        sampling=Sampling(0, 0.5, 4, 0.1, 5, 1, -1, {"5": 1}, True, 2),
        user="u",
        cache="5m",
    )


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_completion_tokens": 5, "max_tokens": 9}, "max_tokens", 5),
        ({"max_tokens": 9.0}, "max_tokens", 9),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")),
        ({"n": 1}, "choices", None),
        ({"logit_bias": {}}, "sampling", Sampling()),
        ({"safety_identifier": "s"}, "user", "s"),
        ({"user": "u", "safety_identifier": "s"}, "user", "u"),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, "cache", "1h"),
        ({"response_format": {"type": "text"}}, "output", None),
        ({"response_format": {"type": "json_object"}}, "output", OutputFormat("json")),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}},
            "output",
            OutputFormat("schema", SCHEMA, "a", "", strict=True),
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "description": "d"}}},
            "output",
            OutputFormat("schema", {}, "a", "d"),
        ),
        ({"tool_choice": "none"}, "tool_choice", ToolChoice("none")),
        ({"tool_choice": "auto"}, "tool_choice", ToolChoice("auto")),
        ({"tool_choice": "required"}, "tool_choice", ToolChoice("required")),
        ({"tool_choice": "any"}, "tool_choice", ToolChoice("required")),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice", ToolChoice("required", ("f",))),
        ({"tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice", ToolChoice("required", ("f",))),
        ({"function_call": "none"}, "tool_choice", ToolChoice("none")),
        ({"function_call": {"name": "f"}}, "tool_choice", ToolChoice("required", ("f",))),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}],
                    },
                }
            },
            "tool_choice",
            ToolChoice("auto", ("f", "g")),
        ),
        ({"reasoning_effort": "high"}, "reasoning", Reasoning(effort="high")),
        ({"reasoning_effort": "none"}, "reasoning", Reasoning("off")),
        ({"reasoning_effort": "default"}, "reasoning", Reasoning()),
        ({"reasoning": {"effort": "low", "exclude": True}}, "reasoning", Reasoning(effort="low", show=False)),
        ({"reasoning": {"max_tokens": 2000, "exclude": False}}, "reasoning", Reasoning(budget=2000, show=True)),
        ({"reasoning": {"enabled": True}}, "reasoning", Reasoning()),
        ({"reasoning": {"enabled": False}}, "reasoning", Reasoning("off")),
        ({"reasoning": {"effort": "none"}}, "reasoning", Reasoning("off")),
        ({"reasoning": {"summary": "auto"}}, "reasoning", Reasoning(vendor={"reasoning": {"summary": "auto"}})),
        ({"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, "reasoning", Reasoning(effort="max")),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "max"}, "reasoning", Reasoning("off")),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "reasoning", Reasoning(budget=1024)),
        ({"thinking": {"type": "adaptive"}}, "reasoning", Reasoning("adaptive")),
        (
            {"thinking": {"type": "enabled", "clear_thinking": False}},
            "reasoning",
            Reasoning(vendor={"thinking": {"clear_thinking": False}}),
        ),
    ],
)
def test_each_spelling(fields: dict[str, Any], name: str, value: Any) -> None:
    """OpenAI's own, old and new, and those of OpenRouter, DeepSeek, z.ai, Groq and Mistral."""
    assert getattr(chat(**fields), name) == value


def test_tools_of_every_kind() -> None:
    """Functions in canon's words, whatever beside them; other tools as they are; the old form behind."""
    function = {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True, "x": 1}
    custom = {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}
    told = chat(
        tools=[
            {"type": "function", "function": function, "cache_control": {"type": "ephemeral"}, "y": 2},
            custom,
            {"function": {"name": "g"}},
        ],
        functions=[{"name": "h"}],
    )
    assert told.tools == (
        Tool("f", "d", SCHEMA, strict=True, cache="5m", vendor={"y": 2, "function": {"x": 1}}),
        Other("openai_chat", custom),
        Tool("g"),
        Tool("h"),
    )


def test_the_rest_rides_along_and_hints_are_known() -> None:
    """Leaving out where a request is stored harms nobody; leaving out what the answer is made of does."""
    fields = {
        "metadata": {"a": "b"},
        "store": True,
        "web_search_options": {},
        "modalities": ["text", "audio"],
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "response_format": {"type": "grammar", "grammar": "x"},
        "x_new": 1,
    }
    told = chat(**fields)
    assert told.vendor == fields
    assert told.hints == {"metadata", "store", "stream_options"}


@pytest.mark.parametrize(
    "fields",
    [
        {"modalities": ["text"]},
        {"stream_options": {}},
        {"stream_options": {"include_usage": True}},
        {"stream_options": {"include_usage": False}},
    ],
)
def test_what_asks_for_nothing_is_no_loss(fields: dict[str, Any]) -> None:
    """It would be named in a header as dropped, on every request of some clients."""
    assert chat(**fields).vendor == {}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": "hot"}, "temperature", "must be a number"),
    ({"temperature": True}, "temperature", "must be a number"),
    ({"max_tokens": 1.5}, "max_tokens", "must be an integer"),
    ({"max_completion_tokens": "5"}, "max_completion_tokens", "must be an integer"),
    ({"logprobs": 1}, "logprobs", "must be a boolean"),
    ({"logit_bias": [1]}, "logit_bias", "must be an object"),
    ({"stop": 7}, "stop", "must be an array"),
    ({"stop": ["a", 7]}, "stop[1]", "must be a string"),
    ({"user": 7}, "user", "must be a string"),
    ({"tools": {"a": 1}}, "tools", "must be an array"),
    ({"tools": [7]}, "tools[0]", "must be an object"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "is required"),
    ({"tools": [{"function": {}}]}, "tools[0].function.name", "is required"),
    ({"tools": [{"function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters", "must be an object"),
    ({"tools": [{"function": {"name": "f", "description": 7}}]}, "tools[0].function.description", "must be a string"),
    ({"tools": [{"function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict", "must be a boolean"),
    ({"functions": [7]}, "functions[0]", "must be an object"),
    ({"tool_choice": "maybe"}, "tool_choice", "must be none, auto, required"),
    ({"tool_choice": 7}, "tool_choice", "must be an object"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "is required"),
    ({"tool_choice": {"type": "custom", "custom": {}}}, "tool_choice.custom.name", "is required"),
    ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools", "is required"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": [], "tools": []}}},
     "tool_choice.allowed_tools.mode", "must be auto"),
    ({"tools": [{"type": []}]}, "tools[0].type", "must be a string"),
    ({"tools": [{"type": "custom", "custom": None}]}, "tools[0].custom", "is required"),
    ({"tools": [{"type": "custom", "custom": {"name": []}}]}, "tools[0].custom.name", "must be a string"),
    ({"response_format": {"type": []}}, "response_format.type", "must be a string"),
    ({"cache_control": {"type": "ephemeral", "ttl": []}}, "cache_control.ttl", "must be a string"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice.allowed_tools.mode", "must be auto"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{}]}}},
     "tool_choice.allowed_tools.tools[0].function", "is required"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": 7}]}}},
     "tool_choice.allowed_tools.tools[0].function", "must be an object"),
    ({"response_format": 7}, "response_format", "must be an object"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": 7}}}, "response_format.json_schema.schema", "must"),
    ({"response_format": {"type": "json_schema", "json_schema": {"strict": 7}}}, "response_format.json_schema.strict", "must"),
    ({"reasoning_effort": 7}, "reasoning_effort", "must be a string"),
    ({"reasoning": 7}, "reasoning", "must be an object"),
    ({"thinking": 7}, "thinking", "must be an object"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "path", "problem"), WRONG, ids=[f"{at}: {case[1]}" for at, case in enumerate(WRONG)])
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], path: str, problem: str) -> None:
    """A provider of another API could not name the client's own field."""
    with pytest.raises(GatewayError, match=problem) as caught:
        chat(**fields)
    assert (caught.value.kind, caught.value.param) == (Kind.BAD_REQUEST, path)


NAMES = st.sampled_from(
    ["temperature", "n", "stop", "tools", "functions", "tool_choice", "function_call", "response_format", "reasoning",
     "thinking", "reasoning_effort", "logit_bias", "user", "cache_control", "parallel_tool_calls", "modalities"]
)  # fmt: skip


@given(st.dictionaries(NAMES, ANY, max_size=4))
def test_any_fields_are_read_or_refused(fields: dict[str, Any]) -> None:
    """A client's mistake is a 400 that names a field, never a crash."""
    try:
        chat(**fields)
    except GatewayError as error:
        param = error.param
    else:
        return
    assert param
