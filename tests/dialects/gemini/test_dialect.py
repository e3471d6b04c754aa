"""The dialect as the gateway sees it."""

from __future__ import annotations

import pytest

from dialects.gemini.samples import ask, frame
from trunkline.dialects.dialect import Dialect
from trunkline.dialects.gemini.dialect import Gemini
from trunkline.dialects.gemini.reader import GeminiReader
from trunkline.dialects.gemini.tap import GeminiTap
from trunkline.dialects.gemini.writer import GeminiWriter

GEMINI: Dialect = Gemini()


@pytest.mark.parametrize(("form", "told"), [("sse", b"text/event-stream"), ("array", b"application/json")])
def test_a_stream_is_typed_as_it_was_asked_for(form: str, told: bytes) -> None:
    """A client that reads JSON must not be told events."""
    assert GEMINI.stream_type(ask(form=form)) == told


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [(b"text/event-stream", True), (b"application/json; charset=utf-8", True), (b"", True), (b"text/html", False)],
)
def test_both_framings_stream(content_type: bytes, streams: bool) -> None:
    """An array comes as application/json, and a web page is no answer."""
    assert GEMINI.streams(content_type) is streams


def test_each_stream_has_objects_of_its_own() -> None:
    """Two streams must not share a state."""
    assert isinstance(GEMINI.tap(ask(form="sse"), hide_usage=True), GeminiTap)
    assert isinstance(GEMINI.reader("s"), GeminiReader)
    assert isinstance(GEMINI.writer(frame("sse")), GeminiWriter)
    assert GEMINI.name == "gemini"
