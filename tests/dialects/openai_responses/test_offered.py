"""A tool by the name that a model calls it."""

from __future__ import annotations

import pytest

from trunkline.canon.chat import Other, Tool
from trunkline.dialects.openai_responses.offered import Offer, Offered


def tool(name: str, namespace: str = "", *, custom: bool = False) -> Tool:
    """As `read_tools` makes one."""
    return Tool(
        name, vendor={**({"namespace": {"name": namespace}} if namespace else {}), **({"custom": {}} if custom else {})}
    )


OFFERED = Offered(
    [
        tool("look"),
        tool("patch", custom=True),
        tool("a__spawn", "a"),
        tool("a__wait", "a"),
        tool("b__wait", "b"),
        tool("b__look", "b"),
        tool("f__exec", "f", custom=True),
        Other("openai_responses", {"type": "web_search"}),
    ]
)


@pytest.mark.parametrize(
    ("called", "offer"),
    [
        ("look", Offer("", "look")),
        ("patch", Offer("", "patch", custom=True)),
        ("a__spawn", Offer("a", "spawn")),
        ("spawn", Offer("a", "spawn")),
        ("b__look", Offer("b", "look")),
        ("exec", Offer("f", "exec", custom=True)),
        ("wait", Offer("", "wait")),
        ("nobody", Offer("", "nobody")),
        ("a__nobody", Offer("", "a__nobody")),
    ],
)
def test_a_call_finds_its_tool(called: str, offer: Offer) -> None:
    """Models leave a namespace out, which is known where the name stands once; a client finds no tool by the wrong one."""
    assert OFFERED.offer(called) == offer


def test_a_call_in_a_history_has_its_tools_name() -> None:
    """Else a provider would see a call of a tool that it was never told of."""
    assert OFFERED.whole("a", "wait") == "a__wait"
    assert OFFERED.whole("", "spawn") == "a__spawn"
    assert OFFERED.whole("gone", "wait") == "gone__wait"
