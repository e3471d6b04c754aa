"""Answers as events: a whole one taken apart and put together again is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.chat import Choice, Citation, Media, Other, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Fail, Finished, Fold, Open, unfold
from trunkline.canon.usage import NO_USAGE, Usage

SEALS = st.none() | st.builds(Seal, st.sampled_from(["anthropic", "gemini"]), st.text(max_size=3))
VENDOR = st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
CITATIONS = st.lists(st.builds(Citation, st.text(max_size=3)), max_size=2).map(tuple)
ARGUMENTS = st.text(min_size=1, max_size=5)
PARTS = st.one_of(
    st.builds(Text, st.text(max_size=9), SEALS, CITATIONS, st.just(""), VENDOR),
    st.builds(Thinking, st.text(max_size=9), SEALS, st.booleans(), VENDOR),
    st.builds(ToolCall, st.text(min_size=1, max_size=3), st.text(max_size=3), ARGUMENTS, SEALS, st.just(""), VENDOR),
    st.builds(Refusal, st.text(max_size=9)),
    st.builds(Media, st.just("image"), st.just("image/png"), st.just("AAAA")),
    st.builds(Other, st.just("gemini"), VENDOR),
)
LOGPROBS = st.lists(st.dictionaries(st.just("token"), st.text(max_size=2)), max_size=2).map(tuple)
USAGES = st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9), basis=st.just("reported"))


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    """A choice; logprobs only where there is a part that can carry them."""
    parts = tuple(draw(st.lists(PARTS, max_size=4)))
    bears = any(isinstance(part, Text | Thinking | ToolCall | Refusal) for part in parts)
    return Choice(
        parts=parts,
        finish=draw(st.sampled_from(["", "stop", "length", "tool_calls"])),
        native_finish=draw(st.text(max_size=3)),
        stop_sequence=draw(st.text(max_size=3)),
        logprobs=draw(LOGPROBS) if bears else (),
        vendor=draw(VENDOR),
    )


REPLIES = st.builds(
    Reply,
    dialect=st.sampled_from(["anthropic", "ollama"]),
    id=st.text(max_size=3),
    model=st.text(max_size=3),
    choices=st.lists(choices(), min_size=1, max_size=3).map(tuple),
    usage=USAGES | st.just(NO_USAGE),
    raw_usage=st.text(max_size=3),
    created=st.integers(0, 9),
    vendor=VENDOR,
)


def folded(events: list[Event], dialect: str = "d") -> Reply:
    """The answer that these events tell."""
    fold = Fold(dialect)
    fold.add(events)
    return fold.reply()


@given(REPLIES)
def test_a_whole_answer_survives_the_way_through_a_stream(reply: Reply) -> None:
    """A client that asked for a stream must see what a provider said that gave none."""
    assert folded(unfold(reply), reply.dialect) == reply


@given(REPLIES)
def test_events_come_in_order(reply: Reply) -> None:
    """Writers rely on it: one beginning, parts that open, grow and close, one end."""
    events = unfold(reply)
    assert isinstance(events[0], Begin)
    assert isinstance(events[-1], End)
    opened = [event.index for event in events if isinstance(event, Open)]
    assert opened == list(range(sum(len(choice.parts) for choice in reply.choices)))
    open_parts: set[int] = set()
    for event in events:
        match event:
            case Open():
                open_parts.add(event.index)
                assert not (isinstance(event.part, Text | Thinking | Refusal) and event.part.text)
                assert not (isinstance(event.part, ToolCall) and event.part.arguments)
            case Delta():
                assert event.index in open_parts
                assert event.text or event.logprobs
            case Cite():
                assert event.index in open_parts
            case Close():
                open_parts.remove(event.index)
            case _:
                pass
    assert not open_parts


@given(REPLIES, st.randoms(use_true_random=False))
def test_parts_may_grow_side_by_side(reply: Reply, dice: Any) -> None:
    """Parallel calls come mixed: how parts are mixed must not change what they say."""
    events = unfold(reply)
    queues: dict[int, list[Event]] = {}
    for event in events:
        if isinstance(event, Open | Delta | Cite | Close):
            queues.setdefault(event.index, []).append(event)
    mixed: list[Event] = [events[0]]
    while queues:
        index = dice.choice(sorted(queues))
        mixed.append(queues[index].pop(0))
        if not queues[index]:
            del queues[index]
    mixed += [event for event in events[1:] if isinstance(event, Finished | Count | End)]
    assert folded(mixed, reply.dialect) == reply


def test_the_same_part_twice_carries_its_logprobs_once() -> None:
    """Two equal texts are two texts."""
    text = Text("a")
    reply = Reply("d", "", "", (Choice((text, text), "stop", logprobs=({"token": "a"},)),))
    assert folded(unfold(reply)) == reply


def test_logprobs_ride_with_a_text_before_anything_else() -> None:
    """A client shows them beside the text."""
    reply = Reply("d", "", "", (Choice((Thinking("t"), Media("image"), Text("a")), "stop", logprobs=({"token": "a"},)),))
    assert [(event.index, len(event.logprobs)) for event in unfold(reply) if isinstance(event, Delta)] == [(0, 0), (2, 1)]


@pytest.mark.parametrize("pieces", [1, 63, 64, 65, 200])
def test_many_pieces_are_one_text(pieces: int) -> None:
    """However a text comes, and however its pieces are kept together."""
    deltas = [Delta(0, f"{number},") for number in range(pieces)]
    reply = folded([Begin("", ""), Open(0, Text("")), *deltas, Close(0)])
    assert reply.choices[0].parts == (Text("".join(f"{number}," for number in range(pieces))),)


@pytest.mark.parametrize(
    ("part", "seal", "told"),
    [
        (Text("", Seal("a", "1")), Seal("a", "2"), Text("", Seal("a", "2"))),
        (Text("", Seal("a", "1")), None, Text("", Seal("a", "1"))),
        (Thinking("", Seal("a", "1")), Seal("a", "2"), Thinking("", Seal("a", "2"))),
        (ToolCall("i", "f", "", Seal("a", "1")), Seal("a", "2"), ToolCall("i", "f", "{}", Seal("a", "2"))),
    ],
)
def test_a_seal_told_last_holds(part: Any, seal: Seal | None, told: Any) -> None:
    """Signatures come at the end of a part, some at its beginning; no arguments are an empty object."""
    assert folded([Begin("", ""), Open(0, part), Close(0, seal)]).choices[0].parts == (told,)


def test_a_citation_is_its_texts() -> None:
    """After those it opened with."""
    opened = Open(0, Text("", citations=(Citation("a"),)))
    parts = folded([Begin("", ""), opened, Delta(0, "x"), Cite(0, Citation("b"))]).choices[0].parts
    assert parts == (Text("x", citations=(Citation("a"), Citation("b"))),)


def test_the_last_usage_holds() -> None:
    """Providers tell it again and again."""
    counts = [Count(Usage(output=one, basis="reported"), str(one)) for one in (1, 3, 2)]
    reply = folded([Begin("", ""), *counts])
    assert (reply.usage.output, reply.raw_usage) == (2, "2")


def test_an_answer_that_broke_is_told_as_far_as_it_came() -> None:
    """What was said before an error is still what was said; extras leave no trace."""
    reply = folded(
        [Begin("i", "m", 5, {"a": 1}), Extra("x", {}), Open(0, Text("")), Delta(0, "a"), Fail(GatewayError(Kind.INTERNAL, "x"))]
    )
    assert reply == Reply("d", "i", "m", (Choice((Text("a"),), ""),), created=5, vendor={"a": 1})


def test_there_is_always_a_choice() -> None:
    """Whoever reads an answer looks at the first."""
    assert folded([]).choices == (Choice((), ""),)
    assert folded([Finished("stop", choice=2)]).choices == (Choice((), ""), Choice((), ""), Choice((), "stop"))
