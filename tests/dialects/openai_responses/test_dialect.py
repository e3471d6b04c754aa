"""The dialect as one object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.odd import ODD, ask_all, changed, each
from dialects.openai_responses.asking import AGENTS, EXEC, LOOK, USED, reply
from trunkline.canon.chat import Seal, Text, Thinking, ToolCall
from trunkline.canon.facts import NO_FACTS
from trunkline.canon.loss import Loss
from trunkline.canon.stream import unfold
from trunkline.dialects.dialect import Dialect, Frame, Listed, Named
from trunkline.dialects.openai_responses.dialect import OpenAIResponses
from trunkline.dialects.openai_responses.request import read_request
from trunkline.dialects.state import wrap
from trunkline.dialects.table import DIALECTS

DIALECT: Dialect = OpenAIResponses()
REQUEST: dict[str, Any] = {
    "model": "m",
    "instructions": "s",
    "input": [
        {"type": "additional_tools", "role": "developer", "tools": [EXEC]},
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "low"},
                {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,QUJD"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "e"},
        {"type": "reasoning", "summary": [], "encrypted_content": wrap(Seal("gemini", "c2ln"), "next")},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "phase": "commentary",
            "content": [
                {"type": "output_text", "text": "b", "annotations": [{"type": "url_citation", "url": "https://x"}]},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": "{}", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "d", "name": "exec", "namespace": "functions", "input": "text(1)"},
        {"type": "function_call_output", "call_id": "c", "output": "r"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "r"}]},
        {"role": "user", "content": "u"},
    ],
    "tools": [LOOK, AGENTS, {"type": "web_search"}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "max_output_tokens": 100,
    "top_logprobs": 2,
    "stream": True,
    "store": False,
}


def test_one_exchange_of_the_same_dialect() -> None:
    """The pipeline knows only the interface; a part wired to the wrong function would show here."""
    ask = DIALECT.read_request(b'{"model":"m","input":"hi","stream":true}')
    assert (DIALECT.name, DIALECT.stream_type(ask)) == ("openai_responses", b"text/event-stream")
    assert DIALECT.streams(b"Text/Event-Stream; charset=utf-8")
    assert not DIALECT.streams(b"application/json")
    assert DIALECT.estimate_input(ask) == 1
    assert DIALECT.write_request(ask, "n", ask_usage=False).path == "/responses"
    error = DIALECT.read_error(500, "text/plain", b"boom")
    assert json.loads(DIALECT.write_error(error))["error"]["message"] == "boom"
    listed = Listed("m", "lab", NO_FACTS)
    assert json.loads(DIALECT.write_models([listed]))["data"] == [json.loads(DIALECT.write_model(listed))]


def test_one_exchange_through_canon() -> None:
    """As client and as provider, whole and streamed: what one writes the other reads."""
    answer = reply(Thinking("t", Seal("openai_responses", "e")), Text("a"), ToolCall("c", "look", '{"a":1}'))
    frame = Frame(DIALECT.read_request(b'{"model":"m","input":"hi"}'), "ours", 1)
    body = DIALECT.write_answer(answer, frame)
    assert DIALECT.read_reply(body).usage == USED
    read = DIALECT.read_answer(body, "seed")
    assert [type(part) for part in read.choices[0].parts] == [Thinking, Text, ToolCall]
    assert (read.usage, read.choices[0].finish) == (USED, "tool_calls")
    stream = DIALECT.writer(frame).write(unfold(answer))
    tap = DIALECT.tap(frame.ask, hide_usage=True)
    assert tap.feed(stream) + tap.close() == stream
    assert (tap.usage, tap.complete) == (USED, True)
    assert DIALECT.reader("seed").feed(stream)


def test_tokens_are_counted() -> None:
    """The question to a provider, its answer, and ours."""
    ask = DIALECT.read_request(b'{"model":"m","input":"hi"}', Named("count"))
    sent = DIALECT.write_count(DIALECT.read_chat(ask), "n", NO_FACTS)
    assert sent is not None
    assert (sent.path, json.loads(sent.body)["model"]) == ("/responses/input_tokens", "n")
    told = DIALECT.write_count_answer(5)
    assert json.loads(told) == {"object": "response.input_tokens", "input_tokens": 5}
    assert DIALECT.read_count(told) == 5


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - {"openai_completions"}))
def test_the_request_itself_is_taken_by_every_dialect(name: str) -> None:
    """Else nothing would be tried below. One that only goes on with a text takes none."""
    chat = DIALECT.read_chat(read_request(json.dumps(REQUEST).encode()))
    assert DIALECTS[name].write_chat(chat, "m", NO_FACTS, Loss(strict=False), ask_usage=True).body


def test_a_request_comes_back_as_it_went() -> None:
    """A history that must be written anew, to leave another family's state out, says all the rest as the client did."""
    chat = DIALECT.read_chat(read_request(json.dumps(REQUEST).encode()))
    told = json.loads(DIALECT.write_chat(chat, "m", NO_FACTS, Loss(strict=True), ask_usage=True).body)
    items = [item for item in REQUEST["input"] if not str(item.get("encrypted_content")).startswith("dGwx")]
    assert told["tools"] == REQUEST["tools"]
    assert told["tool_choice"] == REQUEST["tool_choice"]
    assert {name: told[name] for name in ("text", "reasoning", "store")} == {
        name: REQUEST[name] for name in ("text", "reasoning", "store")
    }
    kinds = [item.get("type", "message") for item in items]
    assert [item["type"] for item in told["input"]] == ["additional_tools", "message", *kinds[1:]]
    calls = [item for item in told["input"] if item["type"].endswith("_call")]
    assert calls == [item for item in items if str(item.get("type")).endswith("_call")]


def test_a_request_with_anything_in_one_place_is_read_or_refused() -> None:
    """A client's mistake is its own, told with 400, and never an error of the gateway's."""
    for body in each(REQUEST):
        ask_all(DIALECT, body)


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(ODD)), min_size=2, max_size=5))
def test_a_request_with_anything_in_it_is_read_or_refused(changes: list[tuple[int, str]]) -> None:
    """Mistakes come together."""
    ask_all(DIALECT, changed(REQUEST, changes))
