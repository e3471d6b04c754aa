"""An exchange begins with what is in force now, and nothing has happened to it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pipeline.by_hand import by_hand
from pipeline.inside import EPOCH_NS, Inside
from trunkline.canon.usage import NO_USAGE


def test_a_fresh_exchange(inside: Inside) -> None:
    """What is not known yet must not look like something that happened: it would be settled as such."""
    exchange, _ = by_hand(inside, extra=b"a: b\r\n")
    assert exchange.started_ns == EPOCH_NS
    assert exchange.snapshot is inside.parts.live.snapshot
    assert exchange.extra == b"a: b\r\n"
    assert (exchange.ask, exchange.target, exchange.ticket, exchange.tap, exchange.error) == (None,) * 5
    assert (exchange.usage, exchange.cost_nano, exchange.first_byte, exchange.sent) == (NO_USAGE, None, 0.0, False)


def test_ids_differ(inside: Inside) -> None:
    """Two requests with one id would be one row."""
    assert by_hand(inside)[0].id != by_hand(inside)[0].id


def test_no_typing_mistake_makes_an_attribute(inside: Inside) -> None:
    """State that nobody reads is a bug that nobody sees; and slots keep an exchange small."""
    with pytest.raises(AttributeError):
        by_hand(inside)[0].finsh = "stop"  # type: ignore[attr-defined]


def test_the_parts_are_fixed(inside: Inside) -> None:
    """Only what is in `Live` may be swapped while requests run."""
    with pytest.raises(FrozenInstanceError):
        inside.parts.live = inside.parts.live  # type: ignore[misc]
