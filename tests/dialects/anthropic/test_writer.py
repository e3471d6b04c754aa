"""Canon's events as a stream for an Anthropic client."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.anthropic.samples import FRAME, WHOLE_STREAM, begin, block, end, events, folded, parsed, without_raw
from trunkline.canon.chat import Choice, Citation, Media, Other, Part, Refusal, Reply, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.stream import Begin, Cite, Close, Count, Delta, End, Event, Extra, Finished, Fold, Open, unfold
from trunkline.canon.usage import Usage
from trunkline.dialects import state
from trunkline.dialects.anthropic.read_blocks import read_content
from trunkline.dialects.anthropic.write_answer import UNSIGNED
from trunkline.dialects.anthropic.writer import MessagesWriter

FOREIGN = Seal("gemini", "c2ln")
OWN = Seal("anthropic", "b3du")
STOP: list[Event] = [Finished("stop"), Count(Usage(input=7, output=2, basis="reported")), End()]


def written(*told: Event) -> list[dict[str, Any]]:
    """What a client gets for an answer of these events."""
    return parsed(MessagesWriter(FRAME).write([Begin("id", "model"), *told]))


def whole(index: int, part: Part, *pieces: str, seal: Seal | None = None) -> list[Event]:
    """A part's events."""
    return [Open(index, part), *(Delta(index, piece) for piece in pieces), Close(index, seal)]


def content(*told: Event) -> list[Any]:
    """The blocks that a client puts together, as Anthropic's SDK does."""
    blocks: list[dict[str, Any]] = []
    for event in written(*told):
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            assert event["index"] == len(blocks) - 1
            delta = event["delta"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(
                delta["type"], "signature"
            )
            blocks[-1][name] = delta[name] if name == "signature" else blocks[-1].get(name, "") + delta[name]
    return blocks


def test_the_frame_of_a_stream() -> None:
    """`message_start` first, with zeros that the end corrects; `message_delta` and `message_stop` last."""
    assert written(*whole(0, Text(""), "Hi"), *STOP) == [
        {
            "type": "message_start",
            "message": {
                "id": "id",
                "type": "message",
                "role": "assistant",
                "model": "model",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 0,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 0,
                },
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 7, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_what_the_provider_does_not_name_is_ours() -> None:
    """An SDK wants an id and a model."""
    message = parsed(MessagesWriter(FRAME).write([Begin("", "")]))[0]["message"]
    assert (message["id"], message["model"]) == ("msg_ours", "asked")


def test_usage_known_at_the_beginning_is_told_there() -> None:
    """Claude Code shows it while the answer runs."""
    first = written(Count(Usage(input=9, cache_read=4)))[0]
    assert first["message"]["usage"]["input_tokens"] == 5


def test_each_write_is_whole_events_and_begins_at_once() -> None:
    """A client must see that the answer has begun before its first letter is there."""
    writer = MessagesWriter(FRAME)
    assert [one["type"] for one in parsed(writer.write([Begin("i", "m")]))] == ["message_start"]
    assert writer.write([]) == b""
    assert [one["type"] for one in parsed(writer.write([Open(0, Text(""))]))] == []
    assert [one["type"] for one in parsed(writer.write([Delta(0, "a")]))] == ["content_block_start", "content_block_delta"]


def test_a_tools_call_begins_with_an_empty_delta() -> None:
    """As Anthropic's own do; a call without arguments sends nothing more and is `{}` to every client."""
    told = written(*whole(0, ToolCall("c", "look", "", vendor={"caller": {"type": "direct"}, "x": 1}), '{"a":1}'), End())
    call = {"type": "tool_use", "id": "c", "name": "look", "input": {}, "caller": {"type": "direct"}}
    assert told[1]["content_block"] == call
    assert [one["delta"]["partial_json"] for one in told[2:4]] == ["", '{"a":1}']
    assert told[-2]["delta"]["stop_reason"] == "tool_use"


def test_parts_that_overlap_are_told_one_after_the_other() -> None:
    """OpenAI streams parallel calls in turns; Anthropic's clients know one open block."""
    told: list[Event] = [
        Open(0, Text("")),
        Delta(0, "Hi"),
        Open(1, ToolCall("a", "f", "")),
        Open(2, ToolCall("b", "g", "")),
        Delta(2, '{"b":'),
        Delta(1, '{"a":'),
        Close(0),
        Delta(1, "1}"),
        Delta(2, "2}"),
        Close(2),
        Open(3, Text("")),
        Close(1),
        Delta(3, "Bye"),
        Close(3),
        *STOP,
    ]
    assert [block.get("partial_json") or block["text"] for block in content(*told)] == ["Hi", '{"a":1}', '{"b":2}', "Bye"]


def test_parts_left_open_are_closed_at_the_end() -> None:
    """Whatever a reader forgets, the client's stream is well formed."""
    told = [
        Open(0, Text("")),
        Delta(0, "", ({"token": ""},)),
        Delta(0, "a"),
        Open(1, ToolCall("a", "f", "")),
        *whole(2, Text(""), "b"),
    ]
    assert [block["type"] for block in content(*told, *STOP)] == ["text", "tool_use", "text"]
    assert sum(one["type"] == "content_block_stop" for one in written(*told, *STOP)) == 3


def test_empty_texts_and_thoughts_are_not_told() -> None:
    """A client would send an empty text back, which Anthropic refuses."""
    assert content(*whole(0, Text("")), *whole(1, Thinking("")), *whole(2, Thinking("", redacted=True)), *STOP) == []


@pytest.mark.parametrize(
    ("told", "blocks"),
    [
        (whole(0, Thinking(""), "Hm", seal=OWN), [{"type": "thinking", "thinking": "Hm", "signature": "b3du"}]),
        (whole(0, Thinking("", OWN), "Hm"), [{"type": "thinking", "thinking": "Hm", "signature": "b3du"}]),
        (whole(0, Thinking(""), seal=OWN), [{"type": "thinking", "thinking": "", "signature": "b3du"}]),
        (
            whole(0, Thinking(""), "Hm", seal=FOREIGN),
            [{"type": "thinking", "thinking": "Hm", "signature": state.wrap(FOREIGN)}],
        ),
        (whole(0, Thinking(""), "Hm"), [{"type": "thinking", "thinking": "Hm", "signature": UNSIGNED}]),
        (whole(0, Thinking("", OWN, redacted=True)), [{"type": "redacted_thinking", "data": "b3du"}]),
        (whole(0, Thinking("", redacted=True), seal=FOREIGN), [{"type": "redacted_thinking", "data": state.wrap(FOREIGN)}]),
    ],
)
def test_thinking_is_signed_before_its_end(told: list[Event], blocks: list[Any]) -> None:
    """The client hands the signature back; without one, thinking must still be told from Claude's own."""
    assert content(*told, *STOP) == blocks


@pytest.mark.parametrize(
    "told",
    [
        [*whole(0, Thinking(""), "Hm"), *whole(1, ToolCall("c", "f", "", seal=FOREIGN), "{}")],
        [*whole(0, Thinking(""), "Hm", seal=OWN), *whole(1, ToolCall("c", "f", "", seal=FOREIGN), "{}")],
        [*whole(0, Thinking(""), "Hm"), *whole(1, Text(""), "a"), *whole(2, ToolCall("c", "f", "", seal=FOREIGN), "{}")],
        [*whole(0, Text(""), "Hi", seal=FOREIGN), *whole(1, Text(""), seal=FOREIGN)],
        [*whole(0, ToolCall("c", "f", ""), "{}", seal=FOREIGN), *whole(1, ToolCall("d", "f", ""), "{}")],
        [*whole(0, Text("", FOREIGN), "Hi", seal=FOREIGN)],
    ],
)
def test_the_state_of_a_part_without_a_slot_comes_back(told: list[Event]) -> None:
    """Gemini refuses a history whose tool calls have lost their signatures; Anthropic's clients have none for them."""
    fold = Fold("gemini")
    fold.add(told)
    blocks = content(*told, *STOP)
    for one in blocks:
        if one["type"] == "tool_use":
            one["input"] = {}
            one.pop("partial_json", None)
    assert read_content(blocks, "content") == fold.reply().choices[0].parts


def test_citations_are_told_with_their_text() -> None:
    """Anthropic's as they are, others as a search's result."""
    own = {"type": "char_location", "cited_text": "a", "document_index": 0}
    told = written(
        Open(0, Text("")), Cite(0, Citation(vendor=own)), Delta(0, "a"), Cite(0, Citation("http://x", quote="q")), Close(0)
    )
    assert [one["delta"]["citation"] for one in told if one.get("delta", {}).get("type") == "citations_delta"] == [
        own,
        {"type": "web_search_result_location", "cited_text": "q", "url": "http://x", "title": None, "encrypted_index": ""},
    ]


def test_what_a_message_cannot_hold_is_shown_or_left_out() -> None:
    """A picture is Markdown; blocks of Anthropic's own stand as they were; another's executed code has no block."""
    own = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
    picture = Media("image", "image/png", "AAAA")
    told = [*whole(0, picture), *whole(1, Other("anthropic", own)), *whole(2, Other("gemini", {"executableCode": {}}))]
    assert content(*told, *STOP) == [{"type": "text", "text": "![image](data:image/png;base64,AAAA)"}, own]


def test_a_refusal_is_text_and_a_stop_reason() -> None:
    """OpenAI tells it apart from text; a client of Anthropic's looks at the stop reason."""
    told = written(*whole(0, Refusal(""), "I ", "will not."), *STOP)
    assert [one["delta"]["text"] for one in told if one["type"] == "content_block_delta"] == ["I will not."]
    assert told[-2]["delta"] == {
        "stop_reason": "refusal",
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": "I will not."},
    }


def test_anthropics_own_refusal_is_not_told_twice() -> None:
    """Its explanation stands in `stop_details` already."""
    details = {"type": "refusal", "category": "bio", "explanation": "No."}
    told = written(
        *whole(0, Refusal(""), "No."), Finished("content_filter", "refusal", vendor={"stop_details": details, "x": 1}), End()
    )
    assert [one["type"] for one in told] == ["message_start", "message_delta", "message_stop"]
    assert told[1]["delta"] == {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}


def test_only_the_first_choice_is_told() -> None:
    """A message has one answer."""
    other: list[Event] = [Open(1, Text(""), 1), Delta(1, "no"), Close(1), Finished("length", choice=1)]
    told = written(*whole(0, Text(""), "yes"), *other, *STOP)
    assert [one["delta"]["text"] for one in told if one["type"] == "content_block_delta"] == ["yes"]
    assert told[-2]["delta"]["stop_reason"] == "end_turn"


def test_an_answer_that_could_not_be_finished_is_an_error() -> None:
    """Gemini's malformed calls come with a 200; what there is of the answer would look like a good one."""
    told = written(Finished("error", "MALFORMED_FUNCTION_CALL"), End())
    assert told[-1]["error"]["type"] == "api_error"
    assert "MALFORMED_FUNCTION_CALL" in told[-1]["error"]["message"]
    told = written(*whole(0, Text(""), "a"), Finished("error"), End())
    assert [event["type"] for event in told[-3:]] == ["content_block_delta", "content_block_stop", "error"]


def test_a_broken_stream_ends_in_an_error() -> None:
    """What only another dialect knows leaves no trace before it."""
    error = GatewayError(Kind.UPSTREAM_BROKEN, "It hung up.")
    writer = MessagesWriter(FRAME)
    assert writer.write([Extra("gemini", {})]) == b""
    assert parsed(writer.fail(error))[0]["error"]["message"] == "It hung up."


def test_a_stream_survives_reading_and_writing() -> None:
    """Canon loses nothing of what Anthropic tells: text, thinking, signatures, calls, usage, stop reason, late fields."""
    server = block(4, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}})
    rest = {"container": {"id": "c"}}
    for data in (WHOLE_STREAM, begin() + server + end("pause_turn", **rest), begin() + end("stop_sequence", stop_sequence="#")):
        out = MessagesWriter(FRAME).write(events(data))
        assert without_raw(folded(out)) == without_raw(folded(data))


def test_late_fields_stand_where_anthropic_has_them() -> None:
    """`context_management` beside the delta, the others in it."""
    vendor = {"context_management": {"applied_edits": []}, "container": {"id": "c"}}
    told = written(Finished("stop", vendor=vendor), End())[-2]
    assert (told["context_management"], told["delta"]["container"]) == ({"applied_edits": []}, {"id": "c"})


names = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=5)
seals = st.none() | st.builds(
    Seal, st.sampled_from(["anthropic", "gemini", "openai_responses"]), st.text(min_size=1, max_size=9)
)
answer_parts: st.SearchStrategy[list[Part]] = st.lists(
    st.builds(Text, st.text(min_size=1), seals)
    | st.builds(Thinking, st.text(min_size=1), seals)
    | st.builds(lambda seal: Thinking("", seal or OWN, redacted=True), seals)
    | st.builds(
        lambda name, value, seal: ToolCall(f"c_{name}", name, f'{{"a":{value}}}', seal), names, st.integers(0, 99), seals
    ),
    max_size=6,
)


@given(answer_parts)
def test_any_answer_reaches_the_client_whole_and_comes_back(parts: list[Part]) -> None:
    """What a client of Anthropic's puts together and sends back is what the provider said, with all its state."""
    finish = "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    reply = Reply("gemini", "i", "m", (Choice(tuple(parts), finish),))  # type: ignore[arg-type]
    blocks = content(*unfold(reply)[1:])
    for one in blocks:
        if one["type"] == "tool_use":
            one["input"] = {"a": int(one.pop("partial_json")[5:-1])}
    assert read_content(blocks, "content") == reply.choices[0].parts
