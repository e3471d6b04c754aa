"""Items of a client's input."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.asking import AGENTS, EXEC, messages, said
from trunkline.canon.chat import Media, Message, Other, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.dialects.state import Place, wrap

NAME = "openai_responses"
CLAUDE = Seal("anthropic", "sig")
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a":1}', "id": "fc_1", "status": "completed"}
DONE = {"type": "function_call_output", "call_id": "c1", "output": "seen"}


def answered(text: str, **beside: Any) -> dict[str, Any]:
    """A message of the model's."""
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **beside}


def carrier(seal: Seal, place: Place) -> dict[str, Any]:
    """A reasoning item that carries a neighbour's state."""
    return {"type": "reasoning", "summary": [], "encrypted_content": wrap(seal, place)}


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_messages_need_no_type(role: Any) -> None:
    """Some clients (opencode) send none; a text alone is as good as a list."""
    assert messages({"role": role, "content": "hi"}) == (Message(role, (Text("hi"),)),)
    parts = {"type": "message", "role": role, "content": [{"type": "input_text", "text": "hi"}], "name": "n"}
    assert messages(parts) == (Message(role, (Text("hi"),), vendor={"name": "n"}),)


def test_a_turn_of_the_models_is_one_message() -> None:
    """Its reasoning, words and calls in order; then the results of its calls, in one as well; ids and phases stay."""
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
        "content": None,
        "encrypted_content": "enc",
    }
    other = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    words = answered("I look.", id="msg_1", phase="commentary", status="completed")
    again = {**CALL, "call_id": "c2", "arguments": ""}
    image = {"type": "input_image", "image_url": "https://x/y.png"}
    shown = {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "see"}, image]}
    found = messages(thought, other, words, CALL, again, DONE, shown, {"role": "user", "content": "so?"})
    vendor = {"id": "fc_1", "status": "completed"}
    summary = {"id": "rs_1", "summary": thought["summary"]}
    assert found == (
        Message(
            "assistant",
            (
                Thinking("a\n\nb", Seal(NAME, "enc"), vendor=summary),
                Other(NAME, other),
                Text("I look.", vendor={"id": "msg_1", "phase": "commentary", "status": "completed"}),
                ToolCall("c1", "look", '{"a":1}', vendor=vendor),
                ToolCall("c2", "look", "{}", vendor=vendor),
            ),
        ),
        Message(
            "tool",
            (
                ToolResult("c1", "", (Text("seen"),)),
                ToolResult("c2", "", (Text("see"), Media("image", url="https://x/y.png"))),
            ),
        ),
        Message("user", (Text("so?"),)),
    )


def test_a_custom_call_is_a_call_of_a_function() -> None:
    """Of one text, under the name that canon has for its tool."""
    added = {"type": "additional_tools", "role": "developer", "tools": [EXEC, AGENTS]}
    call = {"type": "custom_tool_call", "call_id": "c", "name": "exec", "namespace": "functions", "input": 'text("a")'}
    done = {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]}
    bare = {**CALL, "name": "spawn"}
    made, results = messages(added, call, bare, done)
    arguments = '{"input":"text(\\"a\\")"}'
    vendor = {"namespace": "functions", "type": "custom_tool_call"}
    assert made.parts[0] == ToolCall("c", "functions__exec", arguments, vendor=vendor)
    assert isinstance(made.parts[1], ToolCall)
    assert made.parts[1].name == "agents__spawn"
    assert results.parts == (ToolResult("c", "", (Text("a"),), vendor={"type": "custom_tool_call_output"}),)


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"summary": [], "encrypted_content": "enc"}, Thinking("", Seal(NAME, "enc"), redacted=True)),
        ({"summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "enc"}, Thinking("a", Seal(NAME, "enc"))),
        (
            {"summary": [], "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}]},
            Thinking(
                "ab", vendor={"content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}]}
            ),
        ),
        (
            {"id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": wrap(CLAUDE)},
            Thinking("a", CLAUDE),
        ),
        ({"id": "rs_1", "summary": [], "encrypted_content": wrap(CLAUDE)}, Thinking("", CLAUDE, redacted=True)),
        (
            {"summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": wrap(Seal("", ""))},
            Thinking("a"),
        ),
    ],
)
def test_reasoning_is_read(item: dict[str, Any], found: Thinking) -> None:
    """A provider's own state as it is, another family's out of its wrapping, and thinking that has none without."""
    assert said({"type": "reasoning", **item}) == (found,)


def test_state_goes_to_the_part_that_it_is_of() -> None:
    """Gemini's signatures stand on calls and texts, which have no slot here."""
    one, two = Seal("gemini", "1"), Seal("gemini", "2")
    found = said(carrier(one, "next"), CALL, answered("a"), carrier(two, "last"), carrier(one, "empty"))
    vendor = {"id": "fc_1", "status": "completed"}
    assert found == (ToolCall("c1", "look", '{"a":1}', seal=one, vendor=vendor), Text("a", two), Text("", one))


def test_state_without_its_part_is_let_go() -> None:
    """A client may have cut its history anywhere."""
    user = {"role": "user", "content": "hi"}
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "e"}
    assert messages(user, carrier(CLAUDE, "last"), carrier(CLAUDE, "next")) == (Message("user", (Text("hi"),)),)
    assert said(carrier(CLAUDE, "next"), thought, answered("a"))[1] == Text("a")
    assert said(thought, carrier(CLAUDE, "last")) == (Thinking("", Seal(NAME, "e"), redacted=True),)
    assert said(carrier(CLAUDE, "next"), answered(""), CALL)[0] == Text("", CLAUDE)


def test_what_stands_for_a_history_is_no_part_of_an_answer() -> None:
    """A provider that does not know it would answer another question: as part of what is asked it is refused there."""
    item = {"type": "compaction", "encrypted_content": "e"}
    assert messages(item, CALL)[0] == Message("user", (Other(NAME, item),))


@pytest.mark.parametrize("name", ["local_shell_call", "mcp_list_tools", "tool_search_output", "image_generation_call", "new"])
def test_what_only_this_api_knows_stays_what_it_is(name: str) -> None:
    """Its own providers get it back."""
    assert said({"type": name, "x": [1]}) == (Other(NAME, {"type": name, "x": [1]}),)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (5, ""),
        ({}, ""),
        ({"id": "msg_1"}, ""),
        ({"type": "item_reference", "id": "msg_1"}, ""),
        ({"type": 5}, ".type"),
        ({"role": "tool", "content": "a"}, ".role"),
        ({"type": "message", "content": "a"}, ".role"),
        ({"role": "user"}, ".content"),
        ({**CALL, "call_id": None}, ".call_id"),
        ({**CALL, "name": ""}, ".name"),
        ({**CALL, "arguments": {}}, ".arguments"),
        ({**CALL, "namespace": 5}, ".namespace"),
        ({**DONE, "call_id": ""}, ".call_id"),
        ({**DONE, "output": 5}, ".output"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "n", "input": {}}, ".input"),
        ({"type": "reasoning", "summary": "a"}, ".summary"),
        ({"type": "reasoning", "summary": ["a"]}, ".summary[0]"),
        ({"type": "reasoning", "summary": [], "encrypted_content": 5}, ".encrypted_content"),
        ({"type": "additional_tools", "tools": [{"type": "function"}]}, ".tools[0].name"),
    ],
)
def test_a_wrong_item_is_refused_by_its_place(item: Any, param: str) -> None:
    """A caller finds the mistake; what only the provider could know is told as such."""
    with pytest.raises(GatewayError) as caught:
        messages(item)
    assert (caught.value.status, caught.value.param) == (400, f"input[0]{param}")


def test_a_result_of_nothing_is_empty() -> None:
    """Some tools have nothing to say."""
    (found,) = said({**DONE, "output": None})
    assert found == ToolResult("c1", "", ())
