"""Questions and answers about vectors, as values."""

from __future__ import annotations

from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.usage import NO_USAGE


def test_what_was_not_said_is_nothing() -> None:
    """A provider must not be told what no client asked for."""
    asked = Embed("m", (Item(("hello",)),))
    assert (asked.dimensions, asked.purpose, asked.truncate, asked.base64, asked.extras) == (None, "", None, False, ())


def test_an_answer_without_usage_says_so() -> None:
    """The ledger estimates only where nothing was told."""
    assert Embeddings(([1.0],)).usage == NO_USAGE
