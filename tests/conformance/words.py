"""The words in which the yardstick says what an answer holds: text, thinking, calls, finish and usage, whatever API told it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

Json = dict[str, Any]


class Call(NamedTuple):
    """A tool call; `arguments` decoded where they are JSON, else as the text they are."""

    name: str
    arguments: Any
    id: str = ""


class Spent(NamedTuple):
    """Tokens, counted inclusively: `input` holds what was cached, `output` holds what was thought."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


class Said(NamedTuple):
    """One answer. `error` is the provider's message where it is an error, or where it broke off with one."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = ""
    """stop, length, tool_calls, content_filter, pause, error, or empty where none was told."""
    spent: Spent | None = None
    seals: tuple[str, ...] = ()
    error: str = ""
    status: int = 200
    refusal: str = ""

    @property
    def begun(self) -> bool:
        """Something was told before any error."""
        return bool(self.text or self.thinking or self.calls or self.finish)


FINISH = {
    **dict.fromkeys(
        ("stop", "end_turn", "stop_sequence", "STOP", "eos", "unload", "load", "completed", "COMPLETE", "STOP_SEQUENCE"),
        "stop"),
    **dict.fromkeys(
        ("length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "TOOL_CALL"), "tool_calls"),
    **dict.fromkeys(
        ("content_filter", "refusal", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE",
         "MODEL_ARMOR", "IMAGE_SAFETY", "guardrail_intervened", "content_filtered"), "content_filter"),
    **dict.fromkeys(
        ("error", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE", "OTHER"),
        "error"),
    "pause_turn": "pause",
}  # fmt: skip


def finish_of(word: str | None, called: bool) -> str:
    """The class of a finish reason: by the word, and by whether a tool was called, which some providers do not tell."""
    found = FINISH.get(word or "", word or "")
    return "tool_calls" if called and found == "stop" else found


def decoded(arguments: str) -> Any:
    """Arguments as JSON; none are an empty object; broken ones stay the text they are."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
