"""A provider's stream, read into canon: as OpenAI tells it, and as others do."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_responses.told import (
    CALL,
    CITED,
    CUSTOM,
    MESSAGE,
    OUTPUT,
    REASONING,
    SEARCH,
    added,
    body,
    created,
    delta,
    done,
    ended,
    event,
    folded,
    read,
    shown,
    whole_stream,
)
from trunkline.canon.chat import Citation, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Fail, Finished, Open
from trunkline.dialects.openai_responses.assembly import MOST_ITEMS
from trunkline.dialects.openai_responses.read_answer import read_answer
from trunkline.dialects.openai_responses.reader import ResponsesReader


def parts(data: bytes) -> tuple[object, ...]:
    """What the only choice says."""
    return folded(read(data)).choices[0].parts


def test_every_piece_is_an_event_at_once() -> None:
    """A client of another API must see an answer grow, not appear."""
    found = read(whole_stream())
    assert found[0] == Begin("resp_1", "m", 5)
    texts = [one.text for one in found if isinstance(one, Delta)]
    assert texts == ["First.", "\n\nThen.", "Hel", "lo", '{"at":', '"it"}', '{"input":"', 'say(\\"a\\n', '\\\\\\")', '"}']
    assert next(one for one in found if isinstance(one, Close)) == Close(0, Seal("openai_responses", "sealed"))
    assert found[-3:] == [Finished("tool_calls", "completed"), found[-2], End()]
    assert isinstance(found[-2], Count)


def test_a_streamed_answer_is_the_whole_one() -> None:
    """The same answer must not mean two things."""
    streamed, whole = folded(read(whole_stream())), read_answer(body(*OUTPUT), "seed")
    assert streamed.choices[0].logprobs == ({"token": "Hel", "logprob": -0.5, "top_logprobs": []},)
    assert streamed.choices[0].parts == whole.choices[0].parts
    assert (streamed.usage, streamed.id, streamed.created) == (whole.usage, whole.id, whole.created)
    assert json.loads(streamed.raw_usage) == json.loads(whole.raw_usage)


@pytest.mark.parametrize(
    "data",
    [
        b"".join(done(at, item) for at, item in enumerate(OUTPUT)) + ended(*OUTPUT),
        b"".join(done(at, item) for at, item in enumerate(OUTPUT)) + ended(),
        b"".join(done(0, item) for item in OUTPUT) + ended(*OUTPUT),
        b"".join(event("response.output_item.done", item=item) for item in OUTPUT) + ended(*OUTPUT),
        created() + ended(*OUTPUT),
        b"".join(added(0, item) + done(0, item) for item in OUTPUT) + ended(*OUTPUT),
        whole_stream() + b"data: [DONE]\n\n",
        whole_stream().replace(b"event: ", b"x: "),
        whole_stream().replace(b"\n", b"\r\n"),
        whole_stream()[:-2],
    ],
    ids=[
        "done and end", "only done", "all at the first place", "no places", "only the end", "begun and done at one place",
        "an end mark", "nameless", "carriage returns", "no last blank line",
    ],
)  # fmt: skip
def test_servers_that_tell_less_say_as_much(data: bytes) -> None:
    """Of a server without deltas nothing may be lost, of none anything be told twice."""
    found = read(data)
    assert folded(found).choices[0].parts == read_answer(body(*OUTPUT), "seed").choices[0].parts
    assert isinstance(found[-1], End)


def test_done_events_are_enough() -> None:
    """Some servers tell a part only when it is whole."""
    data = b"".join(
        (
            event("response.reasoning_summary_text.done", output_index=0, summary_index=0, text="First."),
            event("response.reasoning_summary_text.done", output_index=0, summary_index=1, text="Then."),
            event("response.output_text.done", output_index=1, content_index=0, text="Hello"),
            event("response.refusal.done", output_index=1, content_index=1, refusal="No."),
            event("response.content_part.done", output_index=1, content_index=2, part={"type": "text", "text": "Bye"}),
            event("response.content_part.done", output_index=0, content_index=0, part={"type": "reasoning_text", "text": "x"}),
            added(2, CALL),
            event("response.function_call_arguments.done", output_index=2, arguments='{"a":1}'),
            event("response.function_call_arguments.done", output_index=2, arguments=""),
            event("response.custom_tool_call_input.done", output_index=3, input="go"),
            event("response.reasoning_text.done", output_index=4, content_index=0, text="Deep."),
            b"data: [DONE]\n\n",
        )
    )
    assert parts(data) == (
        Thinking("First.\n\nThen."),
        Text("Hello"),
        Refusal("No."),
        Text("Bye"),
        ToolCall("call_1", "look", '{"a":1}', vendor={"id": "fc_1"}),
        Thinking("Deep."),
        ToolCall("tlc_seed_1", "", '{"input":"go"}', vendor={"type": "custom_tool_call"}),
    )


def test_pieces_that_come_before_their_item() -> None:
    """A call is told once it has a name, and an item that is announced late is the one that began."""
    data = delta("function_call_arguments", 0, '{"a":') + added(0, CALL) + delta("function_call_arguments", 0, "1}")
    found = read(data + ended())
    assert folded(found).choices[0].parts == (ToolCall("call_1", "look", '{"a":1}', vendor={"id": "fc_1"}),)
    endless = read(delta("function_call_arguments", 0, "x" * 70_000))
    assert [type(one) for one in endless] == [Begin, Open, Delta]


def test_reasoning_is_told_once() -> None:
    """Content and summary say the same: the first that comes is shown, the state is that of the whole item."""
    data = b"".join(
        (
            event("response.output_item.added", output_index=0, item={**REASONING, "encrypted_content": "seal"}),
            delta("reasoning_text", 0, "De"),
            delta("reasoning_text", 0, "ep "),
            delta("reasoning_text", 0, ""),
            delta("reasoning_text", 0, "er", content_index=1),
            delta("reasoning_summary_text", 0, "First.", summary_index=0),
            event("response.reasoning_text.done", output_index=0, content_index=0, text="Deep "),
        )
    )
    sealed = Thinking("Deep er", Seal("openai_responses", "sealed"), vendor={"id": "rs_1"})
    assert parts(data + done(0, REASONING) + ended()) == (sealed,)
    # a state that was never whole is none
    assert parts(data + ended()) == (Thinking("Deep er", vendor={"id": "rs_1"}),)
    # state without a word is redacted; neither is nothing
    bare = {"type": "reasoning", "summary": []}
    assert parts(done(0, {**bare, "encrypted_content": "x"}) + ended()) == (
        Thinking("", Seal("openai_responses", "x"), redacted=True),
    )
    assert parts(done(0, bare) + ended()) == ()


def test_citations_are_told_once() -> None:
    """Each source of a text, however often it is named."""
    one = event("response.output_text.annotation.added", output_index=0, content_index=0, annotation=CITED)
    data = one + delta("output_text", 0, "Hello") + one + done(0, MESSAGE) + one + ended(MESSAGE)
    (text,) = parts(data)
    assert isinstance(text, Text)
    assert text.citations == (Citation("https://a.example", "A", start=0, end=2),)


def test_a_refusal_is_told_as_it_comes() -> None:
    """A refusal is no text, and is not told again at its end."""
    told = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    found = read(delta("refusal", 0, "N") + delta("refusal", 0, "o.") + done(0, told) + ended(told))
    assert folded(found).choices[0].parts == (Refusal("No."),)
    assert [one.text for one in found if isinstance(one, Delta)] == ["N", "o."]


def test_places_that_say_nothing_are_counted() -> None:
    """A server that tells the first items at one place, and the last only at the end."""
    assert parts(done(0, SEARCH) + done(0, MESSAGE) + ended(SEARCH, MESSAGE, CALL)) == parts(ended(SEARCH, MESSAGE, CALL))


def test_an_answer_that_changes_the_ids_of_its_items() -> None:
    """OpenRouter gives an item another id at the end: it is the same item."""
    assert parts(done(0, MESSAGE) + ended({**MESSAGE, "id": "msg_2"})) == parts(done(0, MESSAGE) + ended(MESSAGE))
    late = delta("output_text", 0, "more")
    assert parts(done(0, MESSAGE) + late + ended()) == parts(ended(MESSAGE))


@pytest.mark.parametrize(
    ("data", "reason", "native"),
    [
        (ended(MESSAGE), "stop", "completed"),
        (ended(CALL), "tool_calls", "completed"),
        (ended(CALL, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length", "max_output_tokens"),
        (ended(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter", "content_filter"),
        (ended(status="incomplete"), "length", "incomplete"),
        (ended(MESSAGE, incomplete_details={"reason": 5}), "stop", "completed"),
        (done(0, CALL) + b"data: [DONE]\n\n", "tool_calls", "completed"),
    ],
)
def test_why_it_ended(data: bytes, reason: str, native: str) -> None:
    """A client must not take half an answer for a whole one, nor miss a call."""
    choice = folded(read(data)).choices[0]
    assert (choice.finish, choice.native_finish) == (reason, native)


@pytest.mark.parametrize(
    ("data", "message", "status"),
    [
        (event("error", code="rate_limit_exceeded", message="slow", param=None), "slow", 429),
        (event("error", error={"code": "insufficient_quota", "message": "pay"}), "pay", 429),
        (b'data: {"error":{"code":502,"message":"gone"}}\n\n', "gone", 502),
        (b"event: error\ndata: it broke\n\n", "it broke", 502),
        (ended(status="failed", error={"code": "invalid_image_url", "message": "what?"}), "what?", 400),
        (ended(status="failed"), "The provider could not finish its answer.", 502),
        (event("response.cancelled", response=7), "The provider could not finish its answer.", 502),
        (b"data: {nonsense\n\n", "The provider sent an event that cannot be read.", 502),
        (b"data: " + b"x" * 1_100_000, "The provider sent an event of more than 1048576 bytes.", 502),
    ],
)
@pytest.mark.parametrize("before", [b"", created(), whole_stream().partition(b"event: response.completed")[0]])
def test_a_failure_ends_it(before: bytes, data: bytes, message: str, status: int) -> None:
    """An error inside an answer of status 200 must reach the client, with nothing behind it."""
    found = read(before + data + whole_stream())
    last = found[-1]
    assert isinstance(last, Fail)
    assert (last.error.message, last.error.status) == (message, status)
    assert any(isinstance(one, Begin) for one in found) == (len(before) > len(created()))
    assert not any(isinstance(one, Fail | End | Finished) for one in found[:-1])


def test_what_was_spent_before_a_failure_is_told() -> None:
    """A provider charges for an answer that broke."""
    found = read(delta("output_text", 0, "a") + ended(status="failed"))
    assert isinstance(found[-2], Count)


def test_a_stream_that_is_cut_off_has_no_end() -> None:
    """Half an answer is never a clean one."""
    data = whole_stream()
    assert not any(isinstance(one, End | Fail) for one in read(data[: data.rindex(b"event:")]))
    assert not any(isinstance(one, End | Fail) for one in read(data[: data.rindex(b"event:") + 80]))
    assert read(created()) == []
    assert read(b"") == []
    reader = ResponsesReader("seed")
    assert reader.count() is None


def test_an_empty_answer_is_one() -> None:
    """A model may say nothing."""
    found = read(created() + ended(id=None, usage=None))
    assert found == [Begin("resp_1", "m", 5), Finished("stop", "completed"), End()]


ODD = [
    b"data: [1]\n\n", b'data: "a"\n\n', b"data:\n\n", b": ping\n\n", b"event: ping\ndata: {}\n\n",
    event("response.later", anything=1), event("response.created", response=[]),
    event("response.output_item.added", output_index="x", item=5), event("response.output_item.done", item=[5]),
    event("response.output_text.delta", output_index=0, content_index="a", delta=5, logprobs=[5, {}]),
    event("response.output_text.delta", delta="x"), event("response.content_part.done", part=5, output_index=0),
    event("response.output_text.annotation.added", output_index=0, content_index=0, annotation=5),
    b'data: {"type":"response.output_text.delta","output_index":0,"delta":"\\ud800"}\n\n',
    b'data: {"type":"response.output_text.delta","output_index":0,"delta":"a","x":NaN}\n\n',
    event("response.completed", response={"output": {"a": 1}, "usage": 5, "status": 5, "created_at": 1e300}),
    event("response.completed", response={"output": [5, {"type": "message", "content": [7, {"text": 5}]}]}),
    event("response.completed", response={"output": [{"type": "message", "content": [{"text": "\x00"}]}]}),
    b'data: {"type":"response.completed","response":{"output":[{"type":"x","a":"\\ud800"},{"b":NaN}]}}\n\n',
]  # fmt: skip


@given(st.lists(st.sampled_from([*ODD, added(0, CALL), added(1, CUSTOM), done(0, MESSAGE), whole_stream()]), max_size=8))
def test_nothing_breaks_a_reader(pieces: list[bytes]) -> None:
    """Any bytes from a provider are an answer or a failure, and the events are in order."""
    found = read(b"".join(pieces))
    folded(found)
    assert [one for one in found if isinstance(one, Begin)] == found[: any(isinstance(one, Begin) for one in found)]
    opened = {one.index for one in found if isinstance(one, Open)}
    assert opened == set(range(len(opened)))


@given(st.lists(st.integers(0, len(whole_stream())), max_size=12))
def test_a_stream_reads_the_same_in_any_pieces(cuts: list[int]) -> None:
    """A network cuts where it likes."""
    data = whole_stream()
    at = [0, *sorted(set(cuts)), len(data)]
    assert shown(read(data, [data[start:end] for start, end in pairwise(at)])) == shown(read(data))


def test_every_single_cut_and_byte_by_byte() -> None:
    """The same, exhaustively, for an answer with reasoning, text and a call."""
    data = b"".join((created(), done(0, SEARCH), delta("output_text", 1, "Hello"), done(2, CALL), ended()))
    whole = shown(read(data))
    assert shown(read(data, [data[at : at + 1] for at in range(len(data))])) == whole
    for cut in range(len(data)):
        assert shown(read(data, [data[:cut], data[cut:]])) == whole


def test_an_answer_of_too_many_items_fails() -> None:
    """A provider that never stops adding must not fill the memory; nor may what is over be lost in silence."""
    reader = ResponsesReader("seed")
    found = reader.feed(b"".join(event("response.output_text.delta", output_index=at, delta="a") for at in range(MOST_ITEMS)))
    assert not any(isinstance(one, Fail) for one in found)
    found = reader.feed(event("response.output_text.delta", output_index=MOST_ITEMS, delta="a"))
    assert isinstance(found[-1], Fail)
    assert found[-1].error.status == 502
