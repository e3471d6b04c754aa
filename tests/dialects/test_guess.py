"""Tokens guessed from sizes."""

from __future__ import annotations

import pytest

from trunkline.dialects.guess import prompt, tokens

LONG = b"iVBOR" + b"A" * 295


@pytest.mark.parametrize(("size", "count"), [(0, 0), (3, 0), (4, 1), (400, 100)])
def test_a_token_is_about_four_bytes(size: int, count: int) -> None:
    """Prompts, answers and streams without usage are all booked by the one rule."""
    assert tokens(size) == count


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b'{"data": "%b"}' % LONG, 1003),
        (b'{"data":"short"}', 4),
        (b'{"url":"data:image/png;base64,%b"},{"data":"%b"}' % (LONG, LONG), 2011),
        (b'{"data"', 1),
        (b'{"data":"' + LONG, 77),
        (b'{"data":"\\/9j\\/%b"}' % LONG, 1002),
        (b'{"data":"JVBER%b"}' % (b"A" * 1024 * 1024), 26 * 1024 + 2),
        (b'{"data":"AAAA%b"}' % (b"A" * 1024 * 1024), 2 * 1024 + 2),
        (b'{"data":"SUQz%b"}' % LONG, 1002),
        (b'{"data":"%b"}' % (b"all_about_it," * 1000), 1002),
        (b'{"data":"%b"}' % (b"all about it " * 1000), 3252),
        (b'{"data":"%b"}' % ("\u6570\u636e".encode() * 1000), 1502),
        (b"", 0),
    ],
)
def test_media_are_found_without_decoding(value: bytes, told: int) -> None:
    """A picture's base64 must not count as text, nor half a body end in an error; a text under the same name is one."""
    assert prompt((value,), (b";base64,", b'"data"'), 1000) == told


def test_all_texts_are_added_up() -> None:
    """Instructions, messages and tools are one prompt."""
    assert prompt((b"four", b"more"), (), 1000) == 2
