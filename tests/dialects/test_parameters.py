"""What a model takes of what was asked."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from trunkline.canon.chat import Chat, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.parameters import max_tokens, may_choose, taken

ASKED = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": None}


def chat(**fields: Any) -> Chat:
    """A request that says nothing."""
    return Chat("openai_chat", "m", (), **fields)


@pytest.mark.parametrize(
    ("facts", "also", "kept", "lost"),
    [
        (Facts(), (), ["temperature", "top_p", "top_k"], []),
        (Facts(refuses=frozenset({"top_k", "seed"})), (), ["temperature", "top_p"], ["top_k"]),
        (Facts(), {"top_k"}, ["temperature", "top_p"], ["top_k"]),
        (Facts(exclusive=(frozenset({"top_p", "temperature"}),)), (), ["temperature", "top_k"], ["top_p"]),
        (Facts(exclusive=(frozenset({"top_p", "seed"}),)), (), ["temperature", "top_p", "top_k"], []),
        (
            Facts(refuses=frozenset({"temperature"}), exclusive=(frozenset({"top_p", "temperature"}),)),
            (),
            ["top_p", "top_k"],
            ["temperature"],
        ),
    ],
)
def test_what_the_model_refuses_is_lost_by_name(facts: Facts, also: Any, kept: list[str], lost: list[str]) -> None:
    """Sent on it would be an error; and what is gone already excludes nothing."""
    loss = Loss(strict=False)
    assert list(taken(ASKED, facts, loss, also)) == kept
    assert list(loss.names) == lost


@pytest.mark.parametrize(("asked", "most", "told", "lost"), [(9, 5, 5, True), (5, 5, 5, False), (9, None, 9, False)])
def test_a_bound_above_the_models_is_the_models(asked: int, most: int | None, told: int, lost: bool) -> None:
    """Clients send one number for all models; the answer cannot be longer anyway."""
    loss = Loss(strict=True)
    assert max_tokens(chat(max_tokens=asked), Facts(max_output=most), loss) == told
    assert list(loss.names) == ["max_tokens"] * lost
    assert max_tokens(chat(), Facts(max_output=most), loss) is None


@pytest.mark.parametrize(
    ("forced", "thinking", "told"),
    [
        ("always", True, True),
        ("not_thinking", False, True),
        ("not_thinking", True, False),
        ("never", False, False),
    ],
)
def test_a_model_that_cannot_be_made_to_call_is_not(
    forced: Literal["always", "not_thinking", "never"], thinking: bool, told: bool
) -> None:
    """It would be an error; a strict model's caller gets one from us that names the field."""
    facts = Facts(forced_tools=forced)
    required = chat(tool_choice=ToolChoice("required"))
    loss = Loss(strict=False)
    assert may_choose(required, facts, loss, thinking=thinking) is told
    assert list(loss.names) == ([] if told else ["tool_choice"])
    assert may_choose(chat(), facts, loss, thinking=thinking)
    assert may_choose(chat(tool_choice=ToolChoice("auto", ("f",))), facts, loss, thinking=thinking)
    if not told:
        with pytest.raises(GatewayError):
            may_choose(required, facts, Loss(strict=True), thinking=thinking)
