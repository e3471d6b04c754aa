"""Finish reasons: OpenAI's words, those that its imitators use instead, and canon's."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.canon.chat import FinishReason

#: A provider's word, in lower case, to canon's. Seen in recordings, or documented: Together `eos`, Hugging Face `eos_token`
#: and `stop_sequence`, Mistral `model_length`, DeepSeek `insufficient_system_resource`, z.ai `sensitive` and `network_error`,
#: and words of Anthropic, Gemini and Cohere that come through unchanged.
_READ: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "complete": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "pause_turn": "pause",
    "error": "error",
    "insufficient_system_resource": "error",
    "network_error": "error",
    "malformed_function_call": "error",
}
#: What OpenAI's clients know. For an answer that did not come to its end there is no word: see `errors.unfinished`.
_WRITTEN: Mapping[FinishReason, str] = {
    "": "stop",
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def read_reason(word: str, *, called: bool) -> FinishReason:
    """What a provider's word means for an answer that calls tools, or none: by content first, for some say `stop` there."""
    reason = _READ.get(word.lower(), "stop" if word else "")
    if called:
        return "tool_calls" if reason in {"", "stop"} else reason
    return "stop" if reason == "tool_calls" else reason


def means_filter(word: str) -> bool:
    """Whether a provider's word says that its filter ended the answer."""
    return read_reason(word, called=False) == "content_filter"


def write_reason(reason: FinishReason, *, called: bool, legacy: bool) -> str:
    """OpenAI's word; `legacy` for a client that speaks of functions and not of tools. `reason` is none that
    `errors.unfinished` has an error for.
    """
    if called and reason in {"", "stop", "tool_calls"}:
        return "function_call" if legacy else "tool_calls"
    return "stop" if reason == "tool_calls" else _WRITTEN[reason]
