"""Probabilities of pieces of text."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.dialects.cohere.logprobs import read_logprobs


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (None, []),
        (5, []),
        ([], []),
        ({"text": "é", "logprobs": [-0.5, -1]}, [("é", -1.5, [195, 169])]),
        ([{"text": "a", "logprobs": [-1]}, {"text": "b"}, {"text": "c", "logprobs": ["x", True]}, 7], [("a", -1, [97])]),
        ({"logprobs": [-1]}, [("", -1, [])]),
    ],
)
def test_a_piece_is_a_token(told: Any, found: list[tuple[str, float, list[int]]]) -> None:
    """As canon tells it; what has no probability is left out."""
    assert [(one["token"], one["logprob"], one["bytes"]) for one in read_logprobs(told)] == found
