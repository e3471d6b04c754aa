"""How much to think, written: `thinkingBudget` for models that are told tokens, `thinkingLevel` for those that are told words.

How efforts and budgets correspond is a table of `dialects.effort`; which style a model takes is data of `canon.facts`.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Json, Reasoning
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import effort
from trunkline.dialects.foreign import own_part
from trunkline.dialects.gemini.words import NAME

_FIELD = "reasoning_effort"
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_LEAST, _MOST = 512, 24576
"""Tokens that every Gemini 2.5 takes as a budget (ai.google.dev, thinking: Flash-Lite from 512, Flash up to 24,576)."""
_ANY = -1
"""The budget that leaves it to the model."""


def write_thinking(chat: Chat, facts: Facts, loss: Loss) -> dict[str, Any]:
    """The `thinkingConfig`; empty where there is nothing to say."""
    asked = chat.reasoning
    if asked is None:
        return {}
    own = chat.dialect == NAME
    vendor = dict(own_part(asked.vendor, chat, NAME, loss, "reasoning"))
    if facts.thinks == "budget":
        told = _budget(asked, facts, loss, own=own)
    elif facts.thinks:
        told = _level(asked, facts, loss)
    elif own:
        told = _as_said(asked)
    else:
        if asked.mode != "off":
            loss.drop(_FIELD, "this model is not known to think")
        return {}
    if asked.show if own else asked.show is not False and asked.mode != "off":
        told["includeThoughts"] = True
    return told | vendor


def is_on(thinking: Json) -> bool:
    """Such a `thinkingConfig` makes the model think."""
    return bool(thinking.get("thinkingLevel") or thinking.get("thinkingBudget") or thinking.get("includeThoughts"))


def _as_said(asked: Reasoning) -> dict[str, Any]:
    """A client of this dialect and a model without facts: the client's own words."""
    if asked.effort:
        return {"thinkingLevel": asked.effort.upper()}
    budget = {"off": 0, "adaptive": _ANY, "on": asked.budget}[asked.mode]
    return {} if budget is None else {"thinkingBudget": budget}


def _budget(asked: Reasoning, facts: Facts, loss: Loss, *, own: bool) -> dict[str, Any]:
    if asked.mode == "off":
        if facts.thinking_off:
            return {"thinkingBudget": 0}
        loss.drop(_FIELD, "this model cannot be kept from thinking")
        return {}
    if asked.budget is not None:
        budget = asked.budget if own else min(max(asked.budget, _LEAST), _MOST)
        if budget != asked.budget:
            loss.note(_FIELD)
        return {"thinkingBudget": budget}
    if asked.effort:
        budget = min(effort.budget_of(asked.effort), _MOST)
        if effort.effort_of(budget) != asked.effort:
            loss.note(_FIELD)
        return {"thinkingBudget": budget}
    return {"thinkingBudget": _ANY} if asked.mode == "adaptive" else {}


def _level(asked: Reasoning, facts: Facts, loss: Loss) -> dict[str, Any]:
    """A level; the least one where thinking is not wanted and cannot be switched off, as of no Gemini 3 it can."""
    levels = facts.efforts or _LEVELS
    if asked.mode == "off":
        loss.drop(_FIELD, "this model cannot be kept from thinking")
        return {"thinkingLevel": levels[0].upper()}
    word = effort.effort_of(asked.budget) if asked.budget is not None else asked.effort
    if not word:
        return {}
    level = effort.nearest(word, levels)
    if level != word or asked.budget is not None:
        loss.note(_FIELD)
    return {"thinkingLevel": level.upper()}
