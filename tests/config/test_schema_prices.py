"""What a person may write of a price."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trunkline.config.schema_prices import PriceSpec, TierSpec


def test_dollars_are_read_exactly() -> None:
    """0.1 of a dollar has no binary float; a bill must not have its rest."""
    spec = PriceSpec.model_validate({"model": "m", "input": "0.1", "output": "$12.000000001", "request": 0.01, "batch": "50%"})
    assert (spec.input, spec.output, spec.request, spec.batch) == (100_000_000, 12_000_000_001, 10_000_000, 500_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"model": "m"},
        {"input": "1"},
        {"model": "m", "batch": "50%"},
        {"model": "m", "input": "-1"},
        {"model": "m", "input": "1e-3"},
        {"model": "m", "input": "0.0000000001"},
        {"model": "m", "input": "1", "since": "2026-01-01"},
        {"model": "m", "input": "1", "tiers": [{"input": "2"}]},
        {"model": "m", "input": "1", "tiers": [{"above": 5}]},
        {"model": "m", "input": "1", "tiers": [{"above": 5, "input": "2"}, {"above": 5, "input": "3"}]},
    ],
)
def test_what_is_no_price(wrong: dict[str, object]) -> None:
    """A price that means nothing, or something else than was meant, must not be taken in silence."""
    with pytest.raises(ValidationError):
        PriceSpec.model_validate(wrong)


def test_what_is_left_blank() -> None:
    """An empty list of tiers is none."""
    spec = PriceSpec.model_validate({"model": "m", "input": "1", "tiers": None, "from": "2026-12-01"})
    assert spec.tiers == []
    assert spec.since == 1_796_083_200 * 10**9
    assert TierSpec.model_validate({"above": 5, "output": 1}).input is None
