"""A client's whole request."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dialects.openai_responses.asking import EXEC, LOOK, ask, chat
from trunkline.canon.chat import Message, Text, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_responses.offered import Offer
from trunkline.dialects.openai_responses.read_chat import read_chat, read_offered, refers
from trunkline.dialects.openai_responses.request import read_request

HI = {"role": "user", "content": "hi"}


def test_all_of_it() -> None:
    """Instructions come first; what is asked beside the conversation is in its place."""
    found = chat(
        HI,
        instructions="Be brief.",
        tools=[LOOK],
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=50,
        stream=True,
    )
    assert (found.dialect, found.model, found.stream) == ("openai_responses", "asked", True)
    assert found.messages == (Message("system", (Text("Be brief."),)), Message("user", (Text("hi"),)))
    assert (len(found.tools), found.tool_choice) == (1, ToolChoice("required"))
    assert (found.parallel_tools, found.max_tokens) == (False, 50)


def test_the_input_may_be_a_text() -> None:
    """The first example of OpenAI's guide."""
    found = read_chat(read_request(b'{"model":"m","input":"hi","instructions":null,"tools":null}'))
    assert found.messages == (Message("user", (Text("hi"),)),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("background", True),
    ],
)
def test_what_another_api_keeps_is_refused_and_says_what_to_do(name: str, value: Any) -> None:
    """An answer without the conversation that it goes on with would be to another question."""
    with pytest.raises(GatewayError, match=r"send|ask") as caught:
        chat(HI, **{name: value})
    assert (caught.value.status, caught.value.param) == (400, name)
    assert chat(HI, **{name: None}) == chat(HI)


def test_to_answer_at_once_is_what_is_done() -> None:
    """SDKs send the default along."""
    assert chat(HI, background=False) == chat(HI)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"instructions": ["a"]}, "instructions"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"temperature": "warm"}, "temperature"),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """A caller finds the mistake."""
    with pytest.raises(GatewayError) as caught:
        chat(HI, **fields)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_what_no_one_can_read_is_refused() -> None:
    """The bytes of a field are only looked at here."""
    with pytest.raises(GatewayError, match="cannot be read") as caught:
        read_chat(read_request(b'{"model":"m","input":"a","metadata":1e999}'))
    assert caught.value.param == "metadata"
    with pytest.raises(GatewayError, match="must be a string or an array"):
        read_chat(Ask({"input": msgspec.Raw(b"5")}, "m", stream=False, include_usage=True))


def test_the_tools_are_known_again_for_the_answer() -> None:
    """By name, wherever they were told."""
    item = {"type": "additional_tools", "role": "developer", "tools": [EXEC]}
    offered = read_offered(ask(item, HI, tools=[LOOK]))
    assert offered.offer("functions__exec") == Offer("functions", "exec", custom=True)
    assert offered.offer("look") == Offer("", "look")


@pytest.mark.parametrize("fields", [{}, {"tools": 5}, {"tools": [5]}, {"input": [{"type": "additional_tools", "tools": 5}]}])
def test_an_answer_needs_no_tools(fields: dict[str, Any]) -> None:
    """One that was made must not be lost over what its request said."""
    raws = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    assert read_offered(Ask(raws, "m", stream=False, include_usage=True)).offer("look") == Offer("", "look")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, False),
        ({"previous_response_id": None, "background": False}, False),
        ({"previous_response_id": "resp_1"}, True),
        ({"conversation": {"id": "c"}}, True),
        ({"background": True}, True),
    ],
)
def test_what_only_its_provider_can_read(fields: dict[str, object], told: bool) -> None:
    """A history that the provider keeps would be refused because a text of the client's looks like carried state."""
    asked = read_request(json.dumps({"model": "m", "input": "dGwx", **fields}).encode())
    assert refers(asked) is told
