"""Bodies that are held whole: any slicing, the same body, and what follows it untouched."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError
from trunkline.edge.held import Held
from trunkline.edge.limits import ServerLimits

LIMITS = ServerLimits(body_grace=10.0, body_min_rate=100.0)
CHUNKED = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\n"


@given(st.lists(st.integers(0, 60), max_size=8), st.sampled_from([(5, b"abcde"), (None, CHUNKED)]))
def test_any_slicing_tells_the_same(cuts: list[int], told: tuple[int | None, bytes]) -> None:
    """A body must not depend on its packets; the next request begins right behind it."""
    length, sent = told
    whole, body, rest = sent + NEXT, Held(length, 5, LIMITS, 0.0), None
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    for at, to in pairwise(edges):
        if rest is None:
            rest = body.feed(whole[at:to])
        else:
            rest += whole[at:to]
    assert (body.take(), rest) == (b"abcde", NEXT)


def test_an_empty_body_is_whole_at_once() -> None:
    """Nothing of it will ever arrive."""
    body = Held(0, 5, LIMITS, 0.0)
    assert (body.feed(b""), body.take()) == (b"", b"")


@pytest.mark.parametrize(("sent", "status", "code"), [(b"6\r\n", 413, "too_large"), (b"x\r\n", 400, "bad_http")])
def test_chunks_that_cannot_be_taken(sent: bytes, status: int, code: str) -> None:
    """Too long in all, or open to two readings: said as soon as it is seen."""
    with pytest.raises(GatewayError) as caught:
        Held(None, 5, LIMITS, 0.0).feed(sent)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize(("length", "sent"), [(500, b"x" * 100), (None, b"64\r\n" + b"x" * 100)])
def test_a_slow_body(length: int | None, sent: bytes) -> None:
    """Counted by what arrived, from when its head was in."""
    body = Held(length, 500, LIMITS, 1000.0)
    assert not body.too_slow(1009.9)
    assert body.too_slow(1010.0), "nothing at all"
    body.feed(sent)
    assert not body.too_slow(1011.0)
    assert body.too_slow(1011.1)
