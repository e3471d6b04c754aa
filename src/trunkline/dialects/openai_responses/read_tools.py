"""The tools of a request, and the choice among them, read into canon.

Functions stand alone or in namespaces, which canon folds into their names. A custom tool becomes a function of one text. What
only this API's providers run stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from trunkline.canon.chat import NOTHING, Json, Other, Tool, ToolChoice
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.words import ADDED, CUSTOM, CUSTOM_SCHEMA, NAME, NAMESPACE, folded
from trunkline.dialects.shallow import bad
from trunkline.dialects.taken import Taken

_CALLED = frozenset({"function", CUSTOM})
_MODES: Mapping[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}


def read_tools(told: list[Any], path: str, *, added: bool = False) -> list[Tool | Other]:
    """The tools, those of a namespace each for itself. `added`: they stand in an item of the input.

    Raises `GatewayError(BAD_REQUEST)` with the path of the field that is wrong.
    """
    beside: Json = {ADDED: True} if added else {}
    return [tool for at, one in enumerate(told) for tool in _tools(one, f"{path}[{at}]", beside)]


def required(one: Taken, name: str) -> str:
    """A text that must be there."""
    text = one.text(name)
    if not text:
        raise bad(one.place(name), "is required", "missing_required_parameter")
    return text


def _tools(one: object, path: str, beside: Json) -> Iterator[Tool | Other]:
    tool = Taken(one, path)
    kind = tool.text("type") or "function"
    if kind == NAMESPACE:
        name, inner = required(tool, "name"), tool.items("tools")
        beside = {**beside, NAMESPACE: {"type": NAMESPACE, "name": name, **tool.left()}}
        for at, told in enumerate(inner):
            yield _tool(told, f"{path}.tools[{at}]", beside, name)
    else:
        yield _tool(one, path, beside, "")


def _tool(one: Any, path: str, beside: Json, namespace: str) -> Tool | Other:
    tool = Taken(one, path)
    kind = tool.text("type") or "function"
    if kind not in _CALLED:
        return Other(NAME, {**{name: value for name, value in one.items() if name not in {ADDED, NAMESPACE}}, **beside})
    name, description = folded(namespace, required(tool, "name")), tool.text("description")
    if kind == CUSTOM:
        form = _form(tool.object("format"), tool.place("format"))
        text = "\n\n".join(filter(None, (description, form)))
        return Tool(name, text, CUSTOM_SCHEMA, vendor={**beside, CUSTOM: one})
    parameters, strict = tool.object("parameters"), tool.flag("strict")
    for ours in (ADDED, CUSTOM, NAMESPACE):
        tool.any(ours)
    return Tool(name, description, parameters, strict, vendor={**beside, **tool.left()} or NOTHING)


def _form(told: Mapping[str, Any] | None, path: str) -> str:
    """What is said to a model of how a custom tool's text must look."""
    form = Taken(told or {}, path)
    syntax, definition = form.text("syntax"), form.text("definition")
    return f"The input must match this {syntax or 'formal'} grammar:\n{definition}" if definition else ""


def read_choice(told: object, offered: Offered) -> ToolChoice | None:
    """The choice among the tools. What canon has no word for stands whole in its `vendor`."""
    if told is None:
        return None
    if isinstance(told, str):
        if told not in _MODES:
            raise bad("tool_choice", "must be none, auto, required or an object")
        return ToolChoice(_MODES[told])
    choice = Taken(told, "tool_choice")
    kind = required(choice, "type")
    if kind in _CALLED:
        return ToolChoice("required", (_named(choice, offered),))
    whole = dict(told) if isinstance(told, dict) else {}
    if kind != "allowed_tools":
        return ToolChoice("auto", vendor=whole)
    mode = choice.text("mode")
    if mode not in {"auto", "required"}:
        raise bad("tool_choice.mode", "must be auto or required")
    tools = [Taken(one, f"tool_choice.tools[{at}]") for at, one in enumerate(choice.items("tools"))]
    called = [tool for tool in tools if tool.text("type") in _CALLED]
    names = tuple(_named(tool, offered) for tool in called)
    return ToolChoice(_MODES[mode], names, vendor=whole if len(called) < len(tools) else {})


def _named(tool: Taken, offered: Offered) -> str:
    return offered.whole(tool.text(NAMESPACE), required(tool, "name"))
