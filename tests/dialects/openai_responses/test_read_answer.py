"""A whole answer, read into canon."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_responses.told import CALL, CUSTOM, MESSAGE, OUTPUT, REASONING, SEARCH, body
from trunkline.canon.chat import Citation, Media, Other, Refusal, Seal, Text, Thinking, ToolCall
from trunkline.canon.errors import GatewayError
from trunkline.dialects.openai_responses.read_answer import read_answer
from trunkline.dialects.openai_responses.words import custom_arguments


def test_every_item_is_a_part() -> None:
    """What is missing here no client of another API ever sees."""
    reply = read_answer(body(*OUTPUT), "seed")
    assert (reply.id, reply.model, reply.created, reply.usage.input) == ("resp_1", "m", 5, 10)
    (choice,) = reply.choices
    assert (choice.finish, choice.native_finish) == ("tool_calls", "completed")
    custom = {"type": "custom_tool_call", "id": "ctc_1", "namespace": "functions"}
    cited = (Citation("https://a.example", "A", start=0, end=2),)
    assert choice.parts == (
        Thinking("First.\n\nThen.", Seal("openai_responses", "sealed"), vendor={"id": "rs_1"}),
        Other("openai_responses", SEARCH),
        Text("Hello", citations=cited, vendor={"id": "msg_1", "phase": "final_answer"}),
        ToolCall("call_1", "look", '{"at":"it"}', vendor={"id": "fc_1"}),
        ToolCall("call_2", "functions__run", custom_arguments(CUSTOM["input"]), vendor=custom),
        Media("image", "image/png", data="iVBORw0KGgoAAA"),
    )


def test_calls_without_ids_or_arguments() -> None:
    """Every call must be answerable, and no arguments are an empty object."""
    bare = {"type": "function_call", "name": "f"}
    reply = read_answer(body(bare, {**bare, "id": "fc_9"}, {"type": "custom_tool_call", "name": "g"}), "seed")
    assert [(call.id, call.arguments) for call in reply.choices[0].parts if isinstance(call, ToolCall)] == [
        ("tlc_seed_0", "{}"),
        ("fc_9", "{}"),
        ("tlc_seed_2", '{"input":""}'),
    ]


def test_refusals_and_several_texts() -> None:
    """A refusal is no text."""
    said = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "No."}, {"type": "output_text", "text": ""}, 5]
    parts = read_answer(body({"type": "message", "content": said}), "seed").choices[0].parts
    assert parts == (Text("a"), Refusal("No."))


@pytest.mark.parametrize(("created_at", "created"), [(1.5, 1), (-1, 0), ("5", 0), (1e300, 0), (None, 0)])
def test_when_it_was_made(created_at: Any, created: int) -> None:
    """Some servers tell fractions of a second."""
    assert read_answer(body(MESSAGE, created_at=created_at), "seed").created == created


def test_an_answer_that_was_cut_off() -> None:
    """A call in an answer that ran out of tokens may be half a call."""
    reply = read_answer(body(CALL, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "seed")
    assert (reply.choices[0].finish, reply.choices[0].native_finish) == ("length", "max_output_tokens")


def test_a_failure_is_no_answer() -> None:
    """A 200 is not success."""
    with pytest.raises(GatewayError, match="broke"):
        read_answer(body(status="failed", error={"message": "broke"}), "seed")


ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from([REASONING, CUSTOM, CALL, MESSAGE]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "content", "text", "id"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(ODD, max_size=4))
def test_any_items_are_an_answer(items: list[Any]) -> None:
    """Any JSON from a provider is an answer or a 502."""
    assert read_answer(body(*items), "seed").choices[0].finish in {"stop", "tool_calls"}


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_answer_that_is_not_there_yet(status: str) -> None:
    """A client of another API would take nothing for the whole answer."""
    with pytest.raises(GatewayError, match="is not finished") as caught:
        read_answer(body(status=status), "seed")
    assert caught.value.status == 502
