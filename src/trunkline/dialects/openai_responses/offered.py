"""The tools that a client offered, as it calls them: canon knows a tool by one name, this API by a namespace and a name in it.

How a tool itself is read belongs in `read_tools`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trunkline.canon.chat import Other, Tool
from trunkline.dialects.openai_responses.words import CUSTOM, NAMESPACE, folded


class Offer(NamedTuple):
    """One tool. `namespace` is empty for one that stands alone; `custom`: it is given a text."""

    namespace: str
    name: str
    custom: bool = False


class Offered:
    """The tools of one request."""

    def __init__(self, tools: Iterable[Tool | Other]) -> None:
        self._offers: dict[str, Offer] = {}
        self._bare: dict[str, str] = {}
        """A name inside a namespace to the whole one; to nothing where it stands in several."""
        for tool in tools:
            if isinstance(tool, Tool):
                self._add(tool)

    def offer(self, called: str) -> Offer:
        """The tool that a model calls so; a name that nobody offered stays what it is."""
        whole = self.whole("", called)
        return self._offers.get(whole) or Offer("", whole)

    def whole(self, namespace: str, name: str) -> str:
        """Canon's name for a tool. Models and clients leave a namespace out: it is known where the name stands only once."""
        return folded(namespace, name) if namespace or name in self._offers else self._bare.get(name) or name

    def _add(self, tool: Tool) -> None:
        told = tool.vendor.get(NAMESPACE)
        namespace = told["name"] if told else ""
        name = tool.name.removeprefix(folded(namespace, "")) if namespace else tool.name
        self._offers[tool.name] = Offer(namespace, name, CUSTOM in tool.vendor)
        if namespace:
            self._bare[name] = "" if name in self._bare else tool.name
