"""What of the parameters that were asked for a model takes, by its facts; what it does not is told to the loss.

Parameters are spelled as in `canon.facts`. How a dialect spells them, and what its API takes from no model, belongs there.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from trunkline.canon.chat import Chat
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss


def taken(asked: dict[str, Any], facts: Facts, loss: Loss, also_refused: Collection[str] = ()) -> dict[str, Any]:
    """Of these parameters those that were told (are not None) and that the model takes, alone and together."""
    kept = {name: value for name, value in asked.items() if value is not None}
    for name in [name for name in kept if name in facts.refuses or name in also_refused]:
        loss.drop(name, "this model does not take it")
        del kept[name]
    for together in facts.exclusive:
        there = sorted(together & kept.keys())
        for name in there[1:]:
            loss.drop(name, f"this model does not take it together with '{there[0]}'")
            del kept[name]
    return kept


def max_tokens(chat: Chat, facts: Facts, loss: Loss) -> int | None:
    """The client's own bound, not above the model's."""
    if chat.max_tokens is None or facts.max_output is None or chat.max_tokens <= facts.max_output:
        return chat.max_tokens
    loss.note("max_tokens")
    return facts.max_output


def may_choose(chat: Chat, facts: Facts, loss: Loss, *, thinking: bool) -> bool:
    """The choice of tools can be said to the model; one that would make it call a tool is a loss where it cannot."""
    if chat.tool_choice is None or chat.tool_choice.mode != "required" or facts.forced_tools == "always":
        return True
    if facts.forced_tools == "not_thinking" and not thinking:
        return True
    loss.drop("tool_choice", "this model does not let itself be made to call a tool")
    return False
