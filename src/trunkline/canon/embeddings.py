"""What is to be embedded, and the vectors that came back, in no provider's words.

A request between two sides of one dialect never gets here: its bytes pass. So what canon has no word for is a loss in any
case, and only its name is kept.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.canon.chat import Media
from trunkline.canon.usage import NO_USAGE, Usage

Purpose = Literal[
    "", "query", "document", "similarity", "classification", "clustering", "question", "fact", "code"
]  # fmt: skip
"""What the vectors are for. Empty: the client did not say. `code`: a query for code."""


class Item(msgspec.Struct, frozen=True):
    """One thing to embed into one vector: exactly one of `parts` and `tokens` is not empty."""

    parts: tuple[str | Media, ...] = ()
    """Texts and pictures."""
    tokens: tuple[int, ...] = ()
    """Numbers of a tokenizer, which mean something to one model only."""
    title: str = ""


class Embed(msgspec.Struct, frozen=True):
    """A request. `items` is never empty."""

    model: str
    items: tuple[Item, ...]
    dimensions: int | None = None
    """Numbers that a vector shall have."""
    purpose: Purpose = ""
    truncate: bool | None = None
    """Cut what is too long (or refuse it); None where the client did not say."""
    base64: bool = False
    """The client wants a vector as base64 of 32-bit floats, the least significant byte first."""
    extras: tuple[str, ...] = ()
    """The client's fields that canon has no word for."""
    hints: tuple[str, ...] = ()
    """Those on which the vectors do not depend."""


class Embeddings(msgspec.Struct, frozen=True):
    """An answer. `model` is the provider's word, empty where it names none."""

    vectors: tuple[list[float], ...]
    model: str = ""
    usage: Usage = NO_USAGE
    raw_usage: str = ""
