"""A whole request, as a provider is sent it."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_responses.writing import HI, chat, said, sent
from trunkline.canon.chat import Message, Other, Part, Reasoning, Seal, Text, Thinking, Tool, ToolCall, ToolResult
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_responses.write_chat import write_chat

PARTS: st.SearchStrategy[Part] = st.sampled_from(
    [
        Text("a"),
        Text("b", Seal("gemini", "x")),
        Thinking("t", Seal("openai_responses", "s")),
        Thinking("t", Seal("anthropic", "s")),
        ToolCall("c", "f", "{}"),
        Other("openai_responses", {"type": "web_search_call"}),
        Other("gemini", {"a": 1}),
    ]
)
TURNS = st.lists(st.lists(PARTS, min_size=1, max_size=4), max_size=4)


def conversation(turns: list[list[Part]]) -> list[Message]:
    """Turns of a model, each answered."""
    found = [HI]
    for parts in turns:
        found += [said(*parts), said(ToolResult("c", "", (Text("ok"),)), role="tool"), HI]
    return found


def test_where_it_goes() -> None:
    """The only place that takes it."""
    outgoing = write_chat(chat(stream=True, tools=(Tool("a"),)), "m", Facts(), Loss(strict=False), ask_usage=True)
    assert (outgoing.path, outgoing.method, outgoing.head, outgoing.names) == ("/responses", "POST", b"", {})
    body = json.loads(outgoing.body)
    assert (body["model"], body["stream"]) == ("m", True)
    assert "stream_options" not in body  # usage is told unasked


@given(TURNS, st.lists(PARTS, min_size=1, max_size=4))
def test_a_history_is_written_the_same_turn_after_turn(turns: list[list[Part]], more: list[Part]) -> None:
    """Providers cache prompts by their beginning."""
    facts = Facts(thinks="effort", system_midway=True)
    before = sent(chat(*conversation(turns)), facts)[0]["input"]
    after = sent(chat(*conversation([*turns, more])), facts)[0]["input"]
    assert after[: len(before)] == before


@given(TURNS)
def test_reasoning_always_leads_to_something(turns: list[list[Part]]) -> None:
    """OpenAI refuses it alone."""
    found = sent(chat(*conversation(turns), reasoning=Reasoning()), Facts(thinks="effort"))[0]["input"]
    for one, following in pairwise(found):
        if one["type"] == "reasoning":
            assert following["type"] in {"reasoning", "message", "function_call", "web_search_call"}
            assert following.get("role", "assistant") == "assistant"
