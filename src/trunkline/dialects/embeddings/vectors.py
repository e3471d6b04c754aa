"""Vectors between two spellings, and as many as were asked for."""

from __future__ import annotations

import base64
import struct
from math import isfinite

from trunkline.canon.embeddings import Embed, Embeddings
from trunkline.dialects.errors import protocol

_SIZE = 4


def pack(vector: list[float]) -> str:
    """Base64 of 32-bit floats, the least significant byte first. Raises `GatewayError` for a number too large for one."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
    except OverflowError:
        raise protocol("The provider's vectors hold a number that is too large.", b"") from None


def unpack(text: str) -> list[float]:
    """The numbers of such a text. Raises `GatewayError` where it is none."""
    try:
        data = base64.b64decode(text, validate=True)
        vector = list(struct.unpack(f"<{len(data) // _SIZE}f", data))
    except (ValueError, struct.error):
        vector = []
    if (text and not vector) or not all(map(isfinite, vector)):
        raise protocol("The provider's vectors cannot be read.", text.encode("utf-8", "replace"))
    return vector


def matched(answer: Embeddings, question: Embed) -> tuple[list[float], ...]:
    """The vectors, where there is one for each item. Raises `GatewayError`: a vector in another's place is worse than none."""
    if len(answer.vectors) != len(question.items):
        raise protocol(f"The provider answered {len(question.items)} inputs with {len(answer.vectors)} vectors.", b"")
    return answer.vectors
