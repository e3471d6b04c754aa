"""Whole answers: what they are instead, and what several used together."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.dialects.whole import Told, collected, decoded, total


class _Answer(Told, gc=False):
    data: list[int]


_decode = msgspec.json.Decoder(_Answer).decode


def test_an_answer_is_read() -> None:
    """The good case."""
    assert decoded(b'{"data":[1],"error":null}', _decode, "an answer").data == [1]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "The provider's answer is empty."),
        (b"<html>", "The provider's answer is not JSON."),
        (b'{"data":[1],"x":' + b"[" * 100_000, "The provider's answer is not JSON."),
        (b"{}", "The provider's answer is not an answer."),
        (b"[]", "The provider's answer is not an answer."),
        (b'{"data":[' + b"[" * 10_000, "The provider's answer is not an answer."),
    ],
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes, told: str) -> None:
    """A client sees a 502 that says what came, never a 500."""
    with pytest.raises(GatewayError) as raised:
        decoded(body, _decode, "an answer")
    assert (raised.value.kind, raised.value.message) == (Kind.UPSTREAM_PROTOCOL, told)


@pytest.mark.parametrize("body", [b'{"error":{"message":"no","code":429}}', b'{"data":[],"error":{"message":"no","code":429}}'])
def test_an_error_inside_a_good_status_is_an_error(body: bytes) -> None:
    """With the provider's own words, whatever stands beside it."""
    with pytest.raises(GatewayError) as raised:
        decoded(body, _decode, "an answer")
    assert (raised.value.status, raised.value.message) == (429, "no")


def test_usage_of_several() -> None:
    """What is charged for several requests is the sum; if one did not tell, the sum is not known."""
    one = (Usage(input=3, output=1, basis="reported"), '{"a":3}')
    assert total([one]) == one
    assert total([one, (one[0], "")]) == (Usage(input=6, output=2, basis="reported"), '[{"a":3},null]')
    assert total([one, (NO_USAGE, "")]) == (NO_USAGE, "")
    assert total([]) == (NO_USAGE, "")
    assert total([one] * 1000)[1] == ""


def test_several_answers_are_one() -> None:
    """Vectors out of order would belong to other texts."""
    used = Usage(input=1, basis="reported")
    found = collected([b"ab", b"", b"c"], lambda body: (body.decode(), (used, "1")))
    assert found == (("a", "b", "c"), Usage(input=3, basis="reported"), "[1,1,1]")
