"""The dialect as one object."""

from __future__ import annotations

from trunkline.dialects.dialect import Dialect
from trunkline.dialects.openai_chat.dialect import OpenAIChat


def test_one_exchange_through_the_interface() -> None:
    """The pipeline knows only the interface; a part wired to the wrong function would show here."""
    dialect: Dialect = OpenAIChat()
    ask = dialect.read_request(b'{"model":"m","messages":[],"stream":true}')
    assert dialect.path == "/chat/completions"
    assert dialect.estimate_input(ask) == 0
    assert dialect.write_request(ask, "n", ask_usage=False) == b'{"model":"n","messages":[],"stream":true}'
    assert dialect.read_reply(b'{"choices":[{"finish_reason":"stop"}]}').finish == "stop"
    error = dialect.read_error(500, "text/plain", b"boom")
    assert dialect.write_stream_error(error) == b"data: " + dialect.write_error(error) + b"\n\n"
    assert dialect.tap(hide_usage=True).feed(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"
