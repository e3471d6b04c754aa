"""From written prices to those that are looked up."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.usage import Told, Usage
from trunkline.config.load import load
from trunkline.config.mistakes import ConfigError
from trunkline.config.prices import override, stored_override
from trunkline.config.schema_prices import PriceSpec
from trunkline.ledger.overrides import Override

MILLION = 1_000_000
BASE = {"providers": {"lab": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "none"}}}


def made(**written) -> Override:
    return override(PriceSpec.model_validate({"model": "m", **written}))


def test_a_part_that_is_not_written_costs_what_its_whole_does() -> None:
    """Who writes two prices has said what everything costs."""
    rate = made(input="2", output="8", cache_write_5m="3").period.rates[0]
    assert (rate.cache_read, rate.audio_input, rate.cache_write_1h) == (2 * 10**9, 2 * 10**9, 3 * 10**9)
    assert (rate.reasoning, rate.audio_output, rate.image, rate.image_output) == (8 * 10**9, 8 * 10**9, None, None)


def test_a_tier_changes_what_it_names() -> None:
    """The rest is as for short prompts, in whatever order tiers are written."""
    period = made(
        input="2", output="8", cache_read="0.5", tiers=[{"above": 300, "input": "9"}, {"above": 200, "input": "4"}]
    ).period
    assert [rate.above for rate in period.rates] == [0, 200, 300]
    assert period.cost(Usage(input=200)) == 200 * 2000
    assert period.cost(Usage(input=201, cache_read=1, output=1)) == 200 * 4000 + 500 + 8000
    assert period.rates[2].audio_input == 9 * 10**9


def test_what_is_paid_by_the_piece() -> None:
    """A fee of a cent is a cent, and a picture's price is that of a picture."""
    period = made(request="0.01", image="0.04", batch="50%", priority="200%").period
    assert period.cost(Usage(input=5, images=2)) == 90_000_000
    assert period.cost(Usage(input=5, images=2), Told(tier="batch")) == 45_000_000
    assert period.cost(Usage(input=5, images=2), Told(tier="priority")) == 180_000_000


@given(st.decimals(0, 10**6, places=9), st.integers(0, 10**6))
def test_a_price_is_what_was_written(dollars, tokens: int) -> None:
    """To the nano-dollar, whatever the digits."""
    nano = int(dollars * 10**9)
    assert made(input=f"{dollars:f}").period.cost(Usage(input=tokens)) == (nano * tokens + MILLION // 2) // MILLION


def test_what_the_store_has_is_read_the_same() -> None:
    """A price means the same wherever it is kept; one from a newer version is told, not guessed at."""
    assert stored_override({"model": "M*", "input": "2"}) == made(model="M*", input=2)
    with pytest.raises(ValueError, match=r"input: must be a number of dollars.*; soon: unknown field"):
        stored_override({"model": "m", "input": "x", "soon": 1})


def test_the_file_has_prices(tmp_path: Path) -> None:
    """They reach what runs; a provider that is none is a mistake with its line, and a misspelt one has a hint."""
    file = tmp_path / "trunkline.yaml"
    prices = [{"provider": "lab", "model": "a", "input": 1}, {"provider": "openai", "model": "a", "input": 1}]
    file.write_text(yaml.safe_dump(BASE | {"prices": prices}))
    assert [one.provider for one in load(file, {}).prices] == ["lab", "openai"]
    file.write_text(yaml.safe_dump(BASE) + "prices:\n  - {provider: lap, model: a, input: 1}\n  - {model: b, input: x}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert "prices[0].provider: there is no provider and no kind 'lap'; did you mean 'lab'?" in str(caught.value)
    assert "prices[1].input: must be a number of dollars" in str(caught.value)
    file.write_text(yaml.safe_dump(BASE | {"prices": [{"model": "a", "input": 1}, {"model": "A", "input": 2}]}))
    with pytest.raises(ConfigError, match=r"prices\[1\]: prices\[0\] is for the same"):
        load(file, {})
    file.write_text(yaml.safe_dump(BASE) + "prices:\n")
    assert load(file, {}).prices == ()
