"""How much to think, between Anthropic's words and a model's facts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialects.anthropic.samples import chat, foreign
from trunkline.canon.chat import Chat, Reasoning
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.anthropic.thinking import read_reasoning, write_reasoning

BUDGET = Facts(thinks="budget")
ADAPTIVE = Facts(thinks="adaptive")
SWITCH = Facts(thinks="switch")
STUBBORN = Facts(thinks="adaptive", thinking_off=False, efforts=("low", "high", "max"))
BETWEEN = Facts(thinks="adaptive", thinking_off=False, between_tools=True)


def asked(told: Chat, facts: Facts, max_tokens: int | None = None) -> tuple[dict[str, Any], str, list[str]]:
    """`thinking`, the effort and what was lost."""
    loss = Loss(strict=False)
    thought = write_reasoning(told, facts, loss, max_tokens=max_tokens)
    return thought.thinking, thought.effort, list(loss.names)


def other(*fields: Any, **named: Any) -> Chat:
    """A request of another dialect."""
    return foreign(reasoning=Reasoning(*fields, **named))


@pytest.mark.parametrize(
    ("thinking", "effort", "reasoning"),
    [
        ({}, "", None),
        ({}, "high", Reasoning("on", "high")),
        ({"type": "disabled"}, "", Reasoning("off")),
        ({"type": "between_tools"}, "", Reasoning("off", vendor={"type": "between_tools"})),
        ({"type": "adaptive", "display": "omitted"}, "low", Reasoning("adaptive", "low", show=False)),
        ({"type": "adaptive", "display": None}, "", Reasoning("adaptive")),
        ({"type": "enabled", "budget_tokens": 2000, "display": "summarized"}, "", Reasoning("on", "", 2000, True)),
        ({"type": "enabled", "budget_tokens": 2000}, "low", Reasoning("on", "", 2000, vendor={"effort": "low"})),
        ({"type": "enabled"}, "", Reasoning("on", vendor={"type": "enabled"})),
        ({"type": "new", "budget_tokens": 9}, "", Reasoning("on", "", 9, vendor={"type": "new"})),
        (
            {"type": "adaptive", "display": "new", "block_binding": {"x": 1}},
            "",
            Reasoning("adaptive", vendor={"block_binding": {"x": 1}, "display": "new"}),
        ),
    ],
)
def test_thinking_is_read(thinking: dict[str, Any], effort: str, reasoning: Reasoning | None) -> None:
    """And written again word for word where a model's facts say nothing."""
    assert read_reasoning(thinking, effort) == reasoning
    told = msgspec.structs.replace(chat(), reasoning=reasoning)
    expected = {name: value for name, value in thinking.items() if value is not None}
    assert asked(told, Facts()) == (expected, effort, [])


def test_a_budget_of_the_models_choice_is_adaptive() -> None:
    """Gemini's word, which opencode says here of models that are not Claude: refused, none of its titles would be made."""
    assert read_reasoning({"type": "enabled", "budget_tokens": -1}, "") == Reasoning("adaptive")


@pytest.mark.parametrize(
    ("thinking", "path"),
    [
        ({"budget_tokens": 1}, "thinking.type"),
        ({"type": "enabled", "budget_tokens": "1"}, "thinking.budget_tokens"),
        ({"type": "enabled", "budget_tokens": -2}, "thinking.budget_tokens"),
        ({"type": "enabled", "budget_tokens": True}, "thinking.budget_tokens"),
        ({"type": "adaptive", "display": 7}, "thinking.display"),
    ],
)
def test_what_cannot_be_read_is_refused(thinking: dict[str, Any], path: str) -> None:
    """By the name of the field."""
    with pytest.raises(GatewayError) as caught:
        read_reasoning(thinking, "")
    assert caught.value.param == path


@pytest.mark.parametrize(
    ("told", "facts", "thinking", "effort", "lost"),
    [
        (foreign(), BUDGET, {}, "", []),
        (other("on", "high"), Facts(), {}, "", ["reasoning_effort"]),
        (other("off"), Facts(), {}, "", []),
        (other("on", "high"), BUDGET, {"type": "enabled", "budget_tokens": 16384}, "", []),
        (other("on"), BUDGET, {"type": "enabled", "budget_tokens": 8192}, "", []),
        (
            other("on", "minimal", show=True),
            BUDGET,
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
            "",
            [],
        ),
        (other("on", "", 100), BUDGET, {"type": "enabled", "budget_tokens": 1024}, "", ["reasoning_effort"]),
        (other("on", "", 5000), SWITCH, {"type": "enabled", "budget_tokens": 5000}, "", []),
        (other("off", show=False), BUDGET, {"type": "disabled"}, "", []),
        (other("on", "high"), ADAPTIVE, {"type": "adaptive"}, "high", []),
        (other("on"), ADAPTIVE, {"type": "adaptive"}, "", []),
        (other("on", "minimal"), ADAPTIVE, {"type": "adaptive"}, "low", ["reasoning_effort"]),
        (other("on", "xhigh"), STUBBORN, {"type": "adaptive"}, "high", ["reasoning_effort"]),
        (
            other("on", "", 30000, show=False),
            ADAPTIVE,
            {"type": "adaptive", "display": "omitted"},
            "xhigh",
            ["reasoning_effort"],
        ),
        (other("off"), STUBBORN, {}, "low", ["reasoning_effort"]),
        (other("off"), Facts(thinks="adaptive", thinking_off=False), {}, "low", ["reasoning_effort"]),
        (other("off"), BETWEEN, {"type": "between_tools"}, "", []),
        (chat(output_config={"effort": "high"}), ADAPTIVE, {}, "high", []),
        (chat(output_config={"effort": "high"}), BUDGET, {}, "", ["reasoning_effort"]),
        (
            chat(thinking={"type": "adaptive"}, output_config={"effort": "high"}),
            BUDGET,
            {"type": "enabled", "budget_tokens": 16384},
            "",
            [],
        ),
        (
            chat(thinking={"type": "enabled", "budget_tokens": 31999}),
            ADAPTIVE,
            {"type": "adaptive"},
            "xhigh",
            ["reasoning_effort"],
        ),
    ],
)
def test_a_model_is_asked_in_its_own_style(
    told: Chat, facts: Facts, thinking: dict[str, Any], effort: str, lost: list[str]
) -> None:
    """A budget is a 400 to Opus 5.5, `adaptive` to Haiku 4.5, and `disabled` to models that cannot but think."""
    assert asked(told, facts) == (thinking, effort, lost)


@pytest.mark.parametrize(
    ("max_tokens", "thinking", "lost"),
    [
        (20000, {"type": "enabled", "budget_tokens": 16384}, []),
        (16384, {"type": "enabled", "budget_tokens": 16383}, []),
        (4000, {"type": "enabled", "budget_tokens": 3999}, ["reasoning_effort"]),
        (1025, {"type": "enabled", "budget_tokens": 1024}, ["reasoning_effort"]),
        (1024, {}, ["reasoning_effort"]),
        (0, {}, ["reasoning_effort"]),
    ],
)
def test_a_budget_stays_below_the_answers_bound(max_tokens: int, thinking: dict[str, Any], lost: list[str]) -> None:
    """Anthropic refuses a budget that is not. An effort that becomes another is named."""
    assert asked(other("on", "high"), BUDGET, max_tokens) == (thinking, "", lost)


def test_a_measure_of_ours_is_no_loss() -> None:
    """Nothing was asked for that could be missed; a word that nobody knows was."""
    assert asked(other("on"), BUDGET, 4000)[2] == []
    assert asked(other("on", "ultra"), BUDGET)[2] == ["reasoning_effort"]
