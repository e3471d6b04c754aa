"""A streamed answer read into canon: every provider's way of streaming, every way of cutting it."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import Recording, parameters, recordings
from conformance.said import Call, Said, Spent, decoded, said
from dialects.openai_chat.telling import event, failure, folded, read, stream
from dialects.openai_chat.variants import HELLO, STOP, USAGE, VARIANTS, Variant, chunk, delta
from trunkline.canon.chat import Citation, Reply, Text, Thinking, ToolCall
from trunkline.canon.stream import Begin, Close, Count, Delta, End, Event, Fail, Finished, Open
from trunkline.dialects.names import is_made
from trunkline.dialects.openai_chat.reader import MOST_CHOICES, ChatReader

STREAMS = [recording for recording in recordings("openai.chat") if recording.streamed]
NAMES = [variant.name for variant in VARIANTS]
#: Those whose events cannot all be read: a tap passes them on, a reader ends there.
BROKEN = {"malformed events in between"}


def sliced(body: bytes, cuts: list[int]) -> list[Event]:
    """The events of a body that comes in pieces, text put together again where a cut made two deltas of it (it must not)."""
    reader = ChatReader("seed")
    at = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    found = [one for start, end in pairwise(at) for one in reader.feed(body[start:end])]
    return found + reader.close()


def shown(found: list[Event]) -> list[Any]:
    """Events as values that compare."""
    return [("fail", one.error.message, one.error.status) if isinstance(one, Fail) else one for one in found]


def told(reply: Reply) -> Said:
    """In the yardstick's words."""
    choice = reply.choices[0]
    usage = reply.usage
    spent = Spent(usage.input, usage.cache_read, usage.cache_write_5m, usage.output, usage.reasoning)
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    return Said(
        text="".join(part.text for part in choice.parts if isinstance(part, Text)),
        thinking="".join(part.text for part in choice.parts if isinstance(part, Thinking)),
        calls=tuple(Call(call.name, decoded(call.arguments), "" if is_made(call.id) else call.id) for call in calls),
        finish="stop" if choice.finish == "stop_sequence" else choice.finish,
        spent=spent if usage.basis == "reported" else None,
        seals=tuple(part.seal.data for part in choice.parts if isinstance(part, Text | Thinking | ToolCall) and part.seal),
    )


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_says_what_it_holds(recording: Recording) -> None:
    """Text, thinking, calls, finish, usage and state: what is missing here no client of another API ever sees."""
    found = read(recording.body)
    expected = said("openai.chat", recording.status, recording.body)
    assert told(folded(found))._replace(error=failure(found)) == expected
    assert isinstance(found[0], Begin)
    assert isinstance(found[-1], Fail if expected.error else End)


@pytest.mark.parametrize("recording", parameters(STREAMS))
def test_a_recorded_stream_reads_the_same_in_any_pieces(recording: Recording) -> None:
    """Byte by byte, at every event, and at random places."""
    body, dice = recording.body, random.Random(recording.body)
    whole = shown(read(body))
    assert shown(sliced(body, list(range(len(body))))) == whole
    for _ in range(20):
        assert shown(sliced(body, [dice.randrange(len(body)) for _ in range(dice.randint(1, 12))])) == whole


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_every_variant_is_read(variant: Variant) -> None:
    """A clone without recordings proves itself on these."""
    found = read(variant.body)
    reply = folded(found)
    if variant.name in BROKEN:
        assert failure(found) == "The provider sent an event that cannot be read."
        return
    assert (reply.usage.input, reply.usage.output) == (variant.input, variant.output)
    assert failure(found) == variant.error
    assert isinstance(found[-1] if found else None, End) == (variant.complete and not variant.error)
    if variant.complete and not variant.error:
        assert reply.choices[0].native_finish == variant.finish


@pytest.mark.parametrize("variant", VARIANTS, ids=NAMES)
def test_a_variant_reads_the_same_in_any_pieces(variant: Variant) -> None:
    """A network cuts where it likes: every single cut, and byte by byte."""
    body = variant.body
    whole = shown(read(body))
    assert shown(sliced(body, list(range(len(body))))) == whole
    for cut in range(len(body)):
        assert shown(sliced(body, [cut])) == whole


PIECES = st.sampled_from(
    [
        *(piece.encode() for piece in (*HELLO, STOP, chunk("", "," + USAGE), "[DONE]", '{"error":"x"}', '{"choices":7}')),
        chunk(delta('"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]')).encode(),
        chunk(delta('"reasoning":"r","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"u"}]')).encode(),
        *(b"data: ", b"data:", b"event: error\n", b": c\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"data"),
    ]
)


@given(st.lists(PIECES, max_size=20).map(b"".join) | st.binary(max_size=60), st.lists(st.integers(0, 3000), max_size=8))
def test_any_bytes_in_any_slices_read_the_same(body: bytes, cuts: list[int]) -> None:
    """No bytes may crash the reader, or say something else by chance."""
    assert shown(sliced(body, cuts)) == shown(read(body))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["content", "reasoning", "reasoning_details", "tool_calls", "function", "name", "arguments", "index", "id", "type",
             "text", "thinking", "signature", "data", "annotations", "url_citation", "images", "image_url", "url", "audio",
             "extra_content", "google", "thought_signature", "function_call", "custom", "input", "refusal", "format", "summary"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip
DELTAS = st.dictionaries(
    st.sampled_from(
        ["content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "tool_calls", "function_call",
         "annotations", "images", "audio", "extra_content"]
    ),
    ANY,
    max_size=4,
)  # fmt: skip


@given(st.lists(DELTAS, max_size=4), ANY, ANY, st.integers(-2, 200) | ANY)
def test_any_fields_at_all_are_read_without_a_crash(deltas: list[Any], finish: Any, logprobs: Any, index: Any) -> None:
    """A provider's next version, or a hostile one: parts open before they grow, close once, and the end is the end."""
    choices = [{"index": index, "delta": one, "finish_reason": finish, "logprobs": logprobs} for one in deltas]
    found = read(b"".join(event({"choices": [one]}) for one in choices) + b"data: [DONE]\n\n")
    opened = [one.index for one in found if isinstance(one, Open)]
    assert opened == list(range(len(opened)))
    assert sorted(one.index for one in found if isinstance(one, Close)) == (opened if isinstance(found[-1], End) else [])
    growing: set[int] = set()
    for one in found:
        if isinstance(one, Open):
            growing.add(one.index)
        elif isinstance(one, Close):
            growing.remove(one.index)
        elif isinstance(one, Delta):
            assert one.index in growing
            assert one.text or one.logprobs
    folded(found)


def test_the_order_of_events() -> None:
    """Writers of other dialects rely on it: what is spoken closes when something else begins, calls close at the end."""
    body = stream(
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"content": "b"},
        {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "id": "y", "function": {"name": "g", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        finish="tool_calls",
    )
    assert read(body) == [
        Begin("c1", "m", 7),
        Open(0, Thinking("")),
        Delta(0, "hm"),
        Close(0),
        Open(1, Text("")),
        Delta(1, "a"),
        Delta(1, "b"),
        Close(1),
        Open(2, ToolCall("x", "f", "")),
        Open(3, ToolCall("y", "g", "")),
        Delta(3, "{}"),
        Delta(2, "{}"),
        Close(2),
        Close(3),
        Finished("tool_calls", "tool_calls"),
        End(),
    ]


def test_the_first_chunk_without_choices_begins_nothing() -> None:
    """Azure's names no id and no model; comments and pings open no stream either."""
    reader = ChatReader("seed")
    assert reader.feed(b": ping\n\n" + event({"id": "", "model": "", "choices": [], "prompt_filter_results": []})) == []
    assert reader.feed(event({}) + b"event: ping\ndata: {}\n\n") == []
    assert reader.feed(stream({"content": "a"}, done=False))[0] == Begin("c1", "m", 7)


def test_choices_are_told_apart() -> None:
    """n=2: each has its own parts and its own end."""
    one = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    two = {"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    found = read(event({"choices": [one, two]}) + event({"choices": [end]}) + b"data: [DONE]\n\n")
    reply = folded(found)
    assert [(choice.parts, choice.finish) for choice in reply.choices] == [((Text("a"),), "stop"), ((Text("b"),), "length")]


@pytest.mark.parametrize("index", [-1, MOST_CHOICES, 10**12])
def test_a_choice_that_cannot_be_is_left_out(index: int) -> None:
    """Its number would size a list."""
    found = read(event({"choices": [{"index": index, "delta": {"content": "a"}}]}) + b"data: [DONE]\n\n")
    assert len(folded(found).choices) == 1
    assert not any(isinstance(one, Open) for one in found)


def test_a_stream_without_its_end_mark_is_whole_when_every_choice_is() -> None:
    """Perplexity sends none; a connection that was cut looks the same but for the finish reason."""
    whole = stream({"content": "a"}, done=False)
    assert isinstance(read(whole)[-1], End)
    assert isinstance(read(whole.rstrip())[-1], End)
    cut = read(stream({"content": "a"}, finish=None, done=False))
    assert cut[-1] == Delta(0, "a")
    assert read(b"") == []
    assert read(whole[:-30])[-1] == Delta(0, "a")


def test_nothing_follows_the_end() -> None:
    """Whatever a provider sends behind its end mark is no part of the answer."""
    reader = ChatReader("seed")
    body = stream({"content": "a"})
    assert isinstance(reader.feed(body + body)[-1], End)
    assert reader.feed(body) == []
    assert reader.feed(b"data: x") == []
    assert reader.close() == []


def test_an_end_mark_alone_is_an_empty_answer() -> None:
    """It is complete, says nothing and failed at nothing."""
    assert read(b"data: [DONE]\n\n") == [Begin("", ""), Finished(""), End()]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (event({"error": {"message": "m", "code": 429}}), 429, "m"),
        (event({"error": "m"}), 502, "m"),
        (event({"error": {"message": "m"}, "choices": [{"delta": {"content": "a"}}]}), 502, "m"),
        (b'event: error\ndata: {"error":{"message":"m","status_code":400}}\n\n', 400, "m"),
        (b"event: error\ndata: overloaded\n\n", 502, "overloaded"),
        (b'data: {"choices":[{"delta"\n\n', 502, "The provider sent an event that cannot be read."),
        (event({"choices": [{"delta": {}, "finish_reason": "error"}]}) + b"data: [DONE]\n\n", 502,
         "The provider could not finish its answer."),
    ],
)  # fmt: skip
def test_an_error_ends_it(body: bytes, status: int, message: str) -> None:
    """An answer that broke must not look like one that ended; before the first content it can still be tried elsewhere."""
    found = read(body + stream({"content": "after"}))
    assert isinstance(found[-1], Fail)
    assert (found[-1].error.status, found[-1].error.message) == (status, message)
    assert not any(isinstance(one, Delta) for one in found)


def test_a_failure_after_content_is_a_finish() -> None:
    """What was said stays said."""
    assert folded(read(stream({"content": "a"}, finish="error"))).choices[0].finish == "error"
    assert folded(read(stream({"tool_calls": [{"function": {"name": "f"}}]}, finish="error"))).choices[0].finish == "error"


@pytest.mark.parametrize("body", [b"data: " + b"x" * 2**20 + b"\n\n", b"data: " + b"x" * 2**20])
def test_an_event_too_long_to_hold_ends_it(body: bytes) -> None:
    """Memory per stream is bounded, however the bytes come."""
    first = stream({"content": "a"}, finish=None, done=False)
    whole = shown(read(first + body))
    assert whole[-1][:2] == ("fail", "The provider sent an event of more than 1048576 bytes.")
    assert shown(sliced(first + body, [10, 100_000, 800_000])) == whole
    assert read(stream({"content": "a"}) + body)[-1] == End()


def test_odd_chunks_do_not_end_it() -> None:
    """Unknown shapes are passed over, what can be read of them is read: NaN, half a surrogate, choices that are no list."""
    body = b"".join(
        (
            b'data: "text"\n\ndata: [1]\n\ndata: NaN\n\ndata: null\n\n',
            b'data: {"choices":7,"usage":{"prompt_tokens":3}}\n\n',
            b'data: {"choices":[7,{"delta":8},{"delta":{"content":"a"},"logprobs":NaN}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"b\\ud83d"}}]}\n\n',
            b"data: [DONE]\n\n",
        )
    )
    reply = folded(read(body))
    assert reply.choices[0].parts == (Text("ab?"),)
    assert reply.usage.input == 3


def test_usage_is_told_whenever_it_comes() -> None:
    """In every chunk (Perplexity), aside (Groq), alone at the end (OpenAI); the last one holds."""
    usage = {"prompt_tokens": 7, "completion_tokens": 1}
    first = {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}], "usage": usage, "created": -1, "id": 7}
    last = {"choices": [], "x_groq": {"usage": {**usage, "completion_tokens": 2}}}
    found = read(event(first) + event({"choices": [], "usage": None}) + event(last) + b"data: [DONE]\n\n")
    counts = [one for one in found if isinstance(one, Count)]
    assert [one.usage.output for one in counts] == [1, 2]
    assert json.loads(counts[0].raw) == usage
    assert found[0] == Begin("", "")


def test_what_stopped_it_is_kept() -> None:
    """One server (vLLM) names the stop sequence beside the finish reason; a number there is a token's."""
    choice = folded(read(stream({"content": "a"}, stop_reason="END"))).choices[0]
    assert (choice.finish, choice.stop_sequence) == ("stop_sequence", "END")
    assert folded(read(stream({"content": "a"}, stop_reason=107))).choices[0].finish == "stop"


def test_sources_of_the_whole_answer_are_its_texts() -> None:
    """Perplexity tells them with every chunk; each is cited once."""
    results = [{"url": "https://a", "title": "A", "snippet": "s"}, 7]
    one = {
        "choices": [{"delta": {"content": "a"}, "finish_reason": None}],
        "citations": ["https://a"],
        "search_results": results,
    }
    two = {**one, "choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}
    assert folded(read(event(one) + event(two))).choices[0].parts == (Text("ab", citations=(Citation("https://a", "A", "s"),)),)
    plain = {"choices": two["choices"], "citations": ["https://a", 7]}
    assert folded(read(event(plain))).choices[0].parts == (Text("b", citations=(Citation("https://a"),)),)
