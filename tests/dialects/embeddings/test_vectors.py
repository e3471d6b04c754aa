"""Vectors in two spellings."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.embeddings import Embed, Embeddings, Item
from trunkline.canon.errors import GatewayError, Kind
from trunkline.dialects.embeddings.vectors import matched, pack, unpack


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_there_and_back(vector: list[float]) -> None:
    """An SDK that asks for base64 must get the numbers that the provider made."""
    assert unpack(pack(vector)) == vector


def test_the_bytes_are_those_that_sdks_read() -> None:
    """Little-endian, 32 bits: what numpy's frombuffer and JavaScript's Float32Array take."""
    assert base64.b64decode(pack([1.0, -2.5])) == b"\x00\x00\x80\x3f\x00\x00\x20\xc0"


def _b64(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize("text", ["!", "AAA=", "AAAAAAA=", "\u00e9", _b64(float("nan")), _b64(1.0, float("inf"))])
def test_what_are_no_vectors_is_the_providers_fault(text: str) -> None:
    """Neither a 500 nor a vector of nonsense."""
    with pytest.raises(GatewayError) as raised:
        unpack(text)
    assert raised.value.kind is Kind.UPSTREAM_PROTOCOL


def test_a_number_too_large_for_32_bits_is_the_providers_fault() -> None:
    """As above."""
    with pytest.raises(GatewayError):
        pack([1e39])


def test_each_input_has_its_vector() -> None:
    """A vector filed under another text spoils an index for good."""
    asked = Embed("m", (Item(("a",)), Item(("b",))))
    assert matched(Embeddings(([1.0], [2.0])), asked) == ([1.0], [2.0])
    with pytest.raises(GatewayError, match="2 inputs with 1 vectors"):
        matched(Embeddings(([1.0],)), asked)
