"""Tools, tool choice and generationConfig, written."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat, Other, OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.gemini.write_parts import fitting
from trunkline.dialects.gemini.write_settings import renamed, write_generation, write_tools

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = Tool("f", "d", SCHEMA)
DECLARED = {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}


def generation(facts: Facts = NO_FACTS, **asked: Any) -> tuple[Any, list[str]]:
    """The generationConfig, and what was left out."""
    loss = Loss(strict=False)
    return write_generation(Chat("openai_chat", "m", (), **asked), facts, loss), list(loss.names)


def tools(
    facts: Facts = NO_FACTS, dialect: str = "openai_chat", *, thinking: bool = False, **asked: Any
) -> tuple[Any, list[str]]:
    """Tools and their choice, and what was left out."""
    loss = Loss(strict=False)
    return write_tools(Chat(dialect, "m", (), **asked), facts, loss, thinking=thinking), list(loss.names)


ALL = {
    "max_tokens": 10,
    "stop": ("x",),
    "choices": 2,
    "sampling": Sampling(0.5, 0.9, 40, seed=7, frequency_penalty=0.1, presence_penalty=0.2, logprobs=True, top_logprobs=3),
}
WRITTEN = {
    "maxOutputTokens": 10,
    "stopSequences": ["x"],
    "candidateCount": 2,
    "temperature": 0.5,
    "topP": 0.9,
    "topK": 40,
    "seed": 7,
    "frequencyPenalty": 0.1,
    "presencePenalty": 0.2,
    "responseLogprobs": True,
    "logprobs": 3,
}


def test_all_parameters_are_written() -> None:
    """In Google's names."""
    assert generation(**ALL) == (WRITTEN, [])
    assert generation() == ({}, [])


@pytest.mark.parametrize(
    ("facts", "asked", "found", "lost"),
    [
        (NO_FACTS, {"sampling": Sampling(min_p=0.1, logit_bias={"5": 1})}, {}, ["min_p", "logit_bias"]),
        (NO_FACTS, {"stop": tuple("abcdef")}, {"stopSequences": list("abcde")}, ["stop"]),
        (Facts(max_output=8), {"max_tokens": 10}, {"maxOutputTokens": 8}, ["max_tokens"]),
        (Facts(max_output=80), {"max_tokens": 10}, {"maxOutputTokens": 10}, []),
        (
            Facts(refuses=frozenset({"temperature", "n", "top_k"})),
            {"sampling": Sampling(0.5), "choices": 3},
            {},
            ["temperature", "n"],
        ),
        (
            Facts(exclusive=(frozenset({"temperature", "top_p"}),)),
            {"sampling": Sampling(0.5, 0.9)},
            {"temperature": 0.5},
            ["top_p"],
        ),
        (NO_FACTS, {"output": OutputFormat("json")}, {"responseMimeType": "application/json"}, []),
        (
            NO_FACTS,
            {"output": OutputFormat("schema", SCHEMA)},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
            [],
        ),
        (
            Facts(schema=False),
            {"output": OutputFormat("schema", SCHEMA)},
            {"responseMimeType": "application/json"},
            ["response_format"],
        ),
        (Facts(thinks="budget"), {"reasoning": Reasoning("off")}, {"thinkingConfig": {"thinkingBudget": 0}}, []),
    ],
)
def test_what_gemini_or_the_model_refuses_is_left_out_and_told(facts: Facts, asked: Any, found: Any, lost: list[str]) -> None:
    """Sent all the same, the whole request would be refused; dropped in silence, nobody would know."""
    assert generation(facts, **asked) == (found, lost)


@pytest.mark.parametrize(
    ("asked", "found", "lost"),
    [
        ({"tools": (TOOL,)}, {"tools": [{"functionDeclarations": [DECLARED]}]}, []),
        ({"tools": (Tool("g"),)}, {"tools": [{"functionDeclarations": [{"name": "g"}]}]}, []),
        (
            {"tools": (Tool("g", strict=True, cache="5m", vendor={"x": 1}),)},
            {"tools": [{"functionDeclarations": [{"name": "g"}]}]},
            ["cache_control", "tools[0].strict", "tools[0].x"],
        ),
        (
            {"tools": (Other("gemini", {"googleSearch": {}}), TOOL, Other("anthropic", {"type": "web_search"}))},
            {"tools": [{"functionDeclarations": [DECLARED]}, {"googleSearch": {}}]},
            ["tools[2]"],
        ),
        ({"tools": (Other("anthropic", {}),)}, {}, ["tools[0]"]),
        ({"tool_choice": ToolChoice("required")}, {}, []),
        (
            {"tools": (TOOL,), "parallel_tools": False},
            {"tools": [{"functionDeclarations": [DECLARED]}]},
            ["parallel_tool_calls"],
        ),
        (
            {"tools": (Other("gemini", {"googleSearch": {}}),), "tool_choice": ToolChoice("auto")},
            {"tools": [{"googleSearch": {}}]},
            [],
        ),
    ],
)
def test_tools_are_written(asked: Any, found: Any, lost: list[str]) -> None:
    """All functions in one entry, with their JSON Schema as it is."""
    assert tools(**asked) == (found, lost)


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none", ("f",)), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("required", ("f", "a b")), {"mode": "ANY", "allowedFunctionNames": ["f", fitting("a b")]}),
        (ToolChoice("auto", ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_a_tool_choice_is_written(choice: ToolChoice, config: Any) -> None:
    """Whether the model must call decides what an agent gets."""
    assert tools(tools=(TOOL,), tool_choice=choice)[0]["toolConfig"] == {"functionCallingConfig": config}


@pytest.mark.parametrize(
    ("facts", "thinking", "lost"),
    [
        (Facts(forced_tools="never"), False, ["tool_choice"]),
        (Facts(forced_tools="not_thinking"), True, ["tool_choice"]),
        (Facts(forced_tools="not_thinking"), False, []),
    ],
)
def test_a_choice_that_the_model_refuses_is_left_out_and_told(facts: Facts, thinking: bool, lost: list[str]) -> None:
    """It would be refused whole. What counts is whether the model is told to think, not whether the client asked for it."""
    told, names = tools(facts, thinking=thinking, tools=(TOOL,), tool_choice=ToolChoice("required"), reasoning=Reasoning("on"))
    assert (names, "toolConfig" in told) == (lost, not lost)


def test_a_model_without_tools_gets_none() -> None:
    """And the caller is told."""
    assert tools(Facts(tools=False), tools=(TOOL,)) == ({}, ["tools"])
    assert tools(Facts(tools=False)) == ({}, [])


def test_geminis_own_words_go_back() -> None:
    """A mode and fields of a declaration that canon has no word for."""
    choice = ToolChoice("auto", (), {"mode": "VALIDATED"})
    told, names = tools(dialect="gemini", tools=(Tool("g", vendor={"behavior": "BLOCKING"}),), tool_choice=choice)
    assert told == {
        "tools": [{"functionDeclarations": [{"name": "g", "behavior": "BLOCKING"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
    }
    assert names == []


def test_tools_that_had_to_be_renamed_are_named() -> None:
    """The answer's calls must reach the client under the names it knows."""
    chat = Chat("openai_chat", "m", (), tools=(TOOL, Tool("a b"), Other("gemini", {})))
    assert renamed(chat) == {fitting("a b"): "a b"}
