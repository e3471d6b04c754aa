"""Tokens guessed from sizes."""

from __future__ import annotations

import pytest

from trunkline.dialects.guess import media, tokens

LONG = b"A" * 300


@pytest.mark.parametrize(("size", "count"), [(0, 0), (3, 0), (4, 1), (400, 100)])
def test_a_token_is_about_four_bytes(size: int, count: int) -> None:
    """Prompts, answers and streams without usage are all booked by the one rule."""
    assert tokens(size) == count


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'{"data": "%b"}' % LONG, (1, 300)),
        (b'{"data":"short"}', (0, 0)),
        (b'{"url":"data:image/png;base64,%b"},{"data":"%b"}' % (LONG, LONG), (2, 600)),
        (b'{"data"', (0, 0)),
        (b'{"data":"' + LONG, (0, 0)),
        (b"", (0, 0)),
    ],
)
def test_media_are_found_without_decoding(value: bytes, told: tuple[int, int]) -> None:
    """A picture's base64 must not count as text, nor half a body end in an error."""
    assert media(value, (b";base64,", b'"data"')) == told
