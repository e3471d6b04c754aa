"""The dialect as one object: its types and the questions it cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import odd
from dialects.ollama.samples import PNG, STREAM, WHOLE, ask, frame
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
    assert OLLAMA.write_count_answer(5) == b"{}"
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


ODD_CHAT: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a", "images": [PNG]},
        {
            "role": "assistant",
            "content": "b",
            "thinking": "t",
            "tool_calls": [
                {"id": "x", "type": "function", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
                {"function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "r", "tool_name": "g"},
        {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    "think": "high",
    "format": {"type": "object", "properties": {}},
    "options": {"temperature": 0.3, "num_predict": 44, "stop": ["x"], "seed": 4, "top_k": 3, "top_p": 0.2, "min_p": 0.1},
    "keep_alive": "5m",
    "logprobs": True,
    "top_logprobs": 2,
}
ODD_GENERATE: dict[str, Any] = {
    "model": "m", "prompt": "p", "suffix": "", "images": [PNG], "system": "s", "template": "", "raw": False, "context": [],
    "think": True, "format": "json", "options": {"num_predict": 4}, "keep_alive": 0,
}  # fmt: skip
ODD_ANSWERS: list[dict[str, Any]] = [
    {
        "model": "m",
        "created_at": "2026-08-07T06:08:09Z",
        "message": {
            "role": "assistant",
            "content": "c",
            "thinking": "t",
            "images": [PNG],
            "tool_calls": [{"id": "c0", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        },
        "logprobs": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}],
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 12,
        "eval_count": 7,
        "total_duration": 9,
    },
    {"model": "m", "response": "r", "thinking": "t", "done": True, "context": [1], "eval_count": 7, "error": ""},
]
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(odd.ODD)), min_size=2, max_size=4)
GENERATES = Named("generate")


def test_something_odd_anywhere_is_no_crash() -> None:
    """A client sees a 400 with the field's name, or a provider's failure: a 500 would be ours."""
    for body in odd.each(ODD_CHAT):
        odd.ask_all(OLLAMA, body)
    for body in odd.each(ODD_GENERATE):
        odd.ask_all(OLLAMA, body, GENERATES)
    for answer in ODD_ANSWERS:
        for body in odd.each(answer):
            odd.answer_all(OLLAMA, body)
            odd.stream_all(OLLAMA, body + b"\n" + WHOLE)
        for body in odd.each({**answer, "done": False}):
            odd.stream_all(OLLAMA, body + b"\n" + WHOLE)


@given(CHANGES)
@settings(deadline=None)
def test_several_odd_things_are_no_crash(changes: list[tuple[int, str]]) -> None:
    """As above; one may hide behind another."""
    odd.ask_all(OLLAMA, odd.changed(ODD_CHAT, changes))
    odd.ask_all(OLLAMA, odd.changed(ODD_GENERATE, changes), GENERATES)
    for answer in ODD_ANSWERS:
        odd.answer_all(OLLAMA, odd.changed(answer, changes))
        odd.stream_all(OLLAMA, odd.changed({**answer, "done": False}, changes) + b"\n" + WHOLE)
