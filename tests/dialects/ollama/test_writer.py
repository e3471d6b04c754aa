"""A stream for a client."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters
from dialects.ollama import samples
from dialects.ollama.samples import REPLY, events, frame
from trunkline.canon.chat import Choice, Citation, Media, Other, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Finished, Fold, Open, unfold
from trunkline.dialects.ollama.writer import OllamaWriter

ZEROS = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 0)


def written(found: list[Event], form: str = "") -> list[dict[str, Any]]:
    """The lines, decoded; each event is written alone, so nothing depends on how they come together."""
    writer = OllamaWriter(frame(form))
    lines = b"".join(writer.write([event]) for event in found)
    assert lines == OllamaWriter(frame(form)).write(found)
    assert lines == b"" or lines.endswith(b"\n")
    return [json.loads(line) for line in lines.splitlines()]


def said(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages, without their role."""
    return [{name: value for name, value in line["message"].items() if name != "role"} for line in lines]


def test_a_foreign_stream_is_written() -> None:
    """Thought before text, each call whole in its line, and at the end all that clients look for."""
    lines = written(unfold(REPLY))
    assert said(lines) == [
        {"content": "", "thinking": "Hm."},
        {"content": "It rains."},
        {
            "content": "",
            "tool_calls": [{"id": "c0", "function": {"index": 0, "name": "weather", "arguments": {"city": "Ulm"}}}],
        },
        {"content": "", "tool_calls": [{"id": "c1", "function": {"index": 1, "name": "now", "arguments": {}}}]},
        {"content": ""},
    ]
    assert all(
        (line["model"], line["created_at"], line["message"]["role"]) == ("gpt", "2026-08-07T06:08:09Z", "assistant")
        for line in lines
    )
    assert [line["done"] for line in lines] == [False] * 4 + [True]
    beside = {name: value for name, value in lines[-1].items() if name not in {"model", "created_at", "message"}}
    assert beside == {"done": True, "done_reason": "stop", **ZEROS, "prompt_eval_count": 3, "eval_count": 5}


def test_the_generate_form_is_written() -> None:
    """`response` in every line, thought and calls beside it."""
    lines = written(unfold(REPLY), "generate")
    assert [(line["response"], line.get("thinking")) for line in lines] == [
        ("", "Hm."),
        ("It rains.", None),
        ("", None),
        ("", None),
        ("", None),
    ]
    assert lines[2]["tool_calls"][0]["id"] == "c0"
    assert not any("message" in line for line in lines)


@given(st.text(), st.sampled_from(["", "generate"]), st.sampled_from([Text(""), Thinking(""), Refusal("")]))
def test_any_text_is_one_line(text: str, form: str, part: Any) -> None:
    """Line ends, quotes and separators inside a text must not end its line."""
    lines = written([Begin("", 'm"\0\u2028'), Open(0, part), Delta(0, text), Close(0)], form)
    assert len(lines) == 1
    place = lines[0] if form else lines[0]["message"]
    name = "thinking" if isinstance(part, Thinking) else "response" if form else "content"
    assert place[name] == text
    assert lines[0]["model"] == 'm"\0\u2028'


@pytest.mark.parametrize("form", ["", "generate"])
def test_no_text_ends_a_line_in_any_reading(form: str) -> None:
    """The official Python client reads lines of text, and a text's lines end at separators that JSON lets stand."""
    strange = "a\u2028b\u2029c\x85d\re\x0bf\x1cg\u201c"
    call = ToolCall("i", strange, json.dumps({strange: "\x85"}, ensure_ascii=False) + "\r")
    reply = Reply("gemini", "", "m", (Choice((Text(strange), Thinking(strange), call), "stop"),))
    out = OllamaWriter(frame(form)).write(unfold(reply))
    assert out.decode().splitlines() == out.decode().removesuffix("\n").split("\n")
    assert folded(events([out])).choices[0].parts[:2] == (Text(strange), Thinking(strange))


def test_parallel_calls_are_told_when_whole() -> None:
    """Arguments of two calls come mixed from OpenAI; Ollama has no half calls."""
    lines = written(
        [
            Begin("", "m"),
            Open(0, ToolCall("a", "f", "")),
            Open(1, ToolCall("b", "g", "")),
            Delta(1, '{"y"'),
            Delta(0, '{"x":1'),
            Delta(1, ":2}"),
            Close(1),
            Delta(0, "}"),
            Close(0),
        ]
    )
    calls = [line["message"]["tool_calls"][0] for line in lines]
    assert calls == [
        {"id": "b", "function": {"index": 1, "name": "g", "arguments": {"y": 2}}},
        {"id": "a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}},
    ]


def test_media_and_what_has_no_word() -> None:
    """Media go out as text; citations, other dialects' own and other choices cannot."""
    found: list[Event] = [
        Begin("", "m"),
        Open(0, Media("image", data="AAAA")),
        Close(0),
        Open(1, Media("audio", data="AAAA")),
        Close(1),
        Open(2, Media("image", url="https://x")),
        Close(2),
        Open(3, Other("anthropic", {})),
        Close(3),
        Open(4, Text(""), choice=1),
        Delta(4, "unheard"),
        Close(4),
        Open(5, Text("")),
        Delta(5, "a"),
        Cite(5, Citation("u")),
        Close(5),
        Extra("gemini", {}),
        Finished("length", choice=0),
        Finished("stop", choice=1),
        End(),
    ]
    lines = written(found)
    assert said(lines) == [
        {"content": "![image](data:;base64,AAAA)"}, {"content": "[audio](data:;base64,AAAA)"}, {"content": "![image](https://x)"},
        {"content": "a"}, {"content": ""},
    ]  # fmt: skip
    assert lines[-1]["done_reason"] == "length"


def test_logprobs_ride_with_their_text() -> None:
    """Also where there is no text with them."""
    logprob = {"token": "a", "logprob": -0.1}
    lines = written([Begin("", "m"), Open(0, Text("")), Delta(0, "a", (logprob,)), Delta(0, "", (logprob,))])
    assert [(line["message"]["content"], line["logprobs"]) for line in lines] == [("a", [logprob]), ("", [logprob])]


def test_before_its_beginning_a_line_has_our_model() -> None:
    """A reader that knows no model still gives lines that clients can read."""
    lines = written([Begin("", ""), Open(0, Text("")), Delta(0, "a")])
    assert (lines[0]["model"], lines[0]["created_at"]) == ("alias", "2023-11-14T22:13:20Z")


def test_an_error_is_a_line_and_nothing_follows_it() -> None:
    """The official client raises what stands under `error`."""
    error = GatewayError(Kind.UPSTREAM_BROKEN, "gone")
    assert OllamaWriter(frame()).fail(error) == b'{"error":"gone"}\n'


def test_an_answer_that_is_not_finished_is_an_error() -> None:
    """Whatever it said already: a client must not take it for the whole."""
    found: list[Event] = [Begin("", "m"), Finished("error", "MALFORMED_FUNCTION_CALL"), End()]
    assert written(found) == [{"error": "The model could not finish its answer (MALFORMED_FUNCTION_CALL)."}]
    found[1:1] = [Open(0, Text("")), Delta(0, "a"), Close(0)]
    assert [line.get("error") for line in written(found)] == [
        None,
        "The model could not finish its answer (MALFORMED_FUNCTION_CALL).",
    ]
    found[-2] = Finished("pause", "pause_turn")
    assert "wants its answer sent back" in written(found)[-1]["error"]


def test_a_stream_cut_short_has_no_end() -> None:
    """The pipeline ends it with an error."""
    assert all(not line["done"] for line in written(unfold(REPLY)[:-1]))


def test_usage_may_come_after_the_finish() -> None:
    """OpenAI tells it in a chunk of its own, and the last told holds."""
    spent = msgspec.structs.replace(samples.USAGE, output=99)
    lines = written([Begin("", "m"), Count(samples.USAGE), Finished("stop"), Count(spent), End()])
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (12, 99)


BODIES = {"chat": samples.STREAM, "generate": samples.GENERATED, "load": samples.line({}, done=True, done_reason="load")}


def again(body: bytes, form: str) -> tuple[list[Event], list[Event]]:
    """What a stream says, and what it says after it was written by us."""
    found = events([body])
    return found, events([OllamaWriter(frame(form)).write(found)])


def folded(found: list[Event]) -> Reply:
    """The answer of a stream; raw usage without its order."""
    fold = Fold("ollama")
    fold.add(found)
    reply = fold.reply()
    raw = json.dumps(json.loads(reply.raw_usage or "{}"), sort_keys=True)
    return msgspec.structs.replace(reply, raw_usage=raw)


@pytest.mark.parametrize(("form", "body"), [("", BODIES["chat"]), ("generate", BODIES["generate"])])
def test_its_own_stream_comes_back(form: str, body: bytes) -> None:
    """Read and written in one dialect: the same answer, in the same pieces."""
    before, after = again(body, form)
    assert folded(after) == folded(before)
    assert [type(event) for event in after] == [type(event) for event in before]


@pytest.mark.parametrize("recording", parameters(samples.RECORDED))
def test_recordings_come_back(recording: Recording) -> None:
    """Real streams and answers too, and in the other form as well."""
    for form in ("", "generate"):
        before, after = again(recording.body, form)
        assert folded(after).choices == folded(before).choices
        assert (folded(after).usage, folded(after).model) == (folded(before).usage, folded(before).model)


PARTS = st.one_of(
    st.builds(Text, st.text(min_size=1)),
    st.builds(Thinking, st.text(min_size=1)),
    st.builds(
        ToolCall,
        st.text(min_size=1),
        st.text(min_size=1),
        st.dictionaries(st.text(), st.integers()).map(lambda told: msgspec.json.encode(told).decode()),
    ),
)


def plain(part: Any) -> Any:
    """A part whose arguments are spelled one way."""
    return (
        msgspec.structs.replace(part, arguments=json.dumps(json.loads(part.arguments))) if isinstance(part, ToolCall) else part
    )


@given(st.lists(PARTS, max_size=6), st.sampled_from(["", "generate"]))
def test_any_answer_survives_the_way_through_a_stream(parts: list[Any], form: str) -> None:
    """Texts next to each other become one, as no line says where one ends; nothing else changes."""
    reply = Reply("anthropic", "i", "m", (Choice(tuple(parts), "stop"),), samples.USAGE)
    back = folded(events([OllamaWriter(frame(form)).write(unfold(reply))])).choices[0].parts
    merged: list[Any] = []
    for part in parts:
        if merged and type(merged[-1]) is type(part) and not isinstance(part, ToolCall):
            merged[-1] = type(part)(merged[-1].text + part.text)
        else:
            merged.append(part)
    assert [plain(part) for part in back] == [plain(part) for part in merged]
