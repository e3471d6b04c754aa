"""How many tokens a request has."""

from __future__ import annotations

import json

from dialects.anthropic.samples import HELLO, chat, foreign
from trunkline.canon.chat import Message, Sampling, Text
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.dialects.anthropic.count import write_count, write_count_answer
from trunkline.dialects.counts import read_count


def test_the_question_is_the_request_without_what_is_no_prompt() -> None:
    """Anthropic refuses `max_tokens` and sampling there."""
    told = chat(max_tokens=9, stream=True, temperature=0.5, metadata={"user_id": "u"}, system="a", mcp_servers=[])
    out = write_count(told, "claude", Facts(version="2026-10-21"))
    assert (out.path, out.head) == ("/v1/messages/count_tokens", b"anthropic-version: 2026-10-21\r\n")
    assert json.loads(out.body) == {
        "model": "claude",
        "messages": HELLO,
        "system": [{"type": "text", "text": "a"}],
        "mcp_servers": [],
    }


def test_what_cannot_be_sent_is_left_out_of_the_count() -> None:
    """A count is a question about a request that will lose the same."""
    told = foreign(messages=(Message("user", (Text("Hello"),)),), sampling=Sampling(seed=1), vendor={"x": 1})
    assert json.loads(write_count(told, "m", NO_FACTS).body) == {"model": "m", "messages": HELLO}


def test_an_answer_is_a_number() -> None:
    """And is written as it is read."""
    assert read_count(b'{"input_tokens":14,"new":1}') == 14
    assert read_count(write_count_answer(7)) == 7
