"""Tools, tool choice and generationConfig, read."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Other, OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.dialects.gemini.read_settings import HINTS, read_generation, read_tool_config, read_tools
from trunkline.dialects.google_shape.fields import Fields

SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
LOWER = {"type": "object", "properties": {"a": {"type": "string"}}}


def generation(told: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Canon's fields, and vendor's."""
    return read_generation(Fields(told, "generationConfig"))


def test_tools_are_read() -> None:
    """Functions in either form of schema; Google's own tools stay what they are."""
    told = [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parameters": SCHEMA, "behavior": "BLOCKING"},
                {"name": "g"},
            ],
            "urlContext": {},
        },
        {"function_declarations": {"name": "h", "parameters_json_schema": LOWER}},
        {"google_search": {}},
    ]
    assert read_tools(told) == (
        Tool("f", "d", LOWER, vendor={"behavior": "BLOCKING"}),
        Tool("g"),
        Other("gemini", {"urlContext": {}}),
        Tool("h", parameters=LOWER),
        Other("gemini", {"googleSearch": {}}),
    )


@pytest.mark.parametrize(
    ("told", "choice", "vendor"),
    [
        ({"functionCallingConfig": {"mode": "AUTO"}}, ToolChoice("auto"), {}),
        ({"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["f"]}}, ToolChoice("required", ("f",)), {}),
        ({"functionCallingConfig": {"mode": "NONE"}}, ToolChoice("none"), {}),
        (
            {"function_calling_config": {"mode": "VALIDATED", "allowed_function_names": ["f"]}},
            ToolChoice("auto", ("f",), {"mode": "VALIDATED"}),
            {},
        ),
        ({"functionCallingConfig": {}}, None, {}),
        ({"functionCallingConfig": {"mode": "MODE_UNSPECIFIED"}}, None, {}),
        (
            {"functionCallingConfig": {"streamFunctionCallArguments": True}, "retrievalConfig": {"languageCode": "de"}},
            None,
            {
                "toolConfig.functionCallingConfig.streamFunctionCallArguments": True,
                "toolConfig.retrievalConfig": {"languageCode": "de"},
            },
        ),
        ({"includeServerSideToolInvocations": True}, None, {"toolConfig.includeServerSideToolInvocations": True}),
    ],
)
def test_a_tool_choice_is_read(told: Any, choice: ToolChoice | None, vendor: dict[str, Any]) -> None:
    """Whether the model must call decides what an agent gets."""
    assert read_tool_config(Fields(told, "toolConfig")) == (choice, vendor)


def test_all_parameters_are_read() -> None:
    """In canon's names; what has none rides under its path."""
    told = {
        "maxOutputTokens": 10,
        "stop_sequences": ["x"],
        "candidateCount": 2,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "seed": "7",
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "mediaResolution": "LOW",
        "responseModalities": ["TEXT", "IMAGE"],
    }
    found, vendor = generation(told)
    assert found == {
        "max_tokens": 10,
        "stop": ("x",),
        "choices": 2,
        "sampling": Sampling(0.5, 0.9, 40, seed=7, frequency_penalty=0.1, presence_penalty=0.2, logprobs=True, top_logprobs=3),
        "output": None,
        "reasoning": None,
    }
    assert vendor == {"generationConfig.mediaResolution": "LOW", "generationConfig.responseModalities": ["TEXT", "IMAGE"]}
    assert vendor.keys() & HINTS == {"generationConfig.mediaResolution"}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"candidateCount": 1},
        {"responseModalities": ["TEXT"]},
        {"responseMimeType": "text/plain"},
        {"thinkingConfig": {}},
        {"thinkingConfig": {"includeThoughts": False}},
    ],
)
def test_defaults_that_are_spelled_out_say_nothing(told: Any) -> None:
    """They would be told as losses to a client that asked for nothing."""
    assert generation(told) == (generation({})[0], {})
    assert read_generation(None) == ({}, {})


@pytest.mark.parametrize(
    ("told", "output"),
    [
        ({"responseMimeType": "application/json"}, OutputFormat("json")),
        ({"responseMimeType": "application/json", "responseSchema": SCHEMA}, OutputFormat("schema", LOWER)),
        ({"response_json_schema": SCHEMA}, OutputFormat("schema", LOWER)),
        ({"responseFormat": [{"text": {"mimeType": "application/json", "schema": LOWER}}]}, OutputFormat("schema", LOWER)),
        ({"responseFormat": {"text": {"mimeType": "application/json"}}}, OutputFormat("json")),
    ],
)
def test_an_output_format_is_read(told: Any, output: OutputFormat) -> None:
    """Gemini CLI's router sends a JSON Schema with types in capitals."""
    found, vendor = generation(told)
    assert (found["output"], vendor) == (output, {})


@pytest.mark.parametrize(
    ("told", "output"),
    [
        ({"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}, OutputFormat("schema", {"enum": ["a"]})),
        ({"responseMimeType": "text/x.enum"}, None),
        ({"responseFormat": [{"image": {}}]}, None),
        ({"responseFormat": [{"text": {"mimeType": "text/x"}}]}, None),
        ({"responseFormat": [{"text": {"more": 1}}]}, None),
        ({"responseFormat": [{"text": 1}]}, None),
        ({"responseFormat": [1, 2]}, None),
    ],
)
def test_other_formats_ride_in_vendor(told: Any, output: OutputFormat | None) -> None:
    """They are a loss that is told, not one in silence."""
    found, vendor = generation(told)
    assert found["output"] == output
    assert len(vendor) == 1


@pytest.mark.parametrize(
    ("told", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning("off")),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning("adaptive", show=True)),
        ({"thinkingBudget": 512}, Reasoning("on", budget=512)),
        ({"thinking_level": "LOW", "include_thoughts": True}, Reasoning("on", "low", show=True)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED", "includeThoughts": True}, Reasoning("on", show=True)),
        ({"includeThoughts": True}, Reasoning("on", show=True)),
        ({"more": 1}, Reasoning("on", vendor={"more": 1})),
    ],
)
def test_thinking_is_read(told: Any, reasoning: Reasoning) -> None:
    """Budgets of Gemini 2.5, levels of Gemini 3."""
    assert generation({"thinkingConfig": told})[0]["reasoning"] == reasoning


@pytest.mark.parametrize(
    ("read", "place"),
    [
        (lambda: read_tools([{"functionDeclarations": [{"description": "d"}]}]), "tools[0].functionDeclarations[0].name"),
        (lambda: read_tools([7]), "tools[0]"),
        (
            lambda: read_tool_config(Fields({"functionCallingConfig": {"mode": "SOME"}}, "toolConfig")),
            "toolConfig.functionCallingConfig.mode",
        ),
        (lambda: generation({"topK": "many"}), "generationConfig.topK"),
        (
            lambda: generation({"thinkingConfig": {"thinkingBudget": 5, "thinkingLevel": "LOW"}}),
            "generationConfig.thinkingConfig",
        ),
        (lambda: generation({"responseSchema": []}), "generationConfig.responseSchema"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(read: Any, place: str) -> None:
    """A caller must be able to find the field."""
    with pytest.raises(GatewayError) as wrong:
        read()
    assert (wrong.value.status, wrong.value.param) == (400, place)
