"""Events that are too long to be held."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.openai_responses.told import PICTURE, USAGE, ended
from trunkline.dialects.openai_responses.skim import Skim

TOOLS = [{"type": "function", "parameters": {"properties": {"usage": {"type": "string"}}}}]
LONG = ended({**PICTURE, "result": "A" * 20_000}, tools=TOOLS)


def skimmed(pieces: list[bytes]) -> Skim:
    """What was seen of an event that came so."""
    skim = Skim()
    for piece in pieces:
        skim.take(piece)
    return skim


@given(st.lists(st.integers(0, len(LONG)), max_size=8))
def test_a_name_and_a_usage_are_found_in_any_pieces(cuts: list[int]) -> None:
    """A picture of megabytes must not cost the end of the answer, nor its bill."""
    at = [0, *sorted(cuts), len(LONG)]
    skim = skimmed([LONG[start:end] for start, end in pairwise(at)])
    assert skim.name == "response.completed"
    assert json.loads(bytes(skim.usage)) == USAGE


@pytest.mark.parametrize(
    ("data", "name", "usage"),
    [
        (b'data: {"type":"response.completed","x":1,"usage":{"input_tokens":1,"a":{"b":"}"}}', "response.completed",
         b'{"input_tokens":1,"a":{"b":"}"}}'),
        (b"data: {}", "", b""),
        (b'event: error\ndata: {"usage":{"a":', "error", b""),
        (b'"text":"\\"usage\\":{\\"input_tokens\\":1}"', "", b""),
        (b'"usage":{"input_tokens":1}' + b"x" * 9000 + b'"usage": { "total_tokens":2}', "", b'{ "total_tokens":2}'),
        (b'"usage":{"input_tokens":"' + b"x" * 9000 + b'"}', "", b""),
        (b'"usage":{"input_tokens":"\xff"}', "", '{"input_tokens":"�"}'.encode()),
    ],
)  # fmt: skip
def test_what_is_found(data: bytes, name: str, usage: bytes) -> None:
    """The last key counts, not a text that looks like one; a cut-off object is none."""
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))], [data[:7], data[7:]]):
        skim = skimmed(pieces)
        assert (skim.name, bytes(skim.usage)) == (name, usage)
