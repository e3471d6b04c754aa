"""Tools and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest

from dialects.openai_responses.asking import AGENTS, EXEC, LOOK, chat
from trunkline.canon.chat import NOTHING, Other, Tool, ToolChoice
from trunkline.canon.errors import GatewayError

HI = {"role": "user", "content": "hi"}
SCHEMA = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def tools(*told: Any) -> tuple[Tool | Other, ...]:
    """What canon makes of these."""
    return chat(HI, tools=list(told)).tools


def test_functions_are_read() -> None:
    """Flat, as this API tells them; what canon has no word for stays with them."""
    assert tools(LOOK) == (Tool("look", "Look.", {"type": "object"}, strict=False),)
    assert tools({"type": "function", "name": "f", "parameters": None, "strict": None, "defer_loading": True}) == (
        Tool("f", vendor={"defer_loading": True}),
    )
    assert tools({"name": "f"}) == (Tool("f"),)


def test_a_field_of_ours_in_a_clients_tool_is_not_believed() -> None:
    """It would be taken for a namespace, or for a custom tool, that nobody told of."""
    assert tools({**LOOK, "namespace": "n", "custom": 5, "additional_tools": True})[0].vendor == NOTHING


def test_a_namespace_is_folded() -> None:
    """Other APIs know no namespaces: its tools stand alone, each under both names, and what it was is kept."""
    (found,) = tools(AGENTS)
    space = {"type": "namespace", "name": "agents", "description": "Agents."}
    assert found == Tool("agents__spawn", "Look.", {"type": "object"}, strict=False, vendor={"namespace": space})


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    """With its grammar among the words that the model reads; the original is kept for the API that knows it."""
    form = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
    whole = {"type": "custom", "name": "patch", "description": "Patch.", "format": form}
    text = "Patch.\n\nThe input must match this lark grammar:\nstart: X"
    assert tools(whole) == (Tool("patch", text, SCHEMA, vendor={"custom": whole}),)
    plain = {"type": "custom", "name": "say"}
    assert tools(plain) == (Tool("say", "", SCHEMA, vendor={"custom": plain}),)


def test_an_item_adds_tools() -> None:
    """Codex tells the newest models all of its tools so."""
    item = {"type": "additional_tools", "role": "developer", "tools": [EXEC]}
    (found,) = chat(item, HI).tools
    assert isinstance(found, Tool)
    assert (found.name, found.vendor["additional_tools"]) == ("functions__exec", True)
    assert found.vendor["custom"] == EXEC["tools"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    "kind", ["web_search", "tool_search", "mcp", "code_interpreter", "image_generation", "computer_use", "new"]
)
def test_what_only_its_providers_run_stays_what_it_is(kind: str) -> None:
    """Writers of other dialects drop it, and say so."""
    assert tools({"type": kind, "x": 1}) == (Other("openai_responses", {"type": kind, "x": 1}),)


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"type": "function"}, "tools[0].name"),
        ({"type": "function", "name": ""}, "tools[0].name"),
        ({"type": "function", "name": "f", "parameters": []}, "tools[0].parameters"),
        ({"type": "function", "name": "f", "strict": "no"}, "tools[0].strict"),
        ({"type": "custom", "name": "f", "format": "lark"}, "tools[0].format"),
        ({"type": "custom", "name": "f", "format": {"definition": 5}}, "tools[0].format.definition"),
        ({"type": "namespace", "name": "n", "tools": [{"type": "function"}]}, "tools[0].tools[0].name"),
        ({"type": "namespace", "tools": []}, "tools[0].name"),
        (5, "tools[0]"),
    ],
)
def test_a_wrong_tool_is_refused_by_its_place(told: Any, param: str) -> None:
    """A caller finds the mistake."""
    with pytest.raises(GatewayError) as caught:
        tools(told)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "look"}, ToolChoice("required", ("look",))),
        ({"type": "function", "name": "spawn"}, ToolChoice("required", ("agents__spawn",))),
        ({"type": "function", "name": "spawn", "namespace": "agents"}, ToolChoice("required", ("agents__spawn",))),
        ({"type": "custom", "name": "patch"}, ToolChoice("required", ("patch",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
            ToolChoice("auto", ("look",)),
        ),
    ],
)
def test_choices_are_read(told: Any, choice: ToolChoice | None) -> None:
    """Each by canon's name of its tool."""
    assert chat(HI, tools=[LOOK, AGENTS], tool_choice=told).tool_choice == choice


@pytest.mark.parametrize(
    "told",
    [
        {"type": "web_search"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}, {"type": "mcp"}]},
    ],
)
def test_a_choice_that_canon_has_no_word_for_is_kept_whole(told: dict[str, Any]) -> None:
    """For the API that knows it; elsewhere its loss is told."""
    choice = chat(HI, tools=[LOOK], tool_choice=told).tool_choice
    assert choice is not None
    assert choice.vendor == told


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ("any", "tool_choice"),
        (5, "tool_choice"),
        ({}, "tool_choice.type"),
        ({"type": "function"}, "tool_choice.name"),
        ({"type": "allowed_tools", "mode": "none", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}, "tool_choice.tools[0].name"),
    ],
)
def test_a_wrong_choice_is_refused_by_its_place(told: Any, param: str) -> None:
    """A caller finds the mistake."""
    with pytest.raises(GatewayError) as caught:
        chat(HI, tool_choice=told)
    assert (caught.value.status, caught.value.param) == (400, param)
