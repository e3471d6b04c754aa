"""How much to think, written for models of each style."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.chat import Chat, Reasoning
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.gemini.write_thinking import write_thinking

FLASH_25 = Facts(thinks="budget")
PRO_25 = Facts(thinks="budget", thinking_off=False)
PRO_3 = Facts(thinks="level", thinking_off=False, efforts=("low", "high"))
ANY_3 = Facts(thinks="level", thinking_off=False)
SHOWN = {"includeThoughts": True}
LOST = ["reasoning_effort"]


def write(
    asked: Reasoning | None, facts: Facts, dialect: str = "openai_chat", *, strict: bool = False
) -> tuple[Any, list[str]]:
    """The thinkingConfig, and what was left out."""
    loss = Loss(strict=strict)
    return write_thinking(Chat(dialect, "m", (), reasoning=asked), facts, loss), list(loss.names)


@pytest.mark.parametrize(
    ("asked", "facts", "found", "lost"),
    [
        (None, FLASH_25, {}, []),
        (Reasoning("off"), FLASH_25, {"thinkingBudget": 0}, []),
        (Reasoning("off"), PRO_25, {}, LOST),
        (Reasoning("on"), FLASH_25, SHOWN, []),
        (Reasoning("adaptive"), FLASH_25, {"thinkingBudget": -1, **SHOWN}, []),
        (Reasoning("on", "low"), FLASH_25, {"thinkingBudget": 2048, **SHOWN}, []),
        (Reasoning("on", "xhigh", show=False), FLASH_25, {"thinkingBudget": 24576}, []),
        (Reasoning("on", "max", show=False), FLASH_25, {"thinkingBudget": 24576}, LOST),
        (Reasoning("on", "ultra", show=False), FLASH_25, {"thinkingBudget": 8192}, LOST),
        (Reasoning("on", budget=5000), FLASH_25, {"thinkingBudget": 5000, **SHOWN}, []),
        (Reasoning("on", budget=100), FLASH_25, {"thinkingBudget": 512, **SHOWN}, LOST),
        (Reasoning("on", budget=64_000), FLASH_25, {"thinkingBudget": 24576, **SHOWN}, LOST),
        (Reasoning("off"), PRO_3, {"thinkingLevel": "LOW"}, LOST),
        (Reasoning("off"), ANY_3, {"thinkingLevel": "MINIMAL"}, LOST),
        (Reasoning("on", "high"), PRO_3, {"thinkingLevel": "HIGH", **SHOWN}, []),
        (Reasoning("on", "medium"), PRO_3, {"thinkingLevel": "LOW", **SHOWN}, LOST),
        (Reasoning("on", "max"), ANY_3, {"thinkingLevel": "XHIGH", **SHOWN}, LOST),
        (Reasoning("on", budget=8192), ANY_3, {"thinkingLevel": "MEDIUM", **SHOWN}, LOST),
        (Reasoning("adaptive"), ANY_3, SHOWN, []),
        (Reasoning("on", "high"), NO_FACTS, {}, LOST),
        (Reasoning("off"), NO_FACTS, {}, []),
        (Reasoning("on", vendor={"x": 1}), FLASH_25, SHOWN, ["reasoning.x"]),
    ],
)
def test_thinking_asked_for_elsewhere_is_written(asked: Reasoning | None, facts: Facts, found: Any, lost: list[str]) -> None:
    """A budget sent to Gemini 3 or a level sent to 2.5 is refused; what is rounded is told."""
    assert write(asked, facts) == (found, lost)


@pytest.mark.parametrize(
    ("asked", "facts", "found"),
    [
        (Reasoning("off"), NO_FACTS, {"thinkingBudget": 0}),
        (Reasoning("adaptive"), NO_FACTS, {"thinkingBudget": -1}),
        (Reasoning("on", budget=7), NO_FACTS, {"thinkingBudget": 7}),
        (Reasoning("on", "low"), NO_FACTS, {"thinkingLevel": "LOW"}),
        (Reasoning("on", show=True), NO_FACTS, SHOWN),
        (Reasoning("on", budget=100_000, vendor={"x": 1}), FLASH_25, {"thinkingBudget": 100_000, "x": 1}),
    ],
)
def test_thinking_asked_for_by_geminis_own_clients_is_written_back(asked: Reasoning, facts: Facts, found: Any) -> None:
    """Their words go through, whatever is known of the model; thoughts are shown only to those who ask."""
    assert write(asked, facts, "gemini") == (found, [])


@pytest.mark.parametrize(
    ("asked", "facts"), [(Reasoning("off"), PRO_25), (Reasoning("off"), PRO_3), (Reasoning("on"), NO_FACTS)]
)
def test_what_cannot_be_had_is_an_error_where_losses_are(asked: Reasoning, facts: Facts) -> None:
    """A model's `unsupported: strict`."""
    with pytest.raises(GatewayError, match="reasoning_effort"):
        write(asked, facts, strict=True)
