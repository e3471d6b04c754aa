"""Usage of a stream, asked for by the client or by us."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.canon.errors import GatewayError
from trunkline.dialects.openai_shape.options import asking_usage, asks_usage
from trunkline.dialects.shallow import encode, fields


@pytest.mark.parametrize(
    ("told", "asks"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {}}, False),
        ({"stream_options": {"include_usage": None}}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_who_asks(told: dict[str, Any], asks: bool) -> None:
    """A client that did not ask must not see a chunk that it does not expect; one that did waits for it."""
    found = fields(json.dumps(told).encode())
    assert asks_usage(found) is asks
    assert asks_usage(asking_usage(found)) is True


def test_the_rest_stays() -> None:
    """Other options, and everything else, byte for byte."""
    body = b'{"stream_options":{"x": 1.0},"y":[ 1 ]}'
    assert encode(asking_usage(fields(body))) == b'{"stream_options":{"x":1.0,"include_usage":true},"y":[ 1 ]}'


@pytest.mark.parametrize(("told", "param"), [(5, "stream_options"), ({"include_usage": 1}, "stream_options.include_usage")])
def test_what_is_wrong_is_named(told: Any, param: str) -> None:
    """The caller must know which field to mend."""
    with pytest.raises(GatewayError) as caught:
        asks_usage(fields(json.dumps({"stream_options": told}).encode()))
    assert caught.value.param == param
