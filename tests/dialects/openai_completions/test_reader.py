"""Streams of servers that go on with a text, into canon."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.odd import each, stream_all
from dialects.openai_completions.samples import STREAM, USAGE, WHOLE, chunk, event
from trunkline.canon.chat import Text
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Fold, Open
from trunkline.canon.usage import Usage
from trunkline.dialects.dialect import Reader
from trunkline.dialects.openai_completions.read_answer import read_answer
from trunkline.dialects.openai_completions.reader import CompletionsReader
from trunkline.dialects.table import DIALECTS


def events(*pieces: bytes) -> list[Event]:
    """What these pieces say."""
    reader = CompletionsReader("seed")
    return [one for piece in pieces for one in reader.feed(piece)] + reader.close()


def test_a_stream() -> None:
    """Two answers at once, each with its own part; usage; the end."""
    token = {"token": "y 漢", "logprob": -1.0, "top_logprobs": []}
    assert events(STREAM) == [
        Begin("cmpl-1", "tiny", 5),
        Open(0, Text("")),
        Delta(0, "He"),
        Open(1, Text(""), 1),
        Delta(1, "Wo"),
        Delta(0, "y 漢", (token,)),
        Count(Usage(input=4, output=3, basis="reported"), json.dumps(USAGE, separators=(",", ":"))),
        Close(0),
        Finished("stop", "stop"),
        Close(1),
        Finished("length", "length", choice=1),
        End(),
    ]


def test_slicing_changes_nothing() -> None:
    """A network cuts where it likes."""
    whole = events(STREAM)
    assert events(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == whole
    for cut in range(len(STREAM)):
        assert events(STREAM[:cut], STREAM[cut:]) == whole


def test_a_stream_says_what_a_whole_answer_says() -> None:
    """Clients that switch must not see another answer."""
    told = [{**WHOLE, "choices": [choice], "usage": None} for choice in WHOLE["choices"]]
    fold = Fold("openai_completions")
    fold.add(events(*(event(one) for one in told), event({**WHOLE, "choices": []}), event("[DONE]")))
    streamed, whole = fold.reply(), read_answer(json.dumps(WHOLE).encode(), "s")
    assert [(one.parts, one.finish, one.logprobs) for one in streamed.choices] == [
        (one.parts, one.finish, one.logprobs) for one in whole.choices
    ]
    assert (streamed.usage, streamed.id, streamed.model) == (whole.usage, whole.id, whole.model)


@pytest.mark.parametrize(
    ("body", "ended"),
    [
        (event(chunk("a", "stop")), True),  # no end mark
        (event(chunk("a", "stop"), end=""), True),  # nor a blank line
        (event(chunk("a")) + event("[DONE]", end=""), True),
        (event("[DONE]"), True),
        (event(chunk("a")), False),
        (event(chunk("a", "stop")) + event(chunk("b", index=1)), False),
        (event(chunk("a")) + b'data: {"choices":[{"text":"', False),
        (b"", False),
        (b": ping\n\ndata:\n\n", False),
    ],
)
def test_how_it_ends(body: bytes, ended: bool) -> None:
    """A stream that was cut must not look whole, and one that only leaves out its end mark must not look cut."""
    found = events(body)
    assert any(isinstance(one, End) for one in found) == ended
    assert not any(isinstance(one, Fail) for one in found)


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (event({"error": {"message": "boom"}}), Kind.UPSTREAM_FAILED, "boom"),
        (b"event: error\ndata: boom\n\n", Kind.UPSTREAM_FAILED, "boom"),
        (event("{nonsense"), Kind.UPSTREAM_PROTOCOL, "cannot be read"),
        (event("[]"), Kind.UPSTREAM_PROTOCOL, "cannot be read"),
        (b"data: " + b"x" * 1024 * 1024 + b"\n\n", Kind.UPSTREAM_PROTOCOL, "more than"),
    ],
)
def test_errors_end_it(body: bytes, kind: Kind, message: str) -> None:
    """Nothing follows them."""
    found = events(event(chunk("a")), body, event(chunk("b", "stop")), event("[DONE]"))
    last = found[-1]
    assert isinstance(last, Fail)
    assert last.error.kind is kind
    assert message in last.error.message
    assert [type(one) for one in found[:-1]] == [Begin, Open, Delta]


@pytest.mark.parametrize(
    "told", [{"choices": [{"index": 500, "text": "a"}]}, {"choices": [7]}, {"choices": {}}, {"usage": 5}, {"x": 1}]
)
def test_what_is_unknown_is_passed_over(told: Any) -> None:
    """It may be a newer word."""
    assert not any(isinstance(one, Fail | Delta) for one in events(event(told)))


def test_what_only_python_writes_is_read() -> None:
    """Half a character, where a token ends in one."""
    assert Delta(0, "a?") in events(b'data: {"choices":[{"text":"a\\ud83d","index":0}]}\n\n')


def test_anything_from_a_provider_is_read_or_fails() -> None:
    """A provider's bytes never end in a 500."""
    for one in each(chunk("a", "stop", logprobs={"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}]})):
        stream_all(DIALECTS["openai_completions"], event(chunk("b")) + b"data: " + one + b"\n\ndata: [DONE]\n\n")


def test_usage_is_told_as_it_comes() -> None:
    """Nothing is held back for a stream that breaks."""
    reader: Reader = CompletionsReader("seed")
    assert reader.count() is None
