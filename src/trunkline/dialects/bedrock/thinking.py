"""How much to think, written: Converse has no field for it but an effort, so it goes into the model's own fields.

How efforts and budgets correspond is a table of `dialects.effort`; which style a model takes is data of `canon.facts`.
"""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Reasoning
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects import effort
from trunkline.dialects.bedrock.words import NAME
from trunkline.dialects.foreign import own_part

LEAST_BUDGET = 1024
"""Claude takes no smaller budget, and none that is not below `maxTokens`."""
_BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""What `block_binding` needs (AWS, Claude on Bedrock, "Thinking block binding"; 2026)."""
_FIELD = "reasoning_effort"
_CLAUDE = ("low", "medium", "high", "xhigh", "max")
_NOVA = ("low", "medium", "high")


class Thought:
    """What a request says of thinking."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        """Of the model's own (`additionalModelRequestFields`)."""
        self.effort = ""
        """`outputConfig.effort`; empty for none."""
        self.alone = False
        """Nova at its highest effort takes neither sampling nor a bound (AWS, Nova 2, "Extended thinking")."""

    @property
    def on(self) -> bool:
        """A Claude is asked to think: then it takes less than else."""
        return self.fields.get("thinking", {}).get("type") in {"enabled", "adaptive"}

    @property
    def budgeted(self) -> bool:
        """It is told a number of tokens."""
        return "budget_tokens" in self.fields.get("thinking", {})

    def unbind(self) -> None:
        """Let a thought go whose prefix is no longer what it was, which would else be an error for good: another dialect's
        client may change its history as it likes. Models that bind thoughts think adaptively unasked.
        """
        thinking = self.fields.get("thinking", {})
        if thinking.get("type", "adaptive") == "adaptive":
            bound = {"prefix_mismatch_behavior": "drop_block"}
            self.fields["thinking"] = {"type": "adaptive", **thinking, "block_binding": bound}
            self.fields["anthropic_beta"] = [_BINDING_BETA]


def write_reasoning(chat: Chat, facts: Facts, loss: Loss, *, max_tokens: int | None) -> Thought:
    """What to say to a model of these facts. `max_tokens`: the client's own bound, under which a budget must stay."""
    thought, reasoning = Thought(), chat.reasoning
    if reasoning is None:
        return thought
    own_part(reasoning.vendor, chat, NAME, loss, "reasoning")
    if not facts.thinks:
        if reasoning.mode != "off":
            loss.drop(_FIELD, "this model is not known to think")
    elif reasoning.mode == "off":
        _off(thought, facts, loss)
    elif facts.thinks == "budget":
        _budget(thought, reasoning, loss, max_tokens)
    elif facts.thinks == "switch":
        thought.fields["thinking"] = {"type": "enabled"}
    else:
        _worded(thought, reasoning, facts, loss)
    if reasoning.show is not None and thought.on and facts.thinks != "switch":
        thought.fields["thinking"]["display"] = "summarized" if reasoning.show else "omitted"
    return thought


def _off(thought: Thought, facts: Facts, loss: Loss) -> None:
    """Where nothing is said, models that are told a budget or a level do not think."""
    if facts.between_tools:
        thought.fields["thinking"] = {"type": "between_tools"}
    elif facts.thinking_off:
        if facts.thinks in {"adaptive", "switch"}:
            thought.fields["thinking"] = {"type": "disabled"}
    else:
        loss.drop(_FIELD, "this model cannot be kept from thinking")
        _say(thought, facts, (facts.efforts or _CLAUDE)[0])


def _budget(thought: Thought, reasoning: Reasoning, loss: Loss, max_tokens: int | None) -> None:
    budget = reasoning.budget if reasoning.budget is not None else effort.budget_of(reasoning.effort)
    fitting = max(budget, LEAST_BUDGET) if max_tokens is None else min(max(budget, LEAST_BUDGET), max_tokens - 1)
    if fitting < LEAST_BUDGET:
        loss.drop(_FIELD, f"thinking takes more than {LEAST_BUDGET} tokens of max_tokens")
        return
    if fitting != budget if reasoning.budget is not None else reasoning.effort not in {"", effort.effort_of(fitting)}:
        loss.note(_FIELD)
    thought.fields["thinking"] = {"type": "enabled", "budget_tokens": fitting}


def _worded(thought: Thought, reasoning: Reasoning, facts: Facts, loss: Loss) -> None:
    asked = effort.effort_of(reasoning.budget) if reasoning.budget is not None else reasoning.effort
    words = facts.efforts or (_NOVA if facts.thinks == "level" else _CLAUDE)
    word = effort.nearest(asked, words) if asked else ""
    if word != asked or reasoning.budget is not None:
        loss.note(_FIELD)
    if facts.thinks == "adaptive":
        thought.fields["thinking"] = {"type": "adaptive"}
    _say(thought, facts, word)


def _say(thought: Thought, facts: Facts, word: str) -> None:
    """An effort, in the model's own way; empty for none."""
    if facts.thinks == "level":
        word = word or "medium"
        thought.fields["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": word}
        thought.alone = word == "high"
    elif facts.thinks == "effort" and word:
        thought.fields["reasoning_effort"] = word
    elif facts.thinks == "adaptive":
        thought.effort = word
