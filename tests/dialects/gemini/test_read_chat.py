"""A client's request read whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from dialects.gemini.samples import SCRAP, ask
from trunkline.canon.chat import NOTHING, Chat, Message, Text, Tool, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Named
from trunkline.dialects.gemini.read_chat import read_chat
from trunkline.dialects.gemini.read_settings import HINTS, NEEDED
from trunkline.dialects.gemini.request import read_request

HI = {"contents": [{"parts": [{"text": "Hi"}]}]}
USER = Message("user", (Text("Hi"),))


def test_a_request_is_read() -> None:
    """Every part of it has its place."""
    told = {
        **HI,
        "model": "models/other",
        "system_instruction": {"role": "user", "parts": [{"text": "Be kind."}]},
        "tools": {"functionDeclarations": [{"name": "f"}]},
        "tool_config": {"function_calling_config": {"mode": "ANY"}, "retrievalConfig": {}},
        "generation_config": {"maxOutputTokens": 5, "speechConfig": {}},
        "safetySettings": [{"category": "c"}],
        "cachedContent": "cachedContents/1",
    }
    assert read_chat(ask(told, "sse")) == Chat(
        dialect="gemini",
        model="gemini-x",
        messages=(Message("system", (Text("Be kind."),)), USER),
        stream=True,
        tools=(Tool("f"),),
        tool_choice=ToolChoice("required"),
        max_tokens=5,
        vendor={
            "safetySettings": [{"category": "c"}],
            "cachedContent": "cachedContents/1",
            "toolConfig.retrievalConfig": {},
            "generationConfig.speechConfig": {},
        },
        needed=frozenset({"cachedContent"}),
        hints=HINTS,
    )


def test_a_small_request_is_small() -> None:
    """Nothing is invented."""
    assert read_chat(ask(HI)) == Chat("gemini", "gemini-x", (USER,), needed=NEEDED, hints=HINTS)
    assert read_chat(ask(HI)).vendor is NOTHING


@pytest.mark.parametrize(
    "system", ["Be kind.", {"parts": {"text": "Be kind."}}, {"role": "system", "parts": [{"text": "Be kind."}]}]
)
def test_an_instruction_may_be_spelled_in_many_ways(system: Any) -> None:
    """Google's own examples do."""
    assert read_chat(ask({**HI, "systemInstruction": system})).messages[0] == Message("system", (Text("Be kind."),))


def test_an_empty_instruction_is_none() -> None:
    """Other providers refuse one without text."""
    assert read_chat(ask({**HI, "systemInstruction": {"parts": []}})).messages == (USER,)


@pytest.mark.parametrize(
    "told", [HI, {"generateContentRequest": {**HI, "model": "models/x"}}, {"generate_content_request": HI}]
)
def test_a_question_for_a_count_holds_the_request(told: Any) -> None:
    """Two forms of countTokens."""
    assert read_chat(ask(told, "count")).messages == (USER,)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"contents": [{"parts": [{"text": 1}]}]}', "contents[0].parts[0].text"),
        (b'{"contents": [], "systemInstruction": {"parts": [{"functionCall": {"name": "f"}}]}}', "systemInstruction"),
        (b'{"contents": [], "tools": [{"functionDeclarations": [7]}]}', "tools[0].functionDeclarations[0]"),
        (b'{"contents": [], "generationConfig": 7}', "generationConfig"),
        (rb'{"contents": [{"parts": [{"text": "\ud83d"}]}]}', None),
        (b'{"contents": [1e999]}', None),
    ],
)
def test_what_is_wrong_is_told_by_its_path(body: bytes, place: str | None) -> None:
    """A caller must be able to find the field."""
    with pytest.raises(GatewayError) as wrong:
        read_chat(read_request(body, Named("", "m")))
    assert (wrong.value.status, wrong.value.param) == (400, place)


@given(SCRAP, SCRAP, SCRAP)
def test_any_json_is_a_request_or_an_error(contents: Any, tools: Any, config: Any) -> None:
    """Nothing a client sends may crash a reader."""
    body = json.dumps({"contents": contents, "tools": tools, "generationConfig": config, "systemInstruction": contents})
    try:
        read_chat(read_request(body.encode(), Named("", "m")))
    except GatewayError as error:
        assert error.status == 400  # noqa: PT017 - both ends are well
