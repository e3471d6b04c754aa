"""How much to think, in each model's own way."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.bedrock.samples import assistant, chat, user, written
from trunkline.canon.chat import Message, Reasoning, Sampling, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.facts import NO_FACTS, Facts

BUDGET = Facts(thinks="budget")
ADAPTIVE = Facts(thinks="adaptive", efforts=("low", "medium", "high"))
ALWAYS = Facts(thinks="adaptive", thinking_off=False)
NOVA = Facts(thinks="level")
OSS = Facts(thinks="effort", thinking_off=False, efforts=("low", "medium", "high"))
SWITCH = Facts(thinks="switch")
EFFORT = ("reasoning_effort",)


def enabled(budget: int, **more: Any) -> dict[str, Any]:
    """Claude's older form."""
    return {"thinking": {"type": "enabled", "budget_tokens": budget, **more}}


@pytest.mark.parametrize(
    ("facts", "reasoning", "fields", "effort", "lost"),
    [
        (BUDGET, None, None, None, ()),
        (BUDGET, Reasoning("on", "high"), enabled(16384), None, ()),
        (BUDGET, Reasoning("on"), enabled(8192), None, ()),
        (BUDGET, Reasoning("on", budget=2000), enabled(2000), None, ()),
        (BUDGET, Reasoning("on", budget=500), enabled(1024), None, EFFORT),
        (BUDGET, Reasoning("on", "low", show=False), enabled(2048, display="omitted"), None, ()),
        (BUDGET, Reasoning("off"), None, None, ()),
        (ADAPTIVE, Reasoning("adaptive"), {"thinking": {"type": "adaptive"}}, None, ()),
        (ADAPTIVE, Reasoning("on", "high"), {"thinking": {"type": "adaptive"}}, "high", ()),
        (ADAPTIVE, Reasoning("on", "max"), {"thinking": {"type": "adaptive"}}, "high", EFFORT),
        (ADAPTIVE, Reasoning("on", budget=2000), {"thinking": {"type": "adaptive"}}, "low", EFFORT),
        (ADAPTIVE, Reasoning("on", show=True), {"thinking": {"type": "adaptive", "display": "summarized"}}, None, ()),
        (ADAPTIVE, Reasoning("off"), {"thinking": {"type": "disabled"}}, None, ()),
        (ALWAYS, Reasoning("off"), None, "low", EFFORT),
        (Facts(thinks="adaptive", between_tools=True), Reasoning("off"), {"thinking": {"type": "between_tools"}}, None, ()),
        (NOVA, Reasoning("on", "low"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None, ()),
        (NOVA, Reasoning("on"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, None, ()),
        (NOVA, Reasoning("on", "xhigh"), {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}, None, EFFORT),
        (NOVA, Reasoning("off"), None, None, ()),
        (OSS, Reasoning("on", "high"), {"reasoning_effort": "high"}, None, ()),
        (OSS, Reasoning("on"), None, None, ()),
        (OSS, Reasoning("off"), {"reasoning_effort": "low"}, None, EFFORT),
        (SWITCH, Reasoning("on", "high", show=True), {"thinking": {"type": "enabled"}}, None, ()),
        (SWITCH, Reasoning("off"), {"thinking": {"type": "disabled"}}, None, ()),
        (NO_FACTS, Reasoning("on", "high"), None, None, EFFORT),
        (NO_FACTS, Reasoning("off"), None, None, ()),
        (NO_FACTS, Reasoning("off", vendor={"odd": 1}), None, None, ("reasoning.odd",)),
    ],
)
def test_each_model_in_its_own_way(facts: Facts, reasoning: Any, fields: Any, effort: Any, lost: Any) -> None:
    """A form that a model does not know is an error; one that is left out in silence is a worse answer."""
    body = written(chat(reasoning=reasoning), facts, lost)
    assert body.get("additionalModelRequestFields") == fields
    assert body.get("outputConfig") == ({"effort": effort} if effort else None)


@pytest.mark.parametrize(
    ("max_tokens", "budget", "lost"), [(20000, 16384, ()), (4000, 3999, EFFORT), (1024, None, EFFORT), (1025, 1024, EFFORT)]
)
def test_a_budget_stays_below_the_bound(max_tokens: int, budget: int | None, lost: tuple[str, ...]) -> None:
    """Claude refuses a budget that leaves no room for an answer."""
    body = written(chat(reasoning=Reasoning("on", "high"), max_tokens=max_tokens), BUDGET, lost)
    assert body.get("additionalModelRequestFields") == (enabled(budget) if budget else None)


def test_a_turn_that_began_without_thinking_goes_on_without() -> None:
    """With a budget Claude wants the thought before a call back; where another model made it there is none."""
    result = Message("tool", (ToolResult("a", "", (Text("ok"),)),))
    asked = chat(user("A"), assistant(ToolCall("a", "x", "{}")), result, reasoning=Reasoning("on", "high"))
    assert "additionalModelRequestFields" not in written(asked, BUDGET, EFFORT)
    thought = assistant(Thinking("a", Seal("bedrock", "c2ln")), ToolCall("a", "x", "{}"))
    asked = chat(user("A"), thought, result, reasoning=Reasoning("on", "high"))
    assert written(asked, BUDGET)["additionalModelRequestFields"] == enabled(16384)


def test_bound_thoughts_may_go() -> None:
    """Claude Opus 5.5 refuses for good a thought whose beginning changed, unless it is told to drop it."""
    facts = Facts(thinks="adaptive", binds_thinking=True)
    turns = (user("A"), assistant(Thinking("a", Seal("bedrock", "c2ln")), "B"), user("C"))
    thinking = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    want = {"thinking": thinking, "anthropic_beta": ["thinking-binding-controls-2026-08-01"]}
    assert written(chat(*turns), facts)["additionalModelRequestFields"] == want
    assert "additionalModelRequestFields" not in written(chat(), facts)
    off = written(chat(*turns, reasoning=Reasoning("off")), facts)
    assert off["additionalModelRequestFields"] == {"thinking": {"type": "disabled"}}


@pytest.mark.parametrize(
    ("facts", "reasoning", "sampling", "kept", "lost"),
    [
        (BUDGET, Reasoning("on"), Sampling(temperature=0.5, top_p=0.9, top_k=5), {}, ("top_k", "temperature", "top_p")),
        (BUDGET, Reasoning("on"), Sampling(temperature=1, top_p=0.95), {"temperature": 1, "topP": 0.95}, ()),
        (BUDGET, Reasoning("off"), Sampling(temperature=0.5, top_p=0.9), {"temperature": 0.5, "topP": 0.9}, ()),
        (NOVA, Reasoning("on", "low"), Sampling(temperature=0.5), {"temperature": 0.5, "maxTokens": 900}, ()),
        (NOVA, Reasoning("on", "high"), Sampling(temperature=0.5), {}, ("temperature", "max_tokens")),
    ],
)
def test_what_is_taken_beside_thinking(facts: Facts, reasoning: Any, sampling: Any, kept: Any, lost: Any) -> None:
    """Claude fixes its sampling while it thinks; Nova at its highest effort takes no bound either."""
    bound = 900 if facts is NOVA else None
    body = written(chat(reasoning=reasoning, sampling=sampling, max_tokens=bound), facts, lost)
    assert body.get("inferenceConfig", {}) == kept
