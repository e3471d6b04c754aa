"""Tokens guessed from sizes, where nobody counted them."""

from __future__ import annotations

_BYTES_PER_TOKEN = 4


def tokens(size: int) -> int:
    """How many tokens `size` bytes of text are: about four bytes each in English and in JSON."""
    return size // _BYTES_PER_TOKEN
