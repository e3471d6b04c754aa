"""The dialect as one object: its types and the questions it cannot be asked."""

from __future__ import annotations

import pytest

from dialects.ollama.samples import STREAM, WHOLE, ask, frame
from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.dialect import Named
from trunkline.dialects.ollama.dialect import Ollama

OLLAMA = Ollama()


def test_a_stream_is_lines() -> None:
    """Clients go by the type."""
    assert OLLAMA.stream_type(ask()) == OLLAMA.stream_type(ask(form="generate")) == b"application/x-ndjson"


@pytest.mark.parametrize(
    ("told", "streams"),
    [
        (b"application/x-ndjson", True),
        (b"Application/X-NDJSON; charset=utf-8", True),
        (b"application/json; charset=utf-8", True),
        (b"text/html", False),
        (b"", False),
    ],
)
def test_which_answers_are_streams(told: bytes, streams: bool) -> None:
    """One line called JSON is a stream too: that is how Ollama says that a model is loaded."""
    assert OLLAMA.streams(told) is streams


def test_tokens_cannot_be_counted() -> None:
    """There is no such question in Ollama's API."""
    assert OLLAMA.write_count(Chat("ollama", "m", ()), "m", NO_FACTS) is None
    assert OLLAMA.write_count_answer(5) == b'{"count":5}'
    with pytest.raises(GatewayError):
        OLLAMA.read_count(b"{}")


def test_its_parts_fit_together() -> None:
    """A request and both kinds of answer, through the one object."""
    found = OLLAMA.read_request(b'{"model":"m","prompt":"hi"}', Named("generate"))
    assert OLLAMA.write_request(found, "n", ask_usage=True).path == "/api/generate"
    assert OLLAMA.read_chat(found).messages
    assert OLLAMA.name == OLLAMA.read_answer(WHOLE, "s").dialect == "ollama"
    lines = OLLAMA.writer(frame()).write(OLLAMA.reader("s").feed(STREAM))
    assert OLLAMA.tap(found, hide_usage=False).feed(lines) == lines
