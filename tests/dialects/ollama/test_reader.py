"""A provider's stream into canon."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters
from dialects.ollama import samples
from dialects.ollama.samples import STREAM, calls, events, line, slices
from trunkline.canon.chat import Media, Text, Thinking, ToolCall
from trunkline.canon.errors import Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Fold, Open
from trunkline.dialects.ollama.read_answer import read_answer
from trunkline.dialects.ollama.reader import OllamaReader

ARGUMENTS = json.dumps(samples.ARGUMENTS)
DURATIONS = {name: value for name, value in samples.SPENT.items() if "duration" in name}


def told(found: list[Event]) -> list[Any]:
    """Events as they can be compared: an error is its kind and message."""
    return [(event.error.kind, event.error.message) if isinstance(event, Fail) else event for event in found]


def test_a_stream_is_read() -> None:
    """Each part opens and closes in its turn; a call comes whole."""
    found = events([STREAM])
    assert found[:2] == [Begin("", "m", samples.SECONDS), Open(0, Thinking(""))]
    assert found[2:7] == [Delta(0, "Hm"), Delta(0, "m."), Close(0), Open(1, Text("")), Delta(1, "It\u2028")]
    assert found[7:12] == [
        Delta(1, " rains\n."),
        Close(1),
        Open(2, ToolCall("c0", "weather", "")),
        Delta(2, ARGUMENTS),
        Close(2),
    ]
    assert found[12:15] == [Open(3, ToolCall("tlc_seed_1", "weather", "")), Delta(3, "{}"), Close(3)]
    assert found[15] == Finished("tool_calls", "stop", vendor=DURATIONS)
    assert isinstance(found[16], Count)
    assert (found[16].usage, json.loads(found[16].raw)) == (samples.USAGE, samples.SPENT)
    assert found[17:] == [End()]


def test_the_generate_form_is_read() -> None:
    """Its text and thought stand beside the model, its context at the end."""
    fold = Fold("ollama")
    fold.add(events([samples.GENERATED]))
    choice = fold.reply().choices[0]
    assert choice.parts == (Thinking("Hm."), Text("It rains."))
    assert choice.vendor == {"context": [1, 2], **DURATIONS}


def test_pictures_and_logprobs() -> None:
    """A picture is a part of its own; logprobs wait for the text they belong to, as Ollama holds text back."""
    logprob = {"token": "a", "logprob": -0.5}
    body = b"".join(
        (
            line({"content": "a"}, logprobs=[logprob, "x"]),
            line({"images": [samples.PNG, 7]}),
            line({}, logprobs=[logprob]),
            line({"tool_calls": calls(("f", {}))}),
            line({"content": "b"}),
            line({}, logprobs=[logprob], done=True),
        )
    )
    found = events([body])
    assert [event for event in found if isinstance(event, Open)][1] == Open(
        1, Media("image", media_type="image/png", data=samples.PNG)
    )
    assert [(event.index, event.text, len(event.logprobs)) for event in found if isinstance(event, Delta)] == [
        (0, "a", 1),
        (2, "{}", 1),
        (3, "b", 0),
        (3, "", 1),
    ]
    assert not any(isinstance(event, Count) for event in found)


def test_logprobs_of_nothing_are_left_out() -> None:
    """There is no part that they could belong to."""
    found = events([line({}, logprobs=[{"token": "a"}], done=True)])
    assert [type(event) for event in found] == [Begin, Finished, End]


@pytest.mark.parametrize(
    ("body", "kind", "message", "before"),
    [
        (b'{"error":"model is gone"}\n', Kind.UPSTREAM_FAILED, "model is gone", 0),
        (line({"content": "a"}) + b'{"error":"model is gone"}', Kind.UPSTREAM_FAILED, "model is gone", 3),
        (b"<html>\n", Kind.UPSTREAM_PROTOCOL, "The provider's stream holds a line that is not Ollama's.", 0),
        (line({"tool_calls": "x"}), Kind.UPSTREAM_PROTOCOL, "The provider's stream holds a line that is not Ollama's.", 0),
        (line({"images": ["http://x"]}), Kind.UPSTREAM_PROTOCOL, "The provider's stream holds a line that is not Ollama's.", 0),
        (b"x" * 1_100_000, Kind.UPSTREAM_PROTOCOL, "The provider sent a line of more than 1048576 bytes.", 0),
    ],
)
def test_what_cannot_be_read_fails_and_nothing_follows(body: bytes, kind: Kind, message: str, before: int) -> None:
    """A broken stream must never look like a clean end."""
    reader = OllamaReader("seed")
    found = reader.feed(body) + reader.feed(b"\n" + STREAM) + reader.feed(b"y" * 1_100_000) + reader.close()
    assert told(found)[before:] == [(kind, message)]


def test_a_stream_cut_short_does_not_end() -> None:
    """Without its last line an answer is not known to be whole."""
    assert not any(isinstance(event, End | Fail) for event in events([line({"content": "a"})]))


def test_what_follows_the_end_is_passed_over() -> None:
    """A second answer on the same line of thought is none of ours."""
    assert events([STREAM + line({"content": "more"})]) == events([STREAM])


@pytest.mark.parametrize("recording", parameters(samples.RECORDED))
def test_recordings_tell_what_they_hold(recording: Recording) -> None:
    """Text, thought and calls of real answers, under every single cut."""
    lines = [json.loads(one) for one in recording.body.splitlines() if one.strip()]
    found = events([recording.body])
    fold = Fold("ollama")
    fold.add(found)
    choice = fold.reply().choices[0]
    said = [one.get("message", {"content": one.get("response"), "thinking": one.get("thinking")}) for one in lines]
    text = "".join(one.get("content") or "" for one in said)
    thought = "".join(one.get("thinking") or "" for one in said)
    called = [call["function"] for one in said for call in one.get("tool_calls") or ()]
    assert [part.text for part in choice.parts if isinstance(part, Text)] == [text] * bool(text)
    assert [part.text for part in choice.parts if isinstance(part, Thinking)] == [thought] * bool(thought)
    made = [part for part in choice.parts if isinstance(part, ToolCall)]
    assert [(part.name, json.loads(part.arguments)) for part in made] == [(one["name"], one["arguments"]) for one in called]
    assert len({part.id for part in made}) == len(made)
    assert choice.finish == ("tool_calls" if called else lines[-1]["done_reason"])
    for cut in range(0, len(recording.body), 1 if len(recording.body) < 1000 else 7):
        assert events([recording.body[:cut], recording.body[cut:]]) == found
    assert events([recording.body[at : at + 1] for at in range(len(recording.body))]) == found
    if len(lines) == 1:
        assert fold.reply() == read_answer(recording.body, "seed")


STREAMS = st.lists(st.sampled_from([*STREAM.splitlines(keepends=True), b'{"error":"x"}\n', b"\n", b"{", b"{}\n"]), max_size=12)


@given(STREAMS.map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 3000), max_size=8))
def test_any_bytes_in_any_slices_read_the_same(body: bytes, cuts: list[int]) -> None:
    """No bytes may crash a reader, and a network must not decide what an answer says."""
    assert told(events(slices(body, cuts))) == told(events([body]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(
    [
        "message",
        "content",
        "thinking",
        "tool_calls",
        "images",
        "logprobs",
        "done",
        "done_reason",
        "error",
        "created_at",
        "model",
        "response",
        "eval_count",
    ]
)


@given(st.lists(st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=3), max_size=5), max_size=4))
def test_any_json_is_read(lines: list[dict[str, Any]]) -> None:
    """Strange types in known places: an answer or an error, never a crash."""
    body = b"".join(msgspec.json.encode(one) + b"\n" for one in lines)
    ends = [event for event in events([body]) if isinstance(event, End | Fail)]
    assert len(ends) <= 1
