"""A conversation, as a provider is told it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dialects.openai_responses.told import REASONING, SEARCH
from dialects.openai_responses.writing import HI, chat, items, own, said, sent
from trunkline.canon.chat import Media, Message, Other, Refusal, Seal, Text, Thinking, ToolCall, ToolResult
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts

SEALED = Thinking("Hm", Seal("openai_responses", "state"))
CALL = ToolCall("call_1", "look", '{"a":1}')
FIRST = {"type": "message", "role": "user", "content": "Hi"}


def test_a_turn_is_an_item_for_each_part() -> None:
    """Reasoning stands right before what it led to, or it is an error."""
    found, lost = items(HI, said(SEALED, Text("So"), Text("on"), CALL, ToolCall("call_2", "look", "{}")))
    assert found == [
        FIRST,
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "state"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "So"}, {"type": "output_text", "text": "on"}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "call_2", "name": "look", "arguments": "{}"},
    ]
    assert lost == []


@pytest.mark.parametrize(
    "thought",
    [Thinking("Hm"), Thinking("Hm", Seal("anthropic", "x")), Thinking("", Seal("gemini", "x"), redacted=True)],
)
def test_reasoning_of_others_is_left_out(thought: Thinking) -> None:
    """A model refuses state that it did not make."""
    assert items(HI, said(thought, CALL)) == (items(HI, said(CALL))[0], ["reasoning"])


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    """OpenAI refuses it without the item that followed it."""
    found, lost = items(HI, said(Text("a"), SEALED, SEALED, Other("anthropic", {})))
    assert [item["type"] for item in found] == ["message", "message"]
    assert lost == ["messages[1].content[3]", "reasoning"]


def test_state_without_a_word() -> None:
    """A redacted thought is its state alone."""
    found, _ = items(HI, said(Thinking("", Seal("openai_responses", "s"), redacted=True), CALL))
    assert found[1] == {"type": "reasoning", "summary": [], "encrypted_content": "s"}


def test_what_only_this_api_knows_goes_back_in_its_place() -> None:
    """A search that a restored answer holds belongs between its thought and its text."""
    found, lost = items(HI, said(SEALED, Other("openai_responses", SEARCH), Text("So"), Media("image", data="QUJD")))
    assert [item["type"] for item in found] == ["message", "reasoning", "web_search_call", "message"]
    assert found[2] == SEARCH
    assert lost == ["messages[1].content[3]"]


PNG = Media("image", "image/png", data="iVBO")
TOLD_PNG = {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult("c", "", (Text("ok"),)), "ok"),
        (ToolResult("c", "", ()), ""),
        (ToolResult("c", "", (Text("a"), Text("b"))), "a\nb"),
        (ToolResult("c", "", (Text("no"),), failed=True), "Error: no"),
        (ToolResult("c", "", (Text("Error: no"),), failed=True), "Error: no"),
        (ToolResult("c", "", (), failed=True), "Error: "),
        (ToolResult("c", "", (Other("anthropic", {"a": 1}),)), '{"a":1}'),
        (ToolResult("c", "", (PNG,)), [TOLD_PNG]),
        (ToolResult("c", "", (Text("see"), PNG)), [{"type": "input_text", "text": "see"}, TOLD_PNG]),
        (ToolResult("c", "", (PNG,), failed=True), [{"type": "input_text", "text": "Error: "}, TOLD_PNG]),
    ],
)
def test_results(result: ToolResult, output: Any) -> None:
    """Each result is an item of its own, pictures and all; a failure is said to be one."""
    found, _ = items(HI, said(CALL), said(result, result, role="tool"))
    assert found[2:] == [{"type": "function_call_output", "call_id": "c", "output": output}] * 2


def test_ids_and_names_are_made_to_fit() -> None:
    """Another provider's are longer than OpenAI takes; a call and its result must still be one."""
    call = ToolCall("i" * 80, "look.at/it", "{}")
    found, _ = items(HI, said(call), said(ToolResult("i" * 80, "", (Text("ok"),), cache="5m"), role="tool"))
    assert found[1]["call_id"] == found[2]["call_id"]
    assert len(found[1]["call_id"]) == 64
    assert found[1]["name"].startswith("look_at_it_")


def test_marks_and_state_that_have_no_place() -> None:
    """Nothing is left out in silence."""
    message = said(ToolCall("c", "f", "{}", seal=Seal("gemini", "x"), vendor={"caller": 1}), name="n")
    result = said(ToolResult("c", "", (), cache="5m"), role="tool")
    assert items(HI, message, result)[1] == ["messages[1].name", "messages[1].content[0].caller", "reasoning", "cache_control"]


SYSTEM = Message("system", (Text("Be."),))
LATE = Message("developer", (Text("Stop."),))


def test_instructions_stay_where_they_are_or_come_first() -> None:
    """What is written of a history must not change when it grows."""
    told = (SYSTEM, HI, said(CALL), LATE, said(ToolResult("call_1", "", ()), role="tool"), said(Text("So")), LATE, HI)
    kept, lost = items(*told, facts=Facts(system_midway=True))
    roles = [item.get("role", item["type"]) for item in kept]
    assert roles == [
        "system", "user", "function_call", "developer", "function_call_output", "assistant", "developer", "user",
    ]  # fmt: skip
    assert lost == []
    moved, lost = items(*told)
    roles = [item.get("role", item["type"]) for item in moved]
    assert roles == ["system", "developer", "user", "function_call", "function_call_output", "assistant", "user", "user"]
    assert lost == ["messages[6].role"]


def test_a_begun_answer() -> None:
    """Where a model does not go on with one, it is told."""
    assert len(items(HI, said(Text("So")))[0]) == 2
    found, lost = items(HI, said(Text("So")), facts=Facts(refuses=frozenset({"prefill"})))
    assert (found, lost) == ([FIRST], ["messages[1]"])


def test_an_empty_conversation_is_refused() -> None:
    """A provider would say so in words about items that nobody wrote."""
    with pytest.raises(GatewayError, match="The conversation is empty"):
        sent(chat(said(Thinking("x"))))
    assert items(said(Text(""), role="user"), said(Text("a"), role="tool"))[0] == [
        {"type": "message", "role": "user", "content": ""}
    ]


OWN = [
    {"type": "message", "role": "developer", "content": "Be.", "id": "msg_0"},
    {"type": "message", "role": "user", "content": "Hi"},
    {**REASONING, "content": [{"type": "reasoning_text", "text": "x"}]},
    {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"id": "msg_2", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
    {"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "c"}]},
    {"type": "message", "role": "assistant", "phase": "final_answer", "content": [{"type": "output_text", "text": "d"}]},
    {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "spawn", "namespace": "agents",
     "arguments": "{}"},
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c2", "name": "exec", "namespace": "functions", "input": "go()"},
    {"type": "function_call", "call_id": "c3", "name": "l.o.n.g" * 20, "arguments": "{"},
    {"type": "function_call_output", "call_id": "c1", "output": "ok", "status": "completed"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "a"},
                                                                  {"type": "input_text", "text": "b"}]},
    {"type": "function_call_output", "call_id": "c3", "output": ""},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
    SEARCH,
    {"type": "reasoning", "id": "rs_9", "summary": []},
]  # fmt: skip


def test_a_client_of_this_api_loses_nothing() -> None:
    """Codex hands its history back item by item, and its model must find it as it was."""
    body, lost = sent(own(input=OWN))
    assert body["input"] == OWN
    assert lost == []


def test_a_namespace_that_was_left_out_is_known_by_the_tool() -> None:
    """Models leave it out, and so do clients that hand the call back."""
    tools = [{"type": "namespace", "name": "agents", "description": "", "tools": [{"type": "custom", "name": "exec"}]}]
    call = {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "go()"}
    body, _ = sent(own(input=[FIRST, call], tools=tools))
    assert body["input"][1] == {**call, "namespace": "agents"}


def test_state_that_a_client_of_this_api_wrapped() -> None:
    """The state of a Claude is none of OpenAI's; thinking without state or name is of no use."""
    body, lost = sent(own(input=[FIRST, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}]))
    assert [item["type"] for item in body["input"]] == ["message", "reasoning"]
    assert lost == []
    assert items(HI, said(Refusal("No.")), dialect="openai_responses")[0][1]["content"] == [
        {"type": "refusal", "refusal": "No."}
    ]
    _, lost = items(HI, said(Thinking("a"), Text("b")), dialect="openai_responses")
    assert lost == ["reasoning"]


def test_many_strange_parts_take_no_longer_than_their_number() -> None:
    """One client's message must not hold up all others: each part compared with each took minutes."""
    parts = [{"type": "strange", "n": at} for at in range(30_000)]
    began = time.process_time()
    body, _ = sent(own(input=[{"type": "message", "role": "user", "content": [*parts, {"type": "input_text", "text": "a"}]}]))
    assert time.process_time() - began < 5
    assert body["input"] == [*parts, {"type": "message", "role": "user", "content": "a"}]
