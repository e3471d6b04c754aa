"""Tokens guessed from sizes, where nobody counted them."""

from __future__ import annotations

_BYTES_PER_TOKEN = 4
_MEDIA_BYTES = 256
"""Shorter strings are taken for text."""


def tokens(size: int) -> int:
    """How many tokens `size` bytes of text are: about four bytes each in English and in JSON."""
    return size // _BYTES_PER_TOKEN


def media(value: bytes, marks: tuple[bytes, ...]) -> tuple[int, int]:
    """How many encoded media there are in a JSON text, and their bytes. A linear search: no JSON is decoded for a guess.

    `marks`: what stands right before them. One that ends in a quote is a key, whose value begins after the next quote.
    """
    count = size = 0
    for mark in marks:
        at = value.find(mark)
        while at >= 0:
            start = at + len(mark)
            if mark.endswith(b'"'):
                start = value.find(b'"', start) + 1
            end = value.find(b'"', start) if start else -1
            if end < 0:
                break
            if end - start > _MEDIA_BYTES:
                count += 1
                size += end - start
            at = value.find(mark, end)
    return count, size
