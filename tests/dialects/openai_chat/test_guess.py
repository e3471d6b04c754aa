"""Tokens guessed from sizes."""

from __future__ import annotations

import pytest

from trunkline.dialects.openai_chat.guess import tokens


@pytest.mark.parametrize(("size", "count"), [(0, 0), (3, 0), (4, 1), (400, 100)])
def test_a_token_is_about_four_bytes(size: int, count: int) -> None:
    """Prompts, answers and streams without usage are all booked by the one rule."""
    assert tokens(size) == count
