"""Tools and the choice among them, written for a provider of the Responses API."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from trunkline.canon.chat import Chat, Json, Other, Tool
from trunkline.canon.facts import Facts
from trunkline.canon.loss import Loss
from trunkline.dialects.foreign import own_part
from trunkline.dialects.openai_responses.offered import Offered
from trunkline.dialects.openai_responses.words import ADDED, CUSTOM, NAME, NAMESPACE
from trunkline.dialects.openai_shape.settings import fit_name
from trunkline.dialects.parameters import may_choose

_EMPTY_SCHEMA = {"type": "object", "properties": {}}


class Tools:
    """Writes the tools of one request."""

    def __init__(self, chat: Chat, facts: Facts, loss: Loss) -> None:
        self._chat = chat
        self._facts = facts
        self._loss = loss
        self._own = chat.dialect == NAME
        self._among = _among(chat)

    def write(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The request's tools, and those that an item of its input adds. Raises what the loss does."""
        if self._chat.tools and not self._facts.tools:
            self._loss.drop("tools", "this model takes no tools")
            return [], []
        kept = [(at, tool) for at, tool in enumerate(self._chat.tools) if self._keeps(at, tool)]
        split: tuple[list[dict[str, Any]], list[dict[str, Any]]] = [], []
        for (added, _), group in groupby(kept, key=lambda pair: self._home(pair[1])):
            split[added].extend(self._grouped(list(group)))
        return split

    def renamed(self) -> dict[str, str]:
        """The provider's name of each tool whose own does not fit, to that."""
        told = (tool.name for tool in self._chat.tools if isinstance(tool, Tool) and not self._own)
        return {fit_name(name): name for name in told if fit_name(name) != name}

    def choice(self, *, thinking: bool) -> Any:
        """What is said of choosing; None for nothing. `thinking`: the model is asked to think."""
        choice = self._chat.tool_choice
        if choice is None or not may_choose(self._chat, self._facts, self._loss, thinking=thinking):
            return None
        whole = own_part(choice.vendor, self._chat, NAME, self._loss, "tool_choice")
        if whole:
            return whole
        offered = Offered(self._chat.tools if self._own else ())
        named = [self._named(name, offered) for name in choice.names]
        if choice.mode == "required" and len(named) == 1:
            return named[0]
        if named and self._own:
            return {"type": "allowed_tools", "mode": choice.mode, "tools": named}
        return choice.mode

    def _keeps(self, at: int, tool: Tool | Other) -> bool:
        if isinstance(tool, Other):
            if tool.dialect != NAME:
                self._loss.drop(f"tools[{at}]", "it is a tool of another provider's")
            return tool.dialect == NAME
        return not self._among or tool.name in self._among

    def _home(self, tool: Tool | Other) -> tuple[bool, str]:
        """Whether an item adds it, and in which namespace it stands."""
        if not self._own:
            return False, ""
        beside = _beside(tool)
        return bool(beside.get(ADDED)), beside[NAMESPACE]["name"] if NAMESPACE in beside else ""

    def _grouped(self, group: list[tuple[int, Tool | Other]]) -> list[dict[str, Any]]:
        """Tools of one namespace, in it; or those of none."""
        written = [self._tool(tool, f"tools[{at}]") for at, tool in group]
        space = _beside(group[0][1]).get(NAMESPACE) if self._own else None
        return [{**space, "tools": written}] if space else written

    def _tool(self, tool: Tool | Other, path: str) -> dict[str, Any]:
        if isinstance(tool, Other):
            return {name: value for name, value in tool.value.items() if name not in {ADDED, NAMESPACE}}
        vendor = dict(own_part(tool.vendor, self._chat, NAME, self._loss, path))
        if CUSTOM in vendor:
            return dict(vendor[CUSTOM])
        space = vendor.pop(NAMESPACE, None)
        vendor.pop(ADDED, None)
        name = tool.name.removeprefix(f"{space['name']}__") if space else tool.name if self._own else fit_name(tool.name)
        told: dict[str, Any] = {"type": "function", "name": name}
        if tool.description:
            told["description"] = tool.description
        if tool.parameters is not None or not self._own:
            told["parameters"] = tool.parameters if tool.parameters is not None else _EMPTY_SCHEMA
        if tool.strict is not None or not self._own:  # unsaid it would mean true here, and false where the client speaks
            told["strict"] = bool(tool.strict)
        if tool.cache:
            self._loss.note("cache_control")
        return {**told, **vendor}

    def _named(self, name: str, offered: Offered) -> dict[str, Any]:
        offer = offered.offer(name if self._own else fit_name(name))
        space = {NAMESPACE: offer.namespace} if offer.namespace else {}
        return {"type": CUSTOM if offer.custom else "function", "name": offer.name, **space}


def _beside(tool: Tool | Other) -> Json:
    """Where it stood: what `words` calls `ADDED` and `NAMESPACE`, under these names."""
    return tool.value if isinstance(tool, Other) else tool.vendor


def _among(chat: Chat) -> frozenset[str]:
    """Of a choice of some tools only these are sent: not every server has words for it. None where all are."""
    choice = chat.tool_choice
    if choice is None or chat.dialect == NAME or (choice.mode == "required" and len(choice.names) == 1):
        return frozenset()
    return frozenset(choice.names)
