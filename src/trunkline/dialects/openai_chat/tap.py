"""A streamed chat answer read in passing: what of its choices is told. The stream itself is read in `openai_shape.tap`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_shape.tap import ABSENT, ChunkTap, text_size


class _Function(msgspec.Struct, gc=False):
    arguments: msgspec.Raw = ABSENT


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = ABSENT
    reasoning_content: msgspec.Raw = ABSENT
    """DeepSeek's and xAI's word."""
    reasoning: msgspec.Raw = ABSENT
    """Groq's, OpenRouter's and Ollama's word."""
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: Any = 0
    delta: _Delta | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: Any = None
    x_groq: msgspec.Raw = ABSENT
    service_tier: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def _size(choice: _Choice) -> int:
    delta = choice.delta
    if delta is None:
        return 0
    size = text_size(delta.content) + text_size(delta.reasoning_content) + text_size(delta.reasoning)
    for call in delta.tool_calls or ():
        if call.function is not None:
            size += max(0, text_size(call.function.arguments))
    return size


class ChatTap(ChunkTap):
    """The tap of one chat stream."""

    __slots__ = ()

    def __init__(self, *, hide_usage: bool) -> None:
        super().__init__(_decode, _size, hide_usage=hide_usage)


def tap(ask: Ask, *, hide_usage: bool) -> ChatTap:  # noqa: ARG001
    """A fresh tap; streams of this dialect do not depend on what was asked."""
    return ChatTap(hide_usage=hide_usage)
