"""What most dialects do alike."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.dialect import Ask
from trunkline.dialects.usual import Events, Rewritable, Uncounted

ASK = Ask({}, "m", stream=True, include_usage=False)


@pytest.mark.parametrize(
    ("content_type", "found"),
    [(b"text/event-stream", True), (b"Text/Event-Stream; charset=utf-8", True), (b"application/json", False), (b"", False)],
)
def test_a_stream_is_known_by_its_type(content_type: bytes, found: bool) -> None:
    """A whole answer taken for a stream would have no end, and no answer."""
    assert Events().streams(content_type) is found
    assert Events().streams(Events().stream_type(ASK))


def test_requests_can_be_written_anew() -> None:
    """Else a conversation could never get back the state that the gateway keeps for it."""
    assert not Rewritable().only_bytes(ASK)


def test_who_cannot_count_is_not_asked() -> None:
    """A count is then guessed; an answer to a question that was never put is the provider's fault."""
    assert Uncounted().write_count(Chat("d", "m", ()), "m", NO_FACTS) is None
    assert Uncounted().write_count_answer(5) == b"{}"
    with pytest.raises(GatewayError) as raised:
        Uncounted().read_count(b'{"input_tokens":3}')
    assert raised.value.kind is Kind.UPSTREAM_PROTOCOL
