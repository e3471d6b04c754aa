"""A streamed answer read in passing: what of its choices is told. The stream itself is read in `openai_shape.tap`."""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_shape.tap import ABSENT, ChunkTap, text_size


class _Choice(msgspec.Struct, gc=False):
    index: Any = 0
    text: msgspec.Raw = ABSENT
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: Any = None
    x_groq: msgspec.Raw = ABSENT
    service_tier: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def _size(choice: _Choice) -> int:
    return text_size(choice.text)


def tap(ask: Ask, *, hide_usage: bool) -> ChunkTap:  # noqa: ARG001
    """A fresh tap; streams of this dialect do not depend on what was asked."""
    return ChunkTap(_decode, _size, hide_usage=hide_usage)
