"""The table of families."""

from __future__ import annotations

import pytest

from trunkline.dialects.table import DIALECTS, SPOKEN
from trunkline.dialects.tasks import TASKS


@pytest.mark.parametrize("word", TASKS)
def test_families_go_by_the_names_of_dialects(word: str) -> None:
    """A name that no dialect has would never be found, and its clients would be told that nobody can do it."""
    family = TASKS[word]
    assert set(family.clients) <= set(DIALECTS)
    assert set(family.providers) <= set(SPOKEN)
    assert family.noun
