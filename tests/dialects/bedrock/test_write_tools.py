"""Tools, and whether one must be called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dialects.bedrock.samples import assistant, chat, user, written
from trunkline.canon.chat import Message, Other, Text, Tool, ToolCall, ToolChoice, ToolResult
from trunkline.canon.facts import NO_FACTS, Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.write_chat import write_chat

LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}})
BARE = Tool("bare")
HISTORY = (
    user("Hi"),
    assistant(ToolCall("a", "my.look", "{}"), ToolCall("b", "my.look", "{}")),
    Message("tool", (ToolResult("a", "", (Text("ok"),)), ToolResult("b", "", (Text("ok"),)))),
)
SPEC = {"name": "look", "description": "Looks.", "inputSchema": {"json": LOOK.parameters}}
BARE_SPEC = {"name": "bare", "inputSchema": {"json": {"type": "object", "properties": {}}}}
CHOICE = ("tool_choice",)


def config(lost: tuple[str, ...] = (), facts: Facts = NO_FACTS, **fields: Any) -> Any:
    """The `toolConfig` of a request; None where there is none."""
    messages = fields.pop("messages", ())
    return written(chat(*messages, **fields), facts, lost).get("toolConfig")


def test_tools() -> None:
    """Without a description none is sent: Bedrock refuses an empty one."""
    assert config(tools=(LOOK, BARE)) == {"tools": [{"toolSpec": SPEC}, {"toolSpec": BARE_SPEC}]}
    assert config() is None


def test_names_that_bedrock_does_not_take() -> None:
    """They are made to fit, and undone on the way back."""
    out = write_chat(chat(tools=(Tool("my.look"), LOOK)), "m", NO_FACTS, Loss(strict=True), ask_usage=True)
    (name,) = out.names
    assert out.names == {name: "my.look"}
    assert json.loads(out.body)["toolConfig"]["tools"][0]["toolSpec"]["name"] == name


@pytest.mark.parametrize(
    ("choice", "told", "tools"),
    [
        (None, None, ["look", "bare"]),
        (ToolChoice("auto"), None, ["look", "bare"]),
        (ToolChoice("required"), {"any": {}}, ["look", "bare"]),
        (ToolChoice("required", ("look",)), {"tool": {"name": "look"}}, ["look", "bare"]),
        (ToolChoice("required", ("look", "other")), {"any": {}}, ["look"]),
        (ToolChoice("auto", ("bare",)), None, ["bare"]),
    ],
)
def test_choices(choice: ToolChoice | None, told: Any, tools: list[str]) -> None:
    """Bedrock can name one tool or none: of several only these are sent. `auto` is what it does unasked."""
    found = config(tools=(LOOK, BARE), tool_choice=choice)
    assert found.get("toolChoice") == told
    assert [one["toolSpec"]["name"] for one in found["tools"]] == tools


def test_a_choice_of_none() -> None:
    """It has no form: tools are left out where the history allows it, and named as kept where not."""
    none = ToolChoice("none")
    assert config(tools=(LOOK,), tool_choice=none) is None
    kept = config(CHOICE, tools=(LOOK,), tool_choice=none, messages=HISTORY)
    assert kept == {"tools": [{"toolSpec": SPEC}]}
    assert config(tool_choice=none, messages=HISTORY)["tools"][0]["toolSpec"]["inputSchema"] == {"json": {"type": "object"}}


def test_a_choice_that_the_model_does_not_take() -> None:
    """Else the whole request would be refused."""
    facts = Facts(forced_tools="never")
    assert "toolChoice" not in config(CHOICE, facts, tools=(LOOK,), tool_choice=ToolChoice("required"))
    vendor = ToolChoice("auto", vendor={"x": 1})
    assert "toolChoice" not in config(("tool_choice.x",), tools=(LOOK,), tool_choice=vendor)


def test_a_history_with_calls_and_no_tools() -> None:
    """Bedrock reads none such: the tools that were called are declared, each once."""
    (one,) = config(messages=HISTORY)["tools"]
    assert one["toolSpec"]["name"].startswith("my_look_")
    other, must = Other("anthropic", {"type": "web_search_20250305"}), ToolChoice("required")
    assert config(("tools[0]",), tools=(other,), tool_choice=must, messages=HISTORY) == {"tools": [one]}


def test_strict_tools() -> None:
    """Every object is closed, as Bedrock wants it; a model that promises nothing is asked without."""
    strict = Tool("look", "", LOOK.parameters, strict=True)
    spec = config(tools=(strict,))["tools"][0]["toolSpec"]
    assert spec["strict"] is True
    assert spec["inputSchema"]["json"]["additionalProperties"] is False
    loose = config(("tools[0].strict",), Facts(schema=False), tools=(strict,))["tools"][0]["toolSpec"]
    assert "strict" not in loose
    assert loose["inputSchema"] == {"json": LOOK.parameters}


def test_losses() -> None:
    """What has no form is named."""
    other = Other("anthropic", {"type": "web_search_20250305"})
    assert config(("tools[0]",), tools=(other,)) is None
    assert config(("tools",), Facts(tools=False), tools=(LOOK,)) is None
    assert config(("parallel_tool_calls",), tools=(LOOK,), parallel_tools=False) is not None
    assert config(tools=(LOOK,), parallel_tools=True) is not None
    assert config(parallel_tools=False) is None
    assert config(("tools[0].x",), tools=(Tool("a", vendor={"x": 1}),)) is not None


def test_cache_marks_on_tools() -> None:
    """The mark is a tool of its own, behind what it marks."""
    point = {"cachePoint": {"type": "default"}}
    marked = Tool("look", "Looks.", LOOK.parameters, cache="5m")
    facts = Facts(caches=frozenset({"tools"}))
    assert config(facts=facts, tools=(marked, BARE))["tools"] == [{"toolSpec": SPEC}, point, {"toolSpec": BARE_SPEC}]
    assert config(("cache_control",), tools=(marked,))["tools"] == [{"toolSpec": SPEC}]
