"""Where a text has its knowledge from, read and written; Google counts bytes, canon characters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Citation
from trunkline.dialects.gemini.citing import Cited, Kept, Sources

TEXT = "Öl ist teuer."
CHUNKS = [
    {"web": {"uri": "https://a.test", "title": "A"}},
    {"retrievedContext": {"title": "B"}},
    {"image": {"sourceUri": "https://c.test"}},
    {"web": {}},
]


def grounded(segment: dict[str, Any], *numbers: Any) -> dict[str, Any]:
    """A candidate with one support."""
    return {
        "groundingMetadata": {
            "groundingChunks": CHUNKS,
            "groundingSupports": [{"segment": segment, "groundingChunkIndices": list(numbers)}],
        }
    }


@pytest.mark.parametrize(
    ("candidate", "part", "found"),
    [
        (
            grounded({"endIndex": 3, "text": "Öl"}, 0, 1),
            0,
            [Citation("https://a.test", "A", start=0, end=2), Citation("", "B", start=0, end=2)],
        ),
        (grounded({"startIndex": 4, "endIndex": 7, "text": "ist"}, 2), None, [Citation("https://c.test", start=3, end=6)]),
        (grounded({"startIndex": 4, "endIndex": 7, "text": "is"}, 0), 0, [Citation("https://a.test", "A")]),
        (grounded({"startIndex": 1, "endIndex": 7}, 0), 0, [Citation("https://a.test", "A")]),
        (grounded({"startIndex": 4, "endIndex": 700}, 0), 0, [Citation("https://a.test", "A")]),
        (grounded({"partIndex": 1, "endIndex": 3}, 0), 0, []),
        (grounded({"partIndex": 1, "endIndex": 3}, 0), None, [Citation("https://a.test", "A", start=0, end=2)]),
        (grounded({"endIndex": 3}, 3, 9, "x", True), 0, []),
        (
            {"citationMetadata": {"citations": [{"endIndex": 3, "uri": "https://d.test"}, {"license": "mit"}]}},
            0,
            [Citation("https://d.test", start=0, end=2)],
        ),
        ({"citationMetadata": {"citationSources": [{"endIndex": 3, "title": "D"}]}}, 0, [Citation("", "D", start=0, end=2)]),
        ({"citationMetadata": {"citations": [{"endIndex": 3, "uri": "https://d.test"}]}}, 1, []),
        ({"groundingMetadata": {"groundingSupports": [1, {"segment": 2}]}, "citationMetadata": 3}, 0, []),
        ({}, 0, []),
    ],
)
def test_citations_are_read(candidate: dict[str, Any], part: int | None, found: list[Citation]) -> None:
    """A client that underlines what is cited must underline the right words, or none."""
    assert list(Sources(candidate).of(TEXT, part)) == found


def test_without_the_text_there_are_no_positions() -> None:
    """The text was too long to be kept."""
    assert list(Sources(grounded({"endIndex": 3}, 0)).of(None)) == [Citation("https://a.test", "A")]


@given(st.text(min_size=1, max_size=20) | st.text("aé€", min_size=250, max_size=2100), st.data())
def test_what_is_written_is_read_the_same(text: str, data: st.DataObject) -> None:
    """Citations of another provider's reach a client of Gemini's in the right place, whatever the letters."""
    start = data.draw(st.integers(0, len(text) - 1))
    citation = Citation("https://a.test", "A", start=start, end=data.draw(st.integers(start + 1, len(text))))
    cited = Cited()
    cited.add(citation, text, 2)
    assert list(Sources(cited.metadata()).of(text, 2)) == [citation]


def test_what_has_no_place_is_told_without_one() -> None:
    """A source without a URL has no field; one without a position is listed all the same, and once."""
    cited = Cited()
    assert cited.metadata() == {}
    cited.add(Citation(title="A book"), "text")
    assert cited.metadata() == {}
    for start, end, text in ((None, None, "text"), (0, None, "text"), (0, 9, "text"), (2, 2, "text"), (0, 1, None)):
        cited.add(Citation("https://a.test", start=start, end=end), text)
    assert cited.metadata() == {
        "groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://a.test"}}], "groundingSupports": []}
    }


def test_a_long_piece_is_cited_without_its_words() -> None:
    """Many citations of a whole book must not make as many books."""
    cited = Cited()
    cited.add(Citation("https://a.test", start=1, end=1026), "é" * 2000)
    (support,) = cited.metadata()["groundingMetadata"]["groundingSupports"]
    assert support["segment"] == {"startIndex": 2, "endIndex": 2052}


def test_a_text_is_kept_while_it_is_not_too_long() -> None:
    """A stream without end must not fill the memory."""
    kept = Kept()
    kept.add("a" * 262_144)
    assert kept.text() == "a" * 262_144
    kept.add("b")
    kept.add("c")
    assert kept.text() is None
