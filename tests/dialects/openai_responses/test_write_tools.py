"""Tools and the choice among them, as a provider is told them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dialects.openai_responses.writing import chat, own, sent
from trunkline.canon.chat import Other, Tool, ToolChoice
from trunkline.canon.errors import GatewayError
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.openai_responses.write_chat import write_chat

LOOK, GO = Tool("look", "Look.", {"type": "object"}), Tool("go", strict=True)


def test_functions_are_flat_and_say_whether_they_are_strict() -> None:
    """Unsaid it would mean true here, and a schema that is not made for it is an error."""
    body, lost = sent(chat(tools=(LOOK, GO)))
    assert body["tools"] == [
        {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": False},
        {"type": "function", "name": "go", "parameters": {"type": "object", "properties": {}}, "strict": True},
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("choice", "told", "names"),
    [
        (None, None, ["look", "go"]),
        (ToolChoice("auto"), "auto", ["look", "go"]),
        (ToolChoice("none"), "none", ["look", "go"]),
        (ToolChoice("required"), "required", ["look", "go"]),
        (ToolChoice("required", ("go",)), {"type": "function", "name": "go"}, ["look", "go"]),
        (ToolChoice("auto", ("go",)), "auto", ["go"]),
        (ToolChoice("required", ("go", "look")), "required", ["look", "go"]),
    ],
)
def test_choices(choice: ToolChoice | None, told: Any, names: list[str]) -> None:
    """A choice of some tools is made by sending these only: not every server has words for it."""
    body, _ = sent(chat(tools=(LOOK, GO), tool_choice=choice))
    assert body.get("tool_choice") == told
    assert [tool["name"] for tool in body["tools"]] == names


def test_what_the_model_does_not_take() -> None:
    """Dropped and named; refused where the operator wants that."""
    other = Other("anthropic", {"type": "web_search_20250305"})
    body, lost = sent(chat(tools=(LOOK, other), tool_choice=ToolChoice("required")), Facts(forced_tools="never"))
    assert [tool["name"] for tool in body["tools"]] == ["look"]
    assert lost == ["tools[1]", "tool_choice"]
    body, lost = sent(chat(tools=(LOOK,), tool_choice=ToolChoice("auto"), parallel_tools=False), Facts(tools=False))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    assert lost == ["tools"]
    with pytest.raises(GatewayError, match="tools"):
        sent(chat(tools=(other,)), strict=True)
    assert sent(chat(tools=(Tool("a", cache="5m", vendor={"x": 1}),)))[1] == ["tools[0].x", "cache_control"]


def test_names_are_made_to_fit_and_told() -> None:
    """The client must see its own names in the answer."""
    loss = Loss(strict=False)
    outgoing = write_chat(chat(tools=(Tool("a.b"), LOOK)), "m", Facts(), loss, ask_usage=False)
    ((fitted, name),) = outgoing.names.items()
    assert name == "a.b"
    assert fitted.startswith("a_b_")
    assert fitted.encode() in outgoing.body


def test_a_foreign_tool_with_fields_like_ours() -> None:
    """Whatever a client puts beside a tool, it is no namespace."""
    tool = Tool("a", vendor={"namespace": "x", "custom": 5, "additional_tools": 1})
    body, lost = sent(chat(tools=(tool,), tool_choice=ToolChoice("required", ("a",))))
    assert [one["name"] for one in body["tools"]] == ["a"]
    assert lost == ["tools[0].custom"]


FUNCTION = {"type": "function", "name": "spawn", "description": "S.", "parameters": {"type": "object"}, "strict": False}
CUSTOM = {"type": "custom", "name": "exec", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
TOOLS = [
    FUNCTION,
    {"type": "function", "name": "bare", "defer_loading": True},
    {"type": "namespace", "name": "agents", "description": "A.", "tools": [FUNCTION, CUSTOM]},
    {"type": "namespace", "name": "others", "description": "B.", "tools": [FUNCTION, {"type": "file_search"}]},
    {"type": "web_search"},
    CUSTOM,
]
ADDED = {"type": "additional_tools", "role": "developer", "tools": TOOLS[2:5]}


def test_a_client_of_this_api_loses_nothing() -> None:
    """Codex offers its tools in three shapes, and the model must see them so."""
    assert sent(own(tools=TOOLS))[0]["tools"] == TOOLS
    said = {"type": "message", "role": "user", "content": "Hi"}
    body, lost = sent(own(input=[ADDED, said], parallel_tool_calls=False))
    assert body["input"] == [ADDED, said]
    assert "tools" not in body
    assert body["parallel_tool_calls"] is False
    assert lost == []


@pytest.mark.parametrize(
    "choice",
    [
        "none",
        {"type": "function", "name": "bare"},
        {"type": "custom", "name": "exec"},
        {"type": "function", "name": "spawn", "namespace": "agents"},
        {"type": "web_search"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "bare"}]},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "exec"}, {"type": "web_search"}]},
    ],
)
def test_a_client_of_this_api_chooses_as_it_did(choice: Any) -> None:
    """Forms that canon has no word for go on whole."""
    body, lost = sent(own(tools=TOOLS, tool_choice=choice))
    assert body["tool_choice"] == choice
    assert body["tools"] == TOOLS
    assert lost == []


def test_a_tool_unknown_here_with_fields_like_ours() -> None:
    """What canon keeps beside a tool must not be taken from a client's own fields of that name."""
    body, _ = sent(own(tools=[{"type": "web_search", "namespace": "x", "additional_tools": True}]))
    assert body["tools"] == [{"type": "web_search"}]


def test_a_choice_of_many_tools_takes_no_longer_than_their_number() -> None:
    """One client's request must not hold up all others: each tool was looked for among all that may be called."""
    tools = tuple(Tool(f"f{at}") for at in range(20_000))
    choice = ToolChoice("auto", tuple(tool.name for tool in reversed(tools)))
    began = time.process_time()
    body, _ = sent(chat(tools=tools, tool_choice=choice))
    assert time.process_time() - began < 1.5
    assert len(body["tools"]) == len(tools)
