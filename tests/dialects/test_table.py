"""The table of dialects, and that each has all that the interface names."""

from __future__ import annotations

import pytest

from trunkline.dialects.dialect import Dialect, Tap
from trunkline.dialects.table import DIALECTS


def test_dialects_are_found_by_their_own_name() -> None:
    """Configuration and ledger name dialects; a row under another name would never be found again."""
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {"openai_chat": "openai_chat"}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_every_dialect_has_every_part(dialect: Dialect) -> None:
    """A part left out would be an AttributeError in the middle of someone's request."""
    for whole, interface in ((dialect, Dialect), (dialect.tap(hide_usage=False), Tap)):
        names = {*vars(interface), *interface.__annotations__}
        assert [name for name in names if not name.startswith("_") and not hasattr(whole, name)] == []
