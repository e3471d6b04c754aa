"""The dialect as one object."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_completions.dialect import OpenAICompletions

DIALECT = OpenAICompletions()


@pytest.mark.parametrize(
    ("content_type", "streams"),
    [(b"text/event-stream", True), (b"Text/Event-Stream; charset=utf-8", True), (b"application/json", False), (b"", False)],
)
def test_what_a_stream_is(content_type: bytes, streams: bool) -> None:
    """A whole answer taken for a stream would be passed on without its usage."""
    assert DIALECT.streams(content_type) is streams
    assert DIALECT.stream_type(Ask({}, "m", stream=True, include_usage=False)) == b"text/event-stream"


def test_a_prompt_is_only_bytes() -> None:
    """Nothing in it is a state or a call, whatever it looks like: it is never taken apart for the gateway's memory."""
    assert DIALECT.only_bytes(Ask({}, "m", stream=True, include_usage=False))


def test_nobody_counts() -> None:
    """There is no such question in this API."""
    assert DIALECT.write_count(Chat("x", "m", ()), "m", NO_FACTS) is None
    assert DIALECT.write_count_answer(5) == b"{}"
    with pytest.raises(GatewayError):
        DIALECT.read_count(b"{}")
