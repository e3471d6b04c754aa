"""Where an answer's text has its knowledge from: Cohere's citations into canon's, one for each of their sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.canon.chat import Citation
from trunkline.dialects.cohere.words import objects, table, text

_TEXT = "TEXT_CONTENT"


def cites_text(told: dict[str, Any]) -> bool:
    """It is of the answer's text. Those of a plan or of thinking are left out: canon cites texts only."""
    return told.get("type") in (None, _TEXT)


def content_index(told: dict[str, Any]) -> int:
    """The block of content it belongs to."""
    index = told.get("content_index")
    return index if type(index) is int else 0


def citations(told: dict[str, Any]) -> Iterator[Citation]:
    """Those of one citation; one without a source where it names none."""
    start, end = _place(told.get("start")), _place(told.get("end"))
    for source in objects(told.get("sources")) or [{}]:
        held = table(source.get("document")) or table(source.get("tool_output"))
        url = text(held.get("url")) or _link(source.get("id"))
        yield Citation(
            url=url,
            title=text(held.get("title")) or ("" if url else text(source.get("id"))),
            quote=text(held.get("text")) or text(held.get("snippet")),
            start=start,
            end=end,
        )


def _place(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _link(ident: object) -> str:
    told = text(ident)
    return told if told.startswith(("http://", "https://")) else ""
