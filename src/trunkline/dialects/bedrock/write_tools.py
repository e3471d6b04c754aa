"""Tools and their choice, written as `toolConfig`."""

from __future__ import annotations

from typing import Any

from trunkline.canon.chat import Chat, Other, Tool
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.bedrock.words import NAME, fit_name
from trunkline.dialects.bedrock.write_blocks import Block, Blocks
from trunkline.dialects.closed import subset
from trunkline.dialects.foreign import own_part
from trunkline.dialects.parameters import may_choose

_ANY: dict[str, Any] = {"type": "object"}


class Tools:
    """The tools of one request. `names`: those that go by another name, its name there to the client's."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self.names: dict[str, str] = {}

    def write(self, called: list[str], *, thinking: bool) -> dict[str, Any]:
        """The `toolConfig`, empty for none. `called`: the tools that the history calls."""
        chat, facts, loss = self._chat, self._facts, self._loss
        if chat.tools and not facts.tools:
            loss.drop("tools", "this model takes no tools")
            return {}
        choice = chat.tool_choice
        none = choice is not None and choice.mode == "none"
        if none and not called:
            return {}
        if none and chat.tools:
            loss.drop("tool_choice", "Bedrock's API cannot keep a model from tools that its history calls")
        if chat.parallel_tools is False and chat.tools:
            loss.drop("parallel_tool_calls", "Bedrock's API cannot ask for one call at a time")
        offered = self._tools()
        # Bedrock reads no history with calls unless tools are declared: where there are none, those that were called.
        tools = offered or [{"toolSpec": {"name": name, "inputSchema": {"json": _ANY}}} for name in called]
        if not tools:
            return {}
        config: dict[str, Any] = {"tools": tools}
        if choice is not None:
            own_part(choice.vendor, chat, NAME, loss, "tool_choice")
            if offered and choice.mode == "required" and may_choose(chat, facts, loss, thinking=thinking):
                one = choice.names[0] if len(choice.names) == 1 else ""
                config["toolChoice"] = {"tool": {"name": fit_name(one)}} if one else {"any": {}}
        return config

    def _tools(self) -> list[Block]:
        """The tools; of a choice of several only these, as Bedrock can name one or none."""
        blocks = Blocks(self._chat, self._facts, self._loss)
        choice = self._chat.tool_choice
        several = choice is not None and choice.names and (choice.mode != "required" or len(choice.names) > 1)
        allowed = frozenset(choice.names) if choice is not None and several else None
        written: list[Block] = []
        for at, tool in enumerate(self._chat.tools):
            if isinstance(tool, Other):
                self._loss.drop(f"tools[{at}]", "it is a tool of another provider's")
            elif allowed is None or tool.name in allowed:
                own_part(tool.vendor, self._chat, NAME, self._loss, f"tools[{at}]")
                written.append({"toolSpec": self._tool(tool, at)})
                written += blocks.mark(tool.cache, "tools")
        return written

    def _tool(self, tool: Tool, at: int) -> dict[str, Any]:
        name = fit_name(tool.name)
        if name != tool.name:
            self.names[name] = tool.name
        schema: dict[str, Any] = dict(tool.parameters or {"type": "object", "properties": {}})
        schema.setdefault("type", "object")
        told: dict[str, Any] = {"name": name}
        if tool.description.strip():
            told["description"] = tool.description
        strict = bool(tool.strict) and self._facts.schema
        if tool.strict and not strict:
            self._loss.note(f"tools[{at}].strict")
        told["inputSchema"] = {"json": subset(schema) if strict else schema}
        if strict:
            told["strict"] = True
        return told
