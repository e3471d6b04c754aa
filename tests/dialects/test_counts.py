"""Numbers and text of a provider's usage."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.counts import MOST_TOKENS, count, input_alone, raw_text, read_count


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (0, 0),
        (7, 7),
        (MOST_TOKENS, MOST_TOKENS),
        (MOST_TOKENS + 1, None),
        (-1, None),
        (True, None),
        (7.0, None),
        ("7", None),
        (None, None),
        ({}, None),
    ],
)
def test_only_a_number_that_may_be_true_counts(told: object, found: int | None) -> None:
    """Nonsense from a provider would be charged to somebody."""
    assert count(told) == found
    assert type(count(told)) is not bool


def test_the_text_is_bounded() -> None:
    """It is stored with every record."""
    assert raw_text(b'{"a":1}') == '{"a":1}'
    assert raw_text(b"x" * 4096) == "x" * 4096
    assert raw_text(b"x" * 4097) == ""


def test_what_is_no_text_is_kept_as_far_as_it_goes() -> None:
    """A provider's broken bytes must not break the answer."""
    assert raw_text(b'{"a":"\xff"}') == '{"a":"\ufffd"}'


def test_an_answer_may_count_its_input_alone() -> None:
    """Embeddings have no output; without a number they are charged by a guess."""
    assert input_alone("n", 7) == (Usage(input=7, basis="reported"), '{"n":7}')
    assert input_alone("n", "7") == (NO_USAGE, "")


def test_an_answer_to_the_question_is_a_number() -> None:
    """Whatever stands beside it."""
    assert read_count(b'{"input_tokens":14,"new":1}') == 14


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":"7"}', b'{"input_tokens":-1}', b"[7]", b"<html>", b"[" * 5000])
def test_what_is_no_number_is_the_providers_fault(body: bytes) -> None:
    """A client that is told nonsense plans with it."""
    with pytest.raises(GatewayError) as caught:
        read_count(body)
    assert caught.value.kind is Kind.UPSTREAM_PROTOCOL
