"""How much to think: `thinking` and `output_config.effort`, read and written.

How efforts and budgets correspond is a table of `dialects.effort`; which style a model takes is data of `canon.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from trunkline.canon.chat import Chat, Json, Reasoning
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import effort
from trunkline.dialects.anthropic.checks import optional_text, rest, text
from trunkline.dialects.anthropic.words import NAME
from trunkline.dialects.shallow import bad

BINDING_BETA = b"thinking-binding-controls-2026-08-01"
"""The `anthropic-beta` that `block_binding` needs (Anthropic's page on preserved thinking, 2026)."""
LEAST_BUDGET = 1024
"""Anthropic takes no smaller budget, and none that is not below `max_tokens`."""
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_MODES: Mapping[str, Literal["off", "adaptive"]] = {"disabled": "off", "between_tools": "off", "adaptive": "adaptive"}
_SHOWN = {"summarized": True, "omitted": False}
_DISPLAYS = {shown: word for word, shown in _SHOWN.items()}
#: Styles of models that are told a number of tokens.
_COUNTED = frozenset({"budget", "switch"})
_FIELD = "reasoning_effort"
_AUTO = -1
"""Gemini's word for a budget of the model's choice; opencode says it in this dialect too, by the model's name."""


def read_reasoning(thinking: Json, effort_word: str) -> Reasoning | None:
    """Canon's measure. What does not follow from it again stands in `vendor`: `type`, `effort`, unknown fields.

    An effort without `thinking` is `on`: whether the model thinks then is its own affair.
    """
    if not thinking:
        return Reasoning("on", effort_word) if effort_word else None
    kind = text(thinking, "type", "thinking")
    budget = thinking.get("budget_tokens")
    if budget == _AUTO:
        kind, budget = "adaptive", None
    if budget is not None and (type(budget) is not int or budget < 0):
        raise bad("thinking.budget_tokens", "must be a whole number")
    vendor = dict(rest(thinking, {"type", "budget_tokens", "display"}))
    display = optional_text(thinking, "display", "thinking")
    if display and display not in _SHOWN:
        vendor["display"] = display
    if kind not in {"disabled", "adaptive"} and (kind != "enabled" or budget is None):
        vendor["type"] = kind
    if effort_word and budget is not None:
        vendor["effort"] = effort_word
        effort_word = ""
    return Reasoning(_MODES.get(kind, "on"), effort_word, budget, _SHOWN.get(display), vendor)


class Thought:
    """What a request says of thinking: `thinking` (empty: nothing), and the effort (empty: none)."""

    def __init__(self) -> None:
        self.thinking: dict[str, Any] = {}
        self.effort = ""

    def unbind(self) -> None:
        """Let a thought go whose prefix is no longer what it was, which would else be an error for good: another dialect's
        client may change its history as it likes. Models that bind thoughts think adaptively unasked.
        """
        if self.thinking.get("type", "adaptive") == "adaptive":
            self.thinking = {"type": "adaptive", **self.thinking, "block_binding": {"prefix_mismatch_behavior": "drop_block"}}

    @property
    def on(self) -> bool:
        """The model is asked to think."""
        return self.thinking.get("type") in {"enabled", "adaptive"}


def write_reasoning(chat: Chat, facts: Facts, loss: Loss, *, max_tokens: int | None) -> Thought:
    """What to say to a model of these facts. `max_tokens`: the client's own bound, under which a budget must stay."""
    thought, reasoning = Thought(), chat.reasoning
    if reasoning is None:
        return thought
    effort_only = chat.dialect == NAME and reasoning.mode == "on" and reasoning.budget is None and not reasoning.vendor
    if not facts.thinks:
        if chat.dialect == NAME:
            _as_said(thought, reasoning)
        elif reasoning.mode != "off":
            loss.drop(_FIELD, "this model is not known to think")
    elif reasoning.mode == "off":
        _off(thought, facts, loss)
    elif facts.thinks in _COUNTED:
        _counted(thought, reasoning, loss, max_tokens, effort_only=effort_only)
    else:
        _adaptive(thought, reasoning, facts, loss, effort_only=effort_only)
    if reasoning.show is not None and thought.thinking and reasoning.mode != "off":
        thought.thinking["display"] = _DISPLAYS[reasoning.show]
    return thought


def _as_said(thought: Thought, reasoning: Reasoning) -> None:
    """A client of this dialect and a model without facts: the client's own words."""
    extra = dict(reasoning.vendor)
    thought.effort = extra.pop("effort", reasoning.effort)
    kind = {"off": "disabled", "adaptive": "adaptive", "on": "enabled" if reasoning.budget is not None else ""}[reasoning.mode]
    if kind or extra:
        thought.thinking = {"type": extra.pop("type", kind)}
        if reasoning.budget is not None:
            thought.thinking["budget_tokens"] = reasoning.budget
        thought.thinking |= extra


def _off(thought: Thought, facts: Facts, loss: Loss) -> None:
    if facts.between_tools:
        thought.thinking = {"type": "between_tools"}
    elif facts.thinking_off:
        thought.thinking = {"type": "disabled"}
    else:
        loss.drop(_FIELD, "this model cannot be kept from thinking")
        thought.effort = (facts.efforts or _EFFORTS)[0]


def _counted(thought: Thought, reasoning: Reasoning, loss: Loss, max_tokens: int | None, *, effort_only: bool) -> None:
    if effort_only:  # a model of this style has no efforts, and to think was not asked for
        loss.note(_FIELD)
        return
    budget = reasoning.budget if reasoning.budget is not None else effort.budget_of(reasoning.effort)
    fitting = max(budget, LEAST_BUDGET) if max_tokens is None else min(max(budget, LEAST_BUDGET), max_tokens - 1)
    if fitting < LEAST_BUDGET:
        loss.drop(_FIELD, f"thinking takes more than {LEAST_BUDGET} tokens of max_tokens")
        return
    if fitting != budget if reasoning.budget is not None else reasoning.effort not in {"", effort.effort_of(fitting)}:
        loss.note(_FIELD)
    thought.thinking = {"type": "enabled", "budget_tokens": fitting}


def _adaptive(thought: Thought, reasoning: Reasoning, facts: Facts, loss: Loss, *, effort_only: bool) -> None:
    asked = effort.effort_of(reasoning.budget) if reasoning.budget is not None else reasoning.effort
    if asked:
        thought.effort = effort.nearest(asked, facts.efforts or _EFFORTS)
        if thought.effort != asked or reasoning.budget is not None:
            loss.note(_FIELD)
    if not effort_only:
        thought.thinking = {"type": "adaptive"}
