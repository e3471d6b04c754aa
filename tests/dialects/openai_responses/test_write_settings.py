"""Parameters, as a provider is told them."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.writing import chat, own, sent
from trunkline.canon.chat import OutputFormat, Reasoning, Sampling, Tool, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts

THINKS = Facts(thinks="effort", efforts=("low", "medium", "high"))
ALWAYS = Facts(thinks="effort", efforts=("low", "high"), thinking_off=False)


def told(facts: Facts = NO_FACTS, *, dialect: str = "anthropic", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """What is sent beside the conversation, and what was lost."""
    body, lost = sent(chat(dialect=dialect, **fields), facts)
    assert body.pop("model") == "m"
    del body["input"]
    return body, lost


def test_nothing_is_kept_by_the_provider() -> None:
    """Its default is to keep a conversation for thirty days, which nobody asked for."""
    assert told() == ({"store": False}, [])
    assert told(dialect="openai_chat", vendor={"store": True}, hints=frozenset({"store"})) == ({"store": False}, ["store"])


def test_state_is_asked_for_where_a_model_thinks() -> None:
    """Without it a conversation could not go on; with it a model that does not think refuses the request."""
    assert told(THINKS)[0]["include"] == ["reasoning.encrypted_content"]
    assert "include" not in told()[0]


def test_a_provider_without_include_is_not_asked_for_more() -> None:
    """Groq refuses it; what the client itself wanted of it is named."""
    facts = Facts(refuses=frozenset({"include"}), thinks="effort")
    assert told(facts) == ({"store": False}, [])
    assert told(facts, sampling=Sampling(logprobs=True)) == ({"store": False}, ["include"])
    body, lost = sent(own(include=["web_search_call.action.sources"]), facts)
    assert ("include" in body, lost) == (False, ["include"])


def test_sampling_and_bounds() -> None:
    """What has a word goes on under it."""
    sampling = Sampling(temperature=0.5, top_p=0.9, logprobs=True, top_logprobs=3)
    body, lost = told(sampling=sampling, max_tokens=99, parallel_tools=False, tools=(Tool("a"),), stream=True)
    assert body.pop("tools")
    assert body == {
        "store": False, "stream": True, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 3, "max_output_tokens": 99,
        "parallel_tool_calls": False, "include": ["message.output_text.logprobs"],
    }  # fmt: skip
    assert lost == []
    assert told(max_tokens=5) == ({"store": False, "max_output_tokens": 16}, ["max_tokens"])
    assert told(Facts(refuses=frozenset({"temperature"})), sampling=sampling)[1] == ["temperature"]


def test_what_the_api_has_no_word_for_is_named() -> None:
    """Dropped, or refused where the operator wants that."""
    sampling = Sampling(top_k=1, min_p=0.1, seed=1, frequency_penalty=1, presence_penalty=1, logit_bias={"5": 1})
    body, lost = told(sampling=sampling, choices=2, stop=("x",))
    assert body == {"store": False}
    assert set(lost) == {"top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "n", "stop"}
    with pytest.raises(GatewayError, match="'n'"):
        sent(chat(choices=2), strict=True)


@pytest.mark.parametrize(
    ("output", "form"),
    [
        (OutputFormat("json"), {"type": "json_object"}),
        (OutputFormat("schema", {"a": 1}, "n"), {"type": "json_schema", "name": "n", "schema": {"a": 1}}),
        (
            OutputFormat("schema", None, "", "D.", strict=True),
            {"type": "json_schema", "name": "answer", "schema": {}, "description": "D.", "strict": True},
        ),
    ],
)
def test_output(output: OutputFormat, form: dict[str, Any]) -> None:
    """The schema stands flat in `text.format`."""
    assert told(output=output)[0]["text"] == {"format": form}
    assert told(Facts(refuses=frozenset({"response_format"})), output=output) == ({"store": False}, ["response_format"])
    assert ("text" in told(Facts(schema=False), output=output)[0]) == (output.kind == "json")


@pytest.mark.parametrize(
    ("asked", "facts", "dialect", "reasoning", "lost"),
    [
        (None, THINKS, "anthropic", None, []),
        (Reasoning(effort="high"), THINKS, "openai_chat", {"effort": "high"}, []),
        (Reasoning(effort="max"), THINKS, "openai_chat", {"effort": "high"}, ["reasoning_effort"]),
        (Reasoning(budget=2048), THINKS, "anthropic", {"effort": "low", "summary": "auto"}, ["reasoning_effort"]),
        (Reasoning("adaptive"), THINKS, "anthropic", {"effort": "medium", "summary": "auto"}, []),
        (Reasoning("adaptive", show=False), THINKS, "anthropic", {"effort": "medium"}, []),
        (Reasoning(effort="low", show=True), THINKS, "gemini", {"effort": "low", "summary": "auto"}, []),
        (Reasoning("off"), THINKS, "anthropic", {"effort": "none"}, []),
        (Reasoning("off"), ALWAYS, "anthropic", {"effort": "low"}, ["reasoning_effort"]),
        (Reasoning("off"), Facts(thinks="effort", thinking_off=False), "anthropic", None, ["reasoning_effort"]),
        (Reasoning("on"), NO_FACTS, "anthropic", None, ["reasoning_effort"]),
        (Reasoning("off"), NO_FACTS, "anthropic", None, []),
    ],
)
def test_reasoning(
    asked: Reasoning | None, facts: Facts, dialect: str, reasoning: dict[str, Any] | None, lost: list[str]
) -> None:
    """How much is thought, and whether it is told of, as the model takes it."""
    body, names = told(facts, dialect=dialect, reasoning=asked)
    assert body.get("reasoning") == reasoning
    assert names == lost


def test_a_choice_that_forbids_thinking() -> None:
    """Whether a tool can be forced depends on what is asked of thinking."""
    facts = Facts(thinks="effort", forced_tools="not_thinking")
    forced = {"tools": (Tool("a"),), "tool_choice": ToolChoice("required")}
    assert "tool_choice" not in told(facts, reasoning=Reasoning(effort="low"), **forced)[0]
    assert told(facts, reasoning=Reasoning("off"), **forced)[0]["tool_choice"] == "required"


def test_who_asks() -> None:
    """An id that is too long for it is cut, the same way every time."""
    assert told(user="u")[0]["user"] == "u"
    assert len(told(user="u" * 99)[0]["user"]) == 64
    assert told(Facts(refuses=frozenset({"user"})), user="u") == ({"store": False}, ["user"])


def test_openai_s_other_api_shares_words_with_this_one() -> None:
    """A chat request that only this API can answer keeps its tier, its cache key and its verbosity."""
    vendor = {
        "verbosity": "low", "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k", "modalities": ["audio"],
        "store": True,
    }  # fmt: skip
    body, lost = told(dialect="openai_chat", vendor=vendor, hints=frozenset({"store", "metadata"}), cache="5m")
    assert body == {
        "store": False, "text": {"verbosity": "low"}, "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k",
    }  # fmt: skip
    assert lost == ["cache_control", "modalities", "store"]


FIELDS: dict[str, Any] = {
    "store": True, "metadata": {"a": "b"}, "truncation": "auto", "max_tool_calls": 3, "prompt_cache_key": "k",
    "text": {"format": {"type": "json_object"}, "verbosity": "low"}, "temperature": 0.5, "max_output_tokens": 99,
    "reasoning": {"effort": "high", "summary": "detailed", "context": "all_turns"}, "user": "u", "stream": True,
    "include": ["web_search_call.action.sources", "reasoning.encrypted_content"],
}  # fmt: skip


def test_a_client_of_this_api_loses_nothing() -> None:
    """What it asked for is what is asked, though it came through canon."""
    body, lost = sent(own(**FIELDS), THINKS)
    assert {name: body[name] for name in FIELDS} == FIELDS
    assert lost == []
    assert "store" not in sent(own())[0]
    bare = sent(own(reasoning={"effort": "none", "summary": "auto"}))[0]
    assert bare["reasoning"] == {"effort": "none", "summary": "auto"}
    assert sent(own(reasoning={"summary": "auto"}), THINKS)[0]["reasoning"] == {"summary": "auto"}
    assert sent(own(reasoning={"effort": "low"}))[0]["reasoning"] == {"effort": "low"}
    assert sent(own(reasoning={"summary": "auto"}))[0]["reasoning"] == {"summary": "auto"}
    stateless = {"include": ["reasoning.encrypted_content"], "store": False, "reasoning": {"effort": "low"}}
    assert sent(own(**stateless))[0].items() >= stateless.items()
