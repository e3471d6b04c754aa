"""How many tokens a request has."""

from __future__ import annotations

import json

import pytest

from dialects.openai_responses.asking import LOOK, chat
from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.facts import NO_FACTS
from trunkline.dialects.openai_responses.count import read_count, write_count, write_count_answer


def test_only_what_is_in_the_prompt_is_counted() -> None:
    """The provider refuses fields that have no part in it."""
    asked = chat({"role": "user", "content": "hi"}, tools=[LOOK], max_output_tokens=5, store=True, temperature=0.5, stream=True)
    sent = write_count(asked, "m", NO_FACTS)
    assert sent is not None
    assert sent.path == "/responses/input_tokens"
    assert json.loads(sent.body).keys() == {"model", "input", "tools"}


def test_a_count_is_read_and_told() -> None:
    """In the same form."""
    assert read_count(write_count_answer(7)) == 7


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"input_tokens":"7"}', b'{"input_tokens":-1}', b"[" * 5000])
def test_what_is_no_count_is_the_providers_fault(body: bytes) -> None:
    """Never a number that somebody plans with."""
    with pytest.raises(GatewayError) as caught:
        read_count(body)
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL
