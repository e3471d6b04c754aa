"""A translated stream behind the interface of a tap."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import NOTHING, Choice, Media, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Extra, Fail, Finished, Open, unfold
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.dialect import Ask, Frame
from trunkline.dialects.ollama.reader import OllamaReader
from trunkline.dialects.ollama.writer import OllamaWriter
from trunkline.dialects.table import DIALECTS
from trunkline.dialects.translate import Translation, emptied, has_state, renamed

FRAME = Frame(Ask({}, "alias", stream=True, include_usage=True), "req", 1_700_000_000)
USAGE = Usage(input=3, output=4, basis="reported")


class Given:
    """A reader that has its events already; each byte brings the next."""

    def __init__(self, events: list[Event]) -> None:
        self._left = list(events)

    def feed(self, data: bytes) -> list[Event]:
        """As many events as there are bytes."""
        told, self._left = self._left[: len(data)], self._left[len(data) :]
        return told

    def close(self) -> list[Event]:
        """The rest."""
        told, self._left = self._left, []
        return told

    def count(self) -> None:
        """All is told in events."""


class Names:
    """A writer that tells the names of the events, and of the tools that are called."""

    error: GatewayError | None = None

    def write(self, events: Iterable[Event]) -> bytes:
        """Names, each with a blank behind it."""
        return b"".join(self._name(event) for event in events)

    def fail(self, error: GatewayError) -> bytes:
        """The error's kind."""
        return f"!{error.kind.value}".encode()

    def _name(self, event: Event) -> bytes:
        called = isinstance(event, Open) and isinstance(event.part, ToolCall)
        return (event.part.name if called else type(event).__name__).encode() + b" "  # type: ignore[union-attr]


def given_events(events: list[Event], **names: str) -> Translation:
    """A translation of these events."""
    return Translation("d", Given(events), Names(), names)


def told(translation: Translation) -> tuple[bool, bool, bool, str, Usage]:
    """What a tap tells."""
    return translation.opened, translation.complete, translation.ended, translation.finish, translation.usage


WHOLE: list[Event] = [
    Begin("i", "m"),
    Open(0, Text("")),
    Delta(0, "a"),
    Close(0),
    Count(USAGE, "{}"),
    Finished("stop", "end_turn"),
    End(),
]


def test_what_goes_through_is_told() -> None:
    """The pipeline asks a translation what it asks any tap."""
    translation = given_events(WHOLE)
    assert told(translation) == (False, False, False, "", NO_USAGE)
    assert translation.feed(b"x") == b"Begin "
    assert told(translation) == (True, False, False, "", NO_USAGE)
    assert translation.feed(b"xxxx") == b"Open Delta Close Count "
    assert told(translation) == (True, False, False, "", USAGE)
    assert translation.raw_usage == "{}"
    assert translation.feed(b"x") == b"Finished "
    assert told(translation) == (True, True, False, "end_turn", USAGE)
    assert translation.close() == b"End "
    assert told(translation) == (True, True, True, "end_turn", USAGE)
    assert (translation.error, translation.unread, translation.kept()) == (None, 0, None)


def event(told: dict[str, Any]) -> bytes:
    """An event of a stream."""
    return f"data: {json.dumps(told)}\r\n\r\n".encode()


GOOGLE = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
OPENAI = {"choices": [{"delta": {"content": "a"}}]}
BROKEN = {
    "openai_chat": event(OPENAI | {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
    "anthropic": event({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 4}}}),
    "gemini": event(GOOGLE) + event(GOOGLE | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}),
    "ollama": b'{"message": {"content": "a"}, "done": true, "prompt_eval_count": 3, "eval_count": 4}\n',
}


@pytest.mark.parametrize("provider", BROKEN)
def test_what_a_broken_stream_told_is_charged(provider: str) -> None:
    """No end comes, nor a close: what was spent until then is known all the same."""
    translation = Translation(provider, DIALECTS[provider].reader("s"), OllamaWriter(FRAME), NOTHING)
    translation.feed(BROKEN[provider])
    assert (translation.usage.input, translation.usage.output) == (3, 4)
    assert "3" in translation.raw_usage


def test_an_error_that_comes_first_is_not_shown() -> None:
    """It leaves the stream unopened: it becomes a status, or another provider is tried."""
    error = GatewayError(Kind.UPSTREAM_FAILED, "busy")
    translation = given_events([Fail(error)])
    assert translation.feed(b"x") == b""
    assert (translation.opened, translation.complete, translation.error) == (False, False, error)
    assert translation.fail(error) == b"!upstream_failed"


def test_an_error_in_the_middle_ends_the_stream_as_broken() -> None:
    """What came before it is shown, then the client's own error event, and nothing more: half an answer must not look whole."""
    error = GatewayError(Kind.UPSTREAM_FAILED, "busy")
    translation = given_events([*WHOLE[:3], Fail(error), End()])
    assert translation.feed(b"xxxx") == b"Begin Open Delta !upstream_failed"
    assert (translation.feed(b"x"), translation.close()) == (b"", b"")
    assert (translation.opened, translation.complete, translation.error) == (True, False, error)


def test_a_finish_without_a_word_is_canons() -> None:
    """The ledger keeps the provider's word where it has one."""
    translation = given_events([Begin("", ""), Finished("length"), Extra("d", {})])
    translation.feed(b"xxx")
    assert translation.finish == "length"


def test_every_choice_must_finish() -> None:
    """Two answers were asked for: one that broke is not made whole by the other, whichever comes first."""
    events: list[Event] = [
        Begin("", ""),
        Open(0, Text("")),
        Finished("stop"),
        Open(1, Text(""), choice=1),
        Finished("stop", choice=1),
    ]
    translation = given_events(events)
    seen = []
    for _ in events:
        translation.feed(b"x")
        seen.append(translation.complete)
    assert seen == [False, False, True, False, True]


def test_a_part_after_its_finish_changes_nothing() -> None:
    """Some providers tell their citations last."""
    translation = given_events([Begin("", ""), Finished("stop"), Open(0, Text(""))])
    translation.feed(b"xxx")
    assert translation.complete


@pytest.mark.parametrize(("pieces", "tokens"), [(["a"] * 5, 5), (["x" * 40], 10), ([], 0)])
def test_output_is_guessed(pieces: list[str], tokens: int) -> None:
    """For streams that broke before usage was told."""
    translation = given_events([Begin("", ""), Open(0, Text("")), *(Delta(0, piece) for piece in pieces)])
    translation.close()
    assert translation.estimate() == tokens


STATES: list[tuple[list[Event], bool]] = [
    ([Open(0, Text("")), Delta(0, "a"), Close(0)], False),
    ([Open(0, Media("image", data="AAAA")), Close(0)], False),
    ([Open(0, Thinking("")), Delta(0, "a"), Close(0)], True),
    ([Open(0, Text("")), Delta(0, "a"), Close(0, Seal("gemini", "s"))], True),
    ([Open(0, ToolCall("i", "f", "", Seal("gemini", "s"))), Close(0)], True),
]


@pytest.mark.parametrize(("events", "kept"), STATES)
def test_state_is_kept_for_clients_without_a_slot(events: list[Event], kept: bool) -> None:
    """What a client cannot hand back is remembered; an answer without state is nobody's to remember."""
    translation = given_events([Begin("i", "m"), *events, End()])
    translation.close()
    reply = translation.kept()
    assert (reply is not None) == kept
    assert reply is None or (reply.id, len(reply.choices[0].parts)) == ("i", 1)
    assert reply is None or has_state(reply)


def test_an_answer_too_long_is_not_kept() -> None:
    """Memory is bounded, and what came before the bound is let go."""
    translation = given_events([Begin("", ""), Open(0, Thinking("")), Delta(0, "x" * 256 * 1024), Delta(0, "y"), Close(0)])
    translation.feed(b"xxx")
    assert translation.kept() is not None
    assert translation.feed(b"x") == b"Delta "
    assert translation.kept() is None
    assert translation.close() == b"Close "
    assert translation.kept() is None


def test_tools_are_called_as_the_client_calls_them() -> None:
    """In the stream, in what is kept, and in a whole answer."""
    call = ToolCall("i", "server_tool", "{}")
    reply = Reply("d", "", "", (Choice((Thinking("t"), call, ToolCall("j", "plain", "{}")), "tool_calls"),))
    translation = given_events(unfold(reply), server_tool="server:tool")
    out = translation.close()
    assert b"server:tool " in out
    assert b"plain " in out
    kept = translation.kept()
    assert kept is not None
    assert kept == renamed(reply, {"server_tool": "server:tool"})
    assert [part.name for part in kept.choices[0].parts[1:]] == ["server:tool", "plain"]  # type: ignore[union-attr]
    assert renamed(reply, NOTHING) is reply


def test_state_is_seen_in_any_choice() -> None:
    """Also in the second."""
    plain, thoughtful = Choice((Text("a"),), "stop"), Choice((Text("a"), Thinking("t")), "stop")
    assert not has_state(Reply("d", "", "", (plain, plain)))
    assert has_state(Reply("d", "", "", (plain, thoughtful)))


def line(message: dict[str, Any], **fields: Any) -> bytes:
    """A line of Ollama's."""
    return (
        json.dumps({"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False, **fields}).encode()
        + b"\n"
    )


CALL = {"function": {"name": "f", "arguments": {"a": 1}}}
STREAM = b"".join(
    (
        line({"thinking": "Hm."}),
        line({"content": "It rains."}),
        line({"tool_calls": [CALL]}),
        line({}, done=True, done_reason="stop", prompt_eval_count=3, eval_count=4),
    )
)


def translated(pieces: list[bytes]) -> tuple[bytes, tuple[Any, ...]]:
    """A real reader and a real writer."""
    translation = Translation("ollama", OllamaReader("s"), OllamaWriter(FRAME), NOTHING)
    out = b"".join(map(translation.feed, pieces)) + translation.close()
    return out, (*told(translation), translation.raw_usage, translation.kept(), translation.estimate())


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_slicing_changes_nothing(cuts: list[int]) -> None:
    """A network cuts where it likes."""
    at = sorted(set(cuts))
    pieces = [STREAM[start:end] for start, end in zip([0, *at], [*at, len(STREAM)], strict=True)]
    assert translated(pieces) == translated([STREAM])


def test_a_real_stream_is_translated() -> None:
    """Every word of it, its usage and its state."""
    out, (opened, complete, ended, finish, usage, _, kept, _) = translated([STREAM])
    lines = [json.loads(one) for one in out.splitlines()]
    assert [one["message"].get("thinking", "") + one["message"]["content"] for one in lines] == ["Hm.", "It rains.", "", ""]
    assert lines[2]["message"]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert (opened, complete, ended, finish, usage) == (True, True, True, "stop", USAGE)
    assert kept.choices[0].parts == (Thinking("Hm."), Text("It rains."), ToolCall("tlc_s_0", "f", '{"a": 1}'))


def test_what_a_writer_ends_a_stream_with_by_itself_is_its_error() -> None:
    """A model that could not finish would be a success in the books, while the client was told of a failure."""
    writer = Names()
    translation = Translation("d", Given([Begin("a", "m")]), writer, {})
    translation.feed(b"x")
    assert translation.error is None
    writer.error = GatewayError(Kind.UPSTREAM_FAILED, "It could not finish.")
    translation.close()
    assert translation.error is writer.error


TEXT, REFUSAL, THOUGHT = Text("I can"), Refusal("I cannot"), Thinking("Can I?")


@pytest.mark.parametrize(
    ("choices", "empty"),
    [
        ([Choice((), "content_filter")], True),
        ([Choice((Text(" "), THOUGHT, REFUSAL), "content_filter")], True),
        ([Choice((), "content_filter"), Choice((TEXT,), "stop")], False),
        ([Choice((TEXT,), "content_filter")], False),
        ([Choice((ToolCall("1", "f", "{}"),), "content_filter")], False),
        ([Choice((REFUSAL,), "stop")], False),
        ([Choice((), "stop")], False),
    ],
)
def test_what_a_filter_emptied(choices: list[Choice], empty: bool) -> None:
    """It may go to another provider; anything that a client can use may not be taken from it."""
    assert emptied(Reply("ollama", "id", "m", tuple(choices))) is empty


@pytest.mark.parametrize(
    ("events", "filtered"),
    [
        ([], False),
        ([Finished("content_filter", "SAFETY")], True),
        ([Finished("content_filter"), Finished("stop", choice=1)], False),
        ([Open(0, Text("")), Close(0), Finished("content_filter")], True),
        ([Open(0, Text("")), Delta(0, "I"), Close(0), Finished("content_filter")], False),
    ],
)
def test_a_stream_that_a_filter_ends_at_once(events: list[Event], filtered: bool) -> None:
    """Before a word was said it may go to another provider; not after one."""
    tap = Translation("ollama", Given([Begin("id", "m"), *events]), Names(), {})
    tap.feed(b"x" * 50)
    assert tap.filtered() is filtered
