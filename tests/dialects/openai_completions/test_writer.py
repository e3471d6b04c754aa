"""A stream for a client that asked to go on with a text."""

from __future__ import annotations

import json
from typing import Any

from openai.types import Completion

from trunkline.canon.chat import Choice, Refusal, Reply, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Finished, Fold, Open, unfold
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Frame
from trunkline.dialects.openai_completions.reader import CompletionsReader
from trunkline.dialects.openai_completions.request import read_request
from trunkline.dialects.openai_completions.writer import CompletionsWriter

USAGE = Usage(input=4, output=3, basis="reported")
TOKEN = {"token": "Hey", "logprob": -1.0, "top_logprobs": []}


def writer(**fields: Any) -> CompletionsWriter:
    """A writer for a request of these fields."""
    body = {"model": "m", "prompt": "Once ", "stream": True, **fields}
    return CompletionsWriter(Frame(read_request(json.dumps(body).encode()), "ours", 7))


def chunks(data: bytes) -> list[dict[str, Any]]:
    """Every chunk before the end mark; the official SDK must be able to read each."""
    *events, done, rest = data.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    found = [json.loads(one.removeprefix(b"data: ")) for one in events]
    for one in found:
        Completion.model_construct(**one)
        assert one["object"] == "text_completion"
    return found


def texts(found: list[dict[str, Any]]) -> list[tuple[int, str, str | None]]:
    """What each chunk says."""
    return [(one["index"], one["text"], one["finish_reason"]) for chunk in found for one in chunk["choices"]]


STREAM: list[Event] = [
    Begin("id", "claude", 5),
    Open(0, Thinking("")),
    Delta(0, "hm"),
    Close(0),
    Open(1, Text("")),
    Delta(1, "He"),
    Delta(1, "y", (TOKEN,)),
    Close(1),
    Open(2, ToolCall("c", "f", "")),
    Delta(2, "{}"),
    Close(2),
    Open(3, Refusal("")),
    Delta(3, "no"),
    Close(3),
    Finished("tool_calls", "tool_use"),
    Count(USAGE),
    End(),
]


def test_text_and_nothing_else() -> None:
    """Thinking and calls have no place in it."""
    found = chunks(writer().write(STREAM))
    assert texts(found) == [(0, "He", None), (0, "y", None), (0, "no", None), (0, "", "stop")]
    assert {(one["id"], one["model"], one["created"]) for one in found} == {("id", "claude", 5)}
    assert found[1]["choices"][0]["logprobs"]["text_offset"] == [2]
    assert not any("usage" in one for one in found)


def test_usage_is_told_where_it_is_asked_for() -> None:
    """Alone at the end, and null before, as OpenAI does."""
    found = chunks(writer(stream_options={"include_usage": True}).write(STREAM))
    assert [one["usage"] for one in found[:-1]] == [None] * 4
    assert (found[-1]["choices"], found[-1]["usage"]["total_tokens"]) == ([], 7)


def test_usage_that_nobody_told_is_not_made_up() -> None:
    """Zeros would look like a count."""
    told: list[Event] = [Begin("", ""), Finished("stop"), End()]
    assert len(chunks(writer(stream_options={"include_usage": True}).write(told))) == 1


def test_the_prompt_is_put_before_each_answer() -> None:
    """Once, and before an answer without a word, too."""
    told: list[Event] = [
        Begin("", ""),
        Open(0, Text("")),
        Delta(0, "a", (TOKEN,)),
        Close(0),
        Finished("stop"),
        Finished("length", choice=1),
        End(),
    ]
    found = chunks(writer(echo=True).write(told))
    assert texts(found) == [(0, "Once ", None), (0, "a", None), (0, "", "stop"), (1, "Once ", None), (1, "", "length")]
    assert found[1]["choices"][0]["logprobs"]["text_offset"] == [5]
    assert {(one["id"], one["model"], one["created"]) for one in found} == {("ours", "m", 7)}


def test_a_part_that_begins_with_text_is_shown_whole() -> None:
    """As `Open` may bear it."""
    told: list[Event] = [Begin("", ""), Open(0, Text("a")), Delta(0, "b"), Close(0), Finished("stop"), End()]
    assert texts(chunks(writer().write(told))) == [(0, "a", None), (0, "b", None), (0, "", "stop")]


def test_an_answer_without_an_end_ends_as_broken() -> None:
    """A client must not take half of it for the whole."""
    out = writer().write([Begin("", ""), Open(0, Text("a")), Close(0), Finished("error", "MALFORMED"), End()])
    assert b"[DONE]" not in out
    assert "error" in json.loads(out.split(b"data: ")[-1])


def test_a_broken_stream_ends_with_an_error() -> None:
    """And with no end mark."""
    out = writer().fail(GatewayError(Kind.UPSTREAM_BROKEN, "gone"))
    assert json.loads(out.removeprefix(b"data: "))["error"]["message"] == "gone"
    assert b"[DONE]" not in out


def test_what_is_written_is_read_again() -> None:
    """Both halves of the dialect agree."""
    reply = Reply("x", "id", "m", (Choice((Text("Hey"),), "stop"), Choice((Text("漢"),), "length")), USAGE, created=5)
    fold = Fold("openai_completions")
    reader = CompletionsReader("s")
    fold.add(reader.feed(writer(stream_options={"include_usage": True}).write(unfold(reply))) + reader.close())
    found = fold.reply()
    assert [(one.parts, one.finish) for one in found.choices] == [(one.parts, one.finish) for one in reply.choices]
    assert (found.id, found.model, found.created, found.usage) == ("id", "m", 5, USAGE)
