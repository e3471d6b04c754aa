"""State of other families, taken out of what goes to a provider of this dialect."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Seal
from trunkline.dialects.openai_chat.foreign_state import without_foreign
from trunkline.dialects.openai_chat.request import read_request, write_request
from trunkline.dialects.state import SEALED, wrap

WRAPPED = wrap(Seal("ollama", "state"))


def cleaned(*messages: Any) -> Any:
    """What is left of them."""
    return json.loads(bytes(without_foreign(msgspec.Raw(json.dumps(messages).encode()))))


OWN = {"type": "reasoning.text", "signature": "own"}
OWN_EXTRA = {"google": {"thought_signature": "own"}}
EXTRA = {"google": {"thought_signature": WRAPPED}}
CASES: list[tuple[str, Any, Any]] = [
    (
        "details",
        {"reasoning_details": [{"type": "reasoning.text", "signature": WRAPPED}, OWN]},
        {"reasoning_details": [OWN]},
    ),
    ("only foreign details", {"reasoning_details": [{"data": WRAPPED}], "content": "a"}, {"content": "a"}),
    ("a message's", {"extra_content": EXTRA, "content": "a"}, {"content": "a"}),
    ("beside others", {"extra_content": {**EXTRA, "x": 1}}, {"extra_content": {"x": 1}}),
    (
        "beside Google's own",
        {"extra_content": {"google": {**EXTRA["google"], "thought": True}}},
        {"extra_content": {"google": {"thought": True}}},
    ),
    (
        "calls",
        {"tool_calls": [{"id": "x", "extra_content": EXTRA}, {"id": "y", "extra_content": OWN_EXTRA}]},
        {"tool_calls": [{"id": "x"}, {"id": "y", "extra_content": OWN_EXTRA}]},
    ),
    ("a text that only looks so", {"content": WRAPPED}, {"content": WRAPPED}),
    ("strange shapes", {"reasoning_details": {"a": WRAPPED}, "extra_content": [WRAPPED], "tool_calls": {"a": WRAPPED}},
     {"reasoning_details": {"a": WRAPPED}, "extra_content": [WRAPPED], "tool_calls": {"a": WRAPPED}}),
    ("stranger", {"reasoning_details": [WRAPPED], "tool_calls": [WRAPPED], "extra_content": {"google": WRAPPED}},
     {"reasoning_details": [WRAPPED], "tool_calls": [WRAPPED], "extra_content": {"google": WRAPPED}}),
    ("no object", [WRAPPED], [WRAPPED]),
]  # fmt: skip


@pytest.mark.parametrize(("message", "left"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_it_is_left_out_and_nothing_else(message: Any, left: Any) -> None:
    """A provider refuses a field with state it never made; all else is the client's."""
    assert cleaned({"role": "user"}, message) == [{"role": "user"}, left]


def test_messages_without_it_are_not_touched() -> None:
    """The commonest request costs one search: not a byte changes, whatever its spelling."""
    raw = msgspec.Raw(b'[ {"content" : "\\u0041", "n": 1.0} ]')
    assert without_foreign(raw) is raw


def test_only_the_message_that_has_it_is_written_anew() -> None:
    """The others keep their bytes: numbers, escapes and spaces."""
    raw = msgspec.Raw(b'[{"content" : "\\u0041"},{"content":"b","reasoning_details":[{"data":"%b"}]}]' % WRAPPED.encode())
    assert bytes(without_foreign(raw)) == b'[{"content" : "\\u0041"},{"content":"b"}]'


def test_a_request_goes_out_without_it() -> None:
    """The shallow way is where it would slip through."""
    messages = [{"role": "assistant", "content": "a", "extra_content": EXTRA}]
    ask = read_request(json.dumps({"model": "m", "messages": messages}).encode())
    sent = json.loads(write_request(ask, "m", ask_usage=False).body)
    assert sent["messages"] == [{"role": "assistant", "content": "a"}]


@given(st.text(alphabet='{}[]":,a1 ') | st.binary(max_size=20).map(lambda raw: raw.decode("latin-1")))
def test_no_bytes_break_it(text: str) -> None:
    """What is not JSON below the first level is the provider's to refuse."""
    raw = msgspec.Raw(f'[{text}"{SEALED}"]'.encode())
    assert isinstance(without_foreign(raw), msgspec.Raw)
