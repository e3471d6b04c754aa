"""The words of the Converse API that more than one file here needs.

What they mean is told in the service's own description (`bedrock-runtime`, 2023-09-30), as botocore carries it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from trunkline.canon.chat import FinishReason
from trunkline.dialects import names

NAME = "bedrock"
STREAM_TYPE = b"application/vnd.amazon.eventstream"

_BAD_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_BAD_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_LONGEST = 64

_STOPS: Mapping[str, FinishReason] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop_sequence",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
    }
)


def path(model: str, *, stream: bool) -> str:
    """Where a model is asked. Its name is one segment of the path, colons and an ARN's slashes encoded."""
    return f"/model/{quote(model, safe='')}/{'converse-stream' if stream else 'converse'}"


def fit_name(name: str) -> str:
    """A tool's name as Bedrock takes it."""
    return names.fit(name, _BAD_NAME, _LONGEST)


def fit_id(call_id: str) -> str:
    """A call's id as Bedrock takes it."""
    return names.fit(call_id, _BAD_ID, _LONGEST)


def read_stop(reason: str, *, calls: bool) -> FinishReason:
    """Canon's finish for a `stopReason`. `calls`: the answer calls a tool of the client's, which counts more than the word
    where that says nothing else. A word not known here is a stop.
    """
    finish = _STOPS.get(reason, "stop") if reason else ""
    if finish in {"", "stop"} and calls:
        return "tool_calls"
    return "stop" if finish == "tool_calls" and not calls else finish
