"""The words of the Messages API that more than one file here needs.

What only one direction needs stands where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from trunkline.canon.chat import FinishReason, Part, ToolCall

NAME = "anthropic"
PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"
COUNT = "count"
"""The form of a request that only asks for a number of tokens."""
VERSION = "2023-06-01"
"""The `anthropic-version` sent where a model's facts name none."""
STRICT_VERSION = "2026-10-21"
"""From this version on sampling parameters are an error even at their defaults, and so are documents in an assistant's
message and citations in a user's (Anthropic's migration page, November 2026)."""

BAD_NAME = re.compile(r"[^a-zA-Z0-9_-]")
"""What a tool's name and a call's id may not hold."""
LONGEST_NAME = 64

_STOPS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
        "pause_turn": "pause",
    }
)
_FINISHES: Mapping[FinishReason, str] = MappingProxyType(
    {
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "content_filter": "refusal",
        "pause": "pause_turn",
    }
)


def is_call(part: Part) -> bool:
    """The part calls a tool that the client is to run. One that code of the provider's own called (`caller`) may already be
    answered inside the answer.
    """
    if not isinstance(part, ToolCall):
        return False
    caller = part.vendor.get("caller")
    return not isinstance(caller, dict) or caller.get("type") == "direct"


def read_stop(stop_reason: object, *, calls: bool) -> FinishReason:
    """Canon's finish for a `stop_reason`. `calls`: the answer calls a tool of the client's, which counts more than a word
    that says nothing (compatible servers end such answers with `end_turn`). A word not known here is a stop.
    """
    finish = _STOPS.get(stop_reason, "stop") if isinstance(stop_reason, str) else ""
    return "tool_calls" if calls and finish == "stop" else finish


def means_filter(stop_reason: str) -> bool:
    """Whether a `stop_reason` says that a filter ended the answer."""
    return _STOPS.get(stop_reason) == "content_filter"


def write_stop(finish: FinishReason, native: str, parts: Iterable[Part]) -> str:
    """The `stop_reason` for canon's finish; the provider's own word where it is one of these and means the same."""
    calls = [part for part in parts if isinstance(part, ToolCall)]
    if finish == "tool_calls":
        return "tool_use" if calls else "end_turn"
    if finish in {"stop", ""} and any(map(is_call, calls)):
        return "tool_use"
    return native if _STOPS.get(native) == finish else _FINISHES.get(finish, "end_turn")
