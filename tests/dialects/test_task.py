"""Who has a family."""

from __future__ import annotations

from typing import Any

from trunkline.dialects.task import Family


def test_a_dialect_has_a_family_where_either_side_speaks_it() -> None:
    """A provider that is only asked in its clients' own bytes has it too."""
    side: Any = object()
    family: Family[Any, Any] = Family("things", {"a": side}, {"b": side})
    assert [family.spoken(name) for name in ("a", "b", "c")] == [True, True, False]
