"""Words that are the same everywhere."""

from __future__ import annotations

from trunkline.dialects.openai_completions import words
from trunkline.dialects.table import DIALECTS


def test_the_name_is_the_folders() -> None:
    """Configuration, catalogue and ledger find the dialect by it."""
    assert DIALECTS[words.NAME].name == words.__name__.split(".")[-2]
    assert words.USUAL_TOKENS == 16
