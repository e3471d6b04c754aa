"""Cohere's citations in canon."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.cohere.samples import CITED
from trunkline.canon.chat import Citation
from trunkline.dialects.cohere.citing import citations, cites_text, content_index


def test_one_for_each_source() -> None:
    """A reader follows each link."""
    assert list(citations(CITED)) == [
        Citation("https://e.org/r", "On Ruby", "Ruby is red.", 0, 4),
        Citation("https://e.org/d", "", "A gem.", 0, 4),
    ]


@pytest.mark.parametrize(
    ("told", "citation"),
    [
        ({}, Citation()),
        ({"sources": 5, "start": "x", "end": -1}, Citation()),
        ({"sources": [{"id": "doc:3"}], "start": 1, "end": 2}, Citation(title="doc:3", start=1, end=2)),
        ({"sources": [{"id": 5, "document": {"title": 7, "text": None}}]}, Citation()),
    ],
)
def test_without_a_source_or_a_link(told: dict[str, Any], citation: Citation) -> None:
    """What is known is told."""
    assert list(citations(told)) == [citation]


@pytest.mark.parametrize(
    ("told", "text", "index"),
    [
        ({}, True, 0),
        ({"type": "TEXT_CONTENT", "content_index": 2}, True, 2),
        ({"type": "PLAN", "content_index": "x"}, False, 0),
        ({"type": "THINKING_CONTENT"}, False, 0),
    ],
)
def test_whose_it_is(told: dict[str, Any], text: bool, index: int) -> None:
    """Canon cites texts only."""
    assert (cites_text(told), content_index(told)) == (text, index)
