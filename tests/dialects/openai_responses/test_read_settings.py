"""Parameters."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.asking import chat
from trunkline.canon.chat import NOTHING, Chat, OutputFormat, Reasoning, Sampling
from trunkline.canon.errors import GatewayError

SCHEMA = {"type": "object"}


def asked(**fields: Any) -> Chat:
    """A request with these fields."""
    return chat({"role": "user", "content": "hi"}, **fields)


@pytest.mark.parametrize(
    ("fields", "sampling"),
    [
        ({"temperature": 0.5, "top_p": 1, "top_logprobs": 0}, Sampling(temperature=0.5, top_p=1)),
        ({"top_logprobs": 3}, Sampling(logprobs=True, top_logprobs=3)),
        ({"include": ["message.output_text.logprobs"]}, Sampling(logprobs=True)),
    ],
)
def test_how_tokens_are_drawn(fields: dict[str, Any], sampling: Sampling) -> None:
    """Probabilities are asked for in `include`, and are no field that is left over."""
    found = asked(**fields)
    assert (found.sampling, found.vendor) == (sampling, NOTHING)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (None, None),
        ({"format": {"type": "text"}}, None),
        ({"format": {"type": "json_object"}}, OutputFormat("json")),
        (
            {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": "d"}},
            OutputFormat("schema", SCHEMA, "n", "d", strict=True),
        ),
    ],
)
def test_what_the_text_must_be(text: Any, output: OutputFormat | None) -> None:
    """Told flat, unlike in chat completions."""
    found = asked(text=text)
    assert (found.output, found.vendor) == (output, NOTHING)


@pytest.mark.parametrize(
    ("told", "reasoning"),
    [
        (None, None),
        ({}, None),
        ({"effort": None, "summary": None}, None),
        ({"effort": "high"}, Reasoning("on", "high")),
        ({"effort": "none"}, Reasoning("off")),
        ({"summary": "auto"}, Reasoning("on", show=True)),
        (
            {"effort": "low", "generate_summary": "concise", "context": "all_turns"},
            Reasoning("on", "low", show=True, vendor={"summary": "concise", "context": "all_turns"}),
        ),
    ],
)
def test_how_much_to_think(told: Any, reasoning: Reasoning | None) -> None:
    """A summary is what this API shows of it."""
    assert asked(reasoning=told).reasoning == reasoning


def test_what_codex_sends_changes_no_answer() -> None:
    """Each of these is a hint: where it cannot go, it is noted and harms nobody, also under `strict`."""
    told = {
        "store": False,
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
        "prompt_cache_key": "thread",
        "client_metadata": {"a": "b"},
        "text": {"verbosity": "low"},
        "truncation": "auto",
        "service_tier": "auto",
    }
    found = asked(**told)
    assert found.hints == found.vendor.keys() == told.keys()
    assert found.vendor["include"] == ["web_search_call.action.sources"]
    assert found.vendor["text"] == {"verbosity": "low"}


def test_the_default_is_as_good_as_nothing() -> None:
    """A client that spells it out gets no word of a loss."""
    assert asked(truncation="disabled", include=["reasoning.encrypted_content"]).vendor == NOTHING


def test_what_shapes_the_answer_is_no_hint() -> None:
    """Its loss is one under `strict`."""
    found = asked(max_tool_calls=3)
    assert (found.vendor, found.hints) == ({"max_tool_calls": 3}, frozenset())


def test_who_asks() -> None:
    """Under the old name or the new."""
    assert asked(user="u", safety_identifier="s").user == "u"
    assert asked(safety_identifier="s").user == "s"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"include": "a"}, "include"),
        ({"include": [5]}, "include[0]"),
        ({"text": 5}, "text"),
        ({"text": {"format": 5}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "schema": 5}}}, "text.format.schema"),
        ({"reasoning": 5}, "reasoning"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"top_logprobs": 0.5}, "top_logprobs"),
        ({"user": 5}, "user"),
        ({"safety_identifier": 5}, "safety_identifier"),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A caller finds the mistake."""
    with pytest.raises(GatewayError) as caught:
        asked(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)
