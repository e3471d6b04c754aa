"""The table of dialects, and that each has all that the interface names."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.dialects.dialect import Ask, Dialect, Frame, ProviderDialect, Reader, Tap, Writer
from trunkline.dialects.table import DIALECTS, SPOKEN

ASK = Ask({}, "m", stream=True, include_usage=True)


def test_dialects_are_found_by_their_own_name() -> None:
    """Configuration and ledger name dialects; a row under another name would never be found again."""
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}
    assert list(DIALECTS) == ["openai_chat", "anthropic", "gemini", "ollama", "openai_responses", "openai_completions"]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_dialect_has_every_part(dialect: Dialect) -> None:
    """A part left out would be an AttributeError in the middle of someone's request."""
    parts: list[tuple[Any, type]] = [
        (dialect, Dialect),
        (dialect.tap(ASK, hide_usage=False), Tap),
        (dialect.reader("seed"), Reader),
        (dialect.writer(Frame(ASK, "id", 0)), Writer),
    ]
    for whole, interface in parts:
        names = {*vars(interface), *getattr(interface, "__annotations__", {})}
        assert [name for name in names if not name.startswith("_") and not hasattr(whole, name)] == []


def test_what_only_providers_speak_has_all_that_it_takes_to_reach_one() -> None:
    """Such a dialect has no clients, so nothing else would notice that a part is missing."""
    assert SPOKEN.keys() >= DIALECTS.keys() | {"bedrock"}
    for name, dialect in SPOKEN.items():
        assert name == dialect.name
        parts: list[tuple[Any, type]] = [(dialect, ProviderDialect), (dialect.reader("seed"), Reader)]
        for whole, interface in parts:
            names = {*vars(interface), *getattr(interface, "__annotations__", {})}
            assert [name for name in names if not name.startswith("_") and not hasattr(whole, name)] == []
