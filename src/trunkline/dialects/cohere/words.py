"""The words of Cohere's chat that more than one file here needs.

A `tool_plan` is what the model thinks of the tools it is about to call ("chain-of-thought style reflection and plan"): it is
`Thinking` in canon, and goes back as the plan of its message where the model has no blocks for thinking.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from trunkline.canon.chat import FinishReason

NAME = "cohere"
PATH = "/chat"
LONGEST_NAME = 64
BAD_NAME = re.compile(r"[^a-zA-Z0-9_]|^(?=[0-9])")
"""What a tool's name may not hold, or begin with (docs.cohere.com, "Tool use": letters, digits, `_`, no digit first)."""

_FINISHES: Mapping[str, FinishReason] = MappingProxyType(
    {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop_sequence",
        "MAX_TOKENS": "length",
        "ERROR_LIMIT": "length",
        "TOOL_CALL": "tool_calls",
        "ERROR_TOXIC": "content_filter",
        "ERROR": "error",
        "TIMEOUT": "error",
    }
)


def read_finish(word: str, *, called: bool) -> FinishReason:
    """Canon's finish for Cohere's word: by content first. A word not known here is a stop."""
    finish = _FINISHES.get(word, "stop" if word else "")
    if called:
        return "tool_calls" if finish in {"", "stop"} else finish
    return "stop" if finish == "tool_calls" else finish


def text(value: object) -> str:
    """A string of the provider's, empty where it is none."""
    return value if isinstance(value, str) else ""


def table(value: object) -> dict[str, Any]:
    """An object of the provider's, empty where it is none."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """The objects of a list of the provider's; none where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
