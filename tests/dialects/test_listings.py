"""How providers list their models."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.listings import LISTINGS
from trunkline.dialects.table import SPOKEN


@pytest.mark.parametrize(
    ("dialect", "body", "models"),
    [
        ("openai_chat", b'{"object":"list","data":[{"id":"b"},{"id":"a"}]}', ("b", "a")),
        ("openai_chat", b'[{"id":"a"}]', ("a",)),
        ("openai_chat", b'{"data":[{"id":1},"x",{}]}', ()),
        ("openai_chat", b'{"data":[{"id":"a\\u001b[2J"},{"id":"b"}]}', ("b",)),
        ("anthropic", b'{"data":[{"type":"model","id":"claude-x"}],"has_more":false}', ("claude-x",)),
        ("gemini", b'{"models":[{"name":"models/gemini-x"},{"name":"tunedModels/y"}]}', ("gemini-x", "tunedModels/y")),
        ("ollama", b'{"models":[{"name":"tiny:latest","model":"tiny:latest"}]}', ("tiny:latest",)),
        ("cohere", b'{"models":[{"name":"command-x"}]}', ("command-x",)),
    ],
)
def test_the_names_of_a_list(dialect: str, body: bytes, models: tuple[str, ...]) -> None:
    """A person would be told that a provider has no models, or names that it does not know."""
    assert LISTINGS[dialect].read(body) == models


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":{}}', b"[" * 100_000])
def test_what_is_no_list(body: bytes) -> None:
    """A web page at a wrong address would pass for a provider without models."""
    with pytest.raises(GatewayError) as caught:
        LISTINGS["openai_chat"].read(body)
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL


def test_a_list_is_asked_for_with_a_get() -> None:
    """A provider would answer 405."""
    assert {listing.ask().method for listing in LISTINGS.values()} == {"GET"}
    assert set(LISTINGS) - {"openai_responses", "openai_completions", "cohere"} <= set(SPOKEN)
