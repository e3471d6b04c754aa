"""Streams of Cohere's, into canon."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.recordings import Recording, parameters, recordings
from conformance.test_readers import slicings
from dialects.cohere.samples import (
    CALL,
    CITED,
    DONE,
    EVENTS,
    START,
    STOP,
    STREAM,
    USAGE,
    WHOLE,
    called,
    content,
    event,
    folded,
    read,
)
from dialects.odd import each
from trunkline.canon.chat import Citation, Text, Thinking, ToolCall
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Fail, Finished, Open
from trunkline.canon.usage import Usage
from trunkline.dialects.cohere.read_answer import read_answer
from trunkline.dialects.cohere.reader import CohereReader
from trunkline.dialects.dialect import Ask, Frame, Reader
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.translate import Translation

FRAME = Frame(Ask({}, "m", stream=True, include_usage=True), "id", 1)


def test_a_stream() -> None:
    """In the order in which it is told; a text closes where the next thing begins, its citations being before that."""
    token = {"token": "Ruby 漢", "logprob": -1.5, "bytes": list("Ruby 漢".encode()), "top_logprobs": []}
    assert read(STREAM) == [
        Begin("c-1", ""),
        Open(0, Thinking("")),
        Delta(0, "Hm, "),
        Delta(0, "gems."),
        Close(0),
        Open(1, Text("")),
        Delta(1, "Ruby"),
        Delta(1, " 漢", (token,)),
        Cite(1, Citation("https://e.org/r", "On Ruby", "Ruby is red.", 0, 4)),
        Cite(1, Citation("https://e.org/d", "", "A gem.", 0, 4)),
        Close(1),
        Open(2, Thinking("")),
        Delta(2, "I will "),
        Delta(2, "look."),
        Close(2),
        Open(3, ToolCall("look_up_1", "look_up", "")),
        Delta(3, '{"q": '),
        Delta(3, '"x"}'),
        Close(3),
        Count(
            Usage(input=50, cache_read=30, output=9, reasoning=4, basis="reported"), json.dumps(USAGE, separators=(",", ":"))
        ),
        Finished("tool_calls", "TOOL_CALL"),
        End(),
    ]


def test_slicing_changes_nothing() -> None:
    """A network cuts where it likes."""
    whole = read(STREAM)
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == whole
    for cut in range(len(STREAM)):
        assert read(STREAM[:cut], STREAM[cut:]) == whole


def test_a_stream_says_what_a_whole_answer_says() -> None:
    """A client that switches must not see another answer."""
    assert folded(read(STREAM)) == read_answer(json.dumps(WHOLE).encode(), "seed")


def test_calls_may_be_open_at_once() -> None:
    """Each by its own index; one that begins anew closes the one before it, and ids are made where none came."""
    told = [START, called("start", 0, CALL), called("start", 1, {"function": {"name": "g"}})]
    told += [called("delta", 1, {"function": {"arguments": "{}"}}), called("start", 0, {}), called("delta", 7, CALL), STOP]
    reply = folded(read(*map(event, told)))
    assert reply.choices[0].parts == (
        ToolCall("look_up_1", "look_up", '{"q": "x"}'),
        ToolCall("tlc_seed_1", "g", "{}"),
        ToolCall("tlc_seed_2", "", "{}"),
    )


def test_content_that_changes_its_kind_is_another_part() -> None:
    """Whatever its index says."""
    told = [
        content("delta", 0, {"thinking": "a"}),
        content("delta", 0, {"text": "b"}),
        content("delta", 0, {"thinking": "c"}),
        STOP,
    ]
    reply = folded(read(*map(event, told)))
    assert reply.choices[0].parts == (Thinking("a"), Text("b"), Thinking("c"))


def test_content_may_begin_with_words() -> None:
    """A start that bears text is the first delta."""
    told = [content("start", 0, {"type": "text", "text": "a"}), content("delta", 0, {"text": "b"}), STOP]
    assert folded(read(*map(event, told))).choices[0].parts == (Text("ab"),)


@pytest.mark.parametrize(
    "cited",
    [{**CITED, "type": "PLAN"}, {**CITED, "type": []}, {**CITED, "content_index": 5}, {**CITED, "content_index": 0}, None],
)
def test_what_cites_no_open_text_is_left_out(cited: Any) -> None:
    """Canon cites texts only."""
    told = [*EVENTS[:9], {"type": "citation-start", "delta": {"message": {"citations": cited}}}, STOP]
    found = [one for one in read(*map(event, told)) if isinstance(one, Cite)]
    assert len(found) == 0


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        (event(START) + event(STOP), True),
        ((event(START) + event(STOP))[:-1], True),  # no blank line
        (event(STOP) + DONE + event(START) + b"data: nonsense\n\n", True),
        (event(START) + DONE, False),
        (STREAM[: STREAM.index(b"event: message-end") + 40], False),
        (b"", False),
        (b": ping\n\n", False),
    ],
)
def test_how_it_ends(body: bytes, ended: bool) -> None:
    """A stream that was cut must not look whole."""
    found = read(body)
    assert any(isinstance(one, End) for one in found) == ended
    assert not any(isinstance(one, Fail) for one in found)
    assert not body.startswith(b"event") or isinstance(found[0], Begin)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (event({"type": "error", "message": "boom"}), Kind.UPSTREAM_FAILED, "boom"),
        (b'event: error\ndata: {"error":"boom"}\n\n', Kind.UPSTREAM_FAILED, "boom"),
        (b'data: {"id":"1","message":"boom"}\n\n', Kind.UPSTREAM_FAILED, "boom"),
        (event({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "boom"}}), Kind.UPSTREAM_FAILED, "boom"),
        (b"data: nonsense\n\n", Kind.UPSTREAM_PROTOCOL, "cannot be read"),
        (b"data: []\n\n", Kind.UPSTREAM_PROTOCOL, "cannot be read"),
        (b"data: " + b"x" * 1024 * 1024 + b"\n\n", Kind.UPSTREAM_PROTOCOL, "more than"),
    ],
)
def test_errors_end_it(body: bytes, kind: Kind, message: str) -> None:
    """Nothing follows them."""
    last = read(event(START), body, event(STOP))[-1]
    assert isinstance(last, Fail)
    assert last.error.kind is kind
    assert message in last.error.message


def test_usage_is_told_before_the_error_that_ends_it() -> None:
    """What was used up to there is paid for."""
    found = read(event({**STOP, "delta": {**STOP["delta"], "error": "boom"}}))
    assert [type(one) for one in found] == [Begin, Count, Fail]


def test_an_answer_given_up_is_no_stop() -> None:
    """Each client's writer says so in its own way."""
    for word in ("ERROR", "TIMEOUT"):
        found = read(event({"type": "message-end", "delta": {"finish_reason": word}}))
        assert Finished("error", word) in found


def test_what_is_unknown_is_passed_over() -> None:
    """It may be a newer word."""
    assert read(event(START), event({"type": "debug", "prompt": "x"})) == [Begin("c-1", "")]


def test_anything_from_a_provider_is_read_or_fails() -> None:
    """A provider's bytes never end in a 500, for a client of any dialect."""
    for at, told in enumerate(EVENTS):
        before, after = (b"".join(map(event, some)) for some in (EVENTS[:at], EVENTS[at + 1 :]))
        for odd in each(told):
            body = before + b"data: " + odd + b"\n\n" + after
            for name in ("openai_chat", "anthropic"):
                try:
                    one = Translation("cohere", CohereReader("seed"), DIALECTS[name].writer(FRAME), {})
                    one.feed(body)
                    one.close()
                    one.kept()
                except Exception as error:
                    raise AssertionError((name, body)) from error


@pytest.mark.parametrize("recording", parameters([one for one in recordings("cohere.chat") if one.streamed]))
def test_recorded_however_it_is_cut(recording: Recording) -> None:
    """What Cohere really sends."""
    events = read(recording.body)
    for pieces in slicings(recording.body):
        assert read(*pieces) == events
    reply = folded(events)
    (call,) = reply.choices[0].parts
    assert (call.name, call.arguments) == ("best_language_to_learn", "{}")
    assert (reply.choices[0].finish, isinstance(events[-1], End)) == ("tool_calls", True)
    assert (reply.usage.input, reply.usage.cache_read, reply.usage.output) == (1591, 992, 38)


def test_usage_is_told_as_it_comes() -> None:
    """Nothing is held back for a stream that breaks."""
    reader: Reader = CohereReader("seed")
    assert reader.count() is None
