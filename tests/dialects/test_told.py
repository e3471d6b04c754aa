"""What a usage object tells beside its counts."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.recordings import parameters, recordings
from trunkline.canon.usage import NOTHING_TOLD, Told
from trunkline.dialects.dialect import Ask
from trunkline.dialects.openai_chat.tap import ChatTap
from trunkline.dialects.openai_responses.reply import read_reply as read_response
from trunkline.dialects.openai_responses.tap import tap as responses_tap
from trunkline.dialects.openai_shape.reply import read_reply
from trunkline.dialects.told import MOST_NANO, read_told, tier_of, with_tier


@pytest.mark.parametrize(
    ("raw", "nano"),
    [
        ('{"cost":0.0076509169000000005,"is_byok":false}', 7_650_917),
        ('{"cost":1e-7}', 100),
        ('{"cost":5e-10}', 1),
        ('{"cost":4.9e-10}', 0),
        ('{"cost":3}', 3_000_000_000),
        ('{"cost":0}', 0),
        ('{"cost":0.1,"is_byok":true,"cost_details":{"upstream_inference_cost":0.25}}', 350_000_000),
        ('{"cost":0.1,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}', 100_000_000),
        ('{"cost":0.1,"is_byok":true,"cost_details":[]}', 100_000_000),
        ('{"cost":0.1,"is_byok":false,"cost_details":{"upstream_inference_cost":0.1}}', 100_000_000),
        ('{"cost":{"total_cost":0.00619,"request_cost":0.006}}', 6_190_000),
        ('{"cost":{"request_cost":0.006}}', None),
        ('{"cost_in_usd_ticks":1160000}', 116_000),
        ('{"cost_in_usd_ticks":15}', 2),
        ('{"cost_in_usd_ticks":0}', None),
        ('{"cost_in_usd_ticks":"7"}', None),
        ('{"cost":true}', None),
        ('{"cost":"0.1"}', None),
        ('{"cost":-0.1}', None),
        ('{"cost":1e400}', None),
        ('{"cost":1e99999999999999999999}', None),
        ('{"cost":1e-99999999999999999999}', None),
        ('{"cost":NaN}', None),
        ('{"cost":1000000.1}', None),
        ('{"cost":999999,"is_byok":true,"cost_details":{"upstream_inference_cost":2}}', None),
        ('[{"cost":1},{"cost":2}]', 3_000_000_000),
        ('[{"cost":1},null]', None),
        ('[{"cost":1},{"tokens":1}]', None),
        ('[]"cost"', None),
        ('"cost"', None),
        ("", None),
    ],
)
def test_what_a_provider_says_it_costs(raw: str, nano: int | None) -> None:
    """It stands beside our own price, and instead of it where we have none: a wrong one is a wrong bill."""
    assert read_told(raw).cost_nano == nano


@given(st.decimals(min_value=0, max_value=10**6 - 1, allow_nan=False, places=12))
def test_dollars_are_exact(dollars: Decimal) -> None:
    """No amount goes through a binary float: nano-dollars that are lost add up."""
    exact = int((dollars * 10**9).to_integral_value(ROUND_HALF_UP))
    assert read_told(f'{{"cost":{dollars:f}}}').cost_nano == exact <= MOST_NANO


_NAMES = st.sampled_from(
    ["cost", "total_cost", "is_byok", "cost_details", "cost_in_usd_ticks", "service_tier", "input_tokens_details",
     "candidatesTokensDetails", "modality", "tokenCount", "image_tokens"],
)  # fmt: skip
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.recursive(_LEAVES, lambda some: st.lists(some) | st.dictionaries(_NAMES, some), max_leaves=8))
def test_nothing_that_is_told_breaks_the_books(value: object) -> None:
    """A provider may write anything there; the request is accounted for all the same."""
    told = read_told(json.dumps(value))
    assert told.cost_nano is None or 0 <= told.cost_nano <= MOST_NANO
    assert told.image_input >= 0 <= told.image_output


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ('{"service_tier":"batch"}', Told(tier="batch")),
        ('{"service_tier":"standard"}', NOTHING_TOLD),
        ('{"service_tier":null}', NOTHING_TOLD),
        ('{"service_tier":"a b"}', NOTHING_TOLD),
        ('[{"service_tier":"flex"},{"service_tier":"flex"}]', Told(tier="flex")),
        ('[{"service_tier":"flex"},{"service_tier":"batch"}]', NOTHING_TOLD),
        ('{"input_tokens_details":{"image_tokens":7},"output_tokens_details":{"image_tokens":9}}', Told(None, "", 7, 9)),
        ('{"input_tokens_details":{"image_tokens":-7}}', NOTHING_TOLD),
        (
            json.dumps(
                {
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}, {"modality": "IMAGE", "tokenCount": 258}],
                    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}, 5, {"modality": "IMAGE"}],
                }
            ),
            Told(None, "", 258, 1290),
        ),
        ('{"prompt_tokens":5}', NOTHING_TOLD),
    ],
)
def test_how_it_was_served_and_what_was_pictures(raw: str, told: Told) -> None:
    """Both have prices of their own."""
    assert read_told(raw) == told


@pytest.mark.parametrize(
    ("raw", "tier", "kept"),
    [
        ('{"prompt_tokens":5}', "flex", '{"service_tier":"flex","prompt_tokens":5}'),
        ('{"prompt_tokens":5}', "default", '{"prompt_tokens":5}'),
        ('{"prompt_tokens":5}', None, '{"prompt_tokens":5}'),
        ('{"prompt_tokens":5}', 'a"b', '{"prompt_tokens":5}'),
        ("{}", "flex", "{}"),
        ("", "flex", ""),
    ],
)
def test_a_tier_that_stands_beside_the_usage_is_kept_with_it(raw: str, tier: object, kept: str) -> None:
    """OpenAI says it so; the ledger keeps only the usage, and must be able to price it anew."""
    assert with_tier(raw, tier) == kept
    assert read_told(kept).tier == (tier_of(tier) if kept != raw else "")


def test_a_stream_tells_its_tier() -> None:
    """Flex costs half: booked as usual, a month would be off by as much."""
    tap = ChatTap(hide_usage=False)
    tap.feed(b'data: {"choices":[],"service_tier":"flex","usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n')
    assert read_told(tap.raw_usage).tier == "flex"
    whole = read_reply(b'{"choices":[],"service_tier":"flex","usage":{"prompt_tokens":3,"completion_tokens":2}}')
    assert read_told(whole.raw_usage).tier == "flex"


COSTS = [one for name in ("openai.chat", "openai.responses") for one in recordings(name)
         if re.search(rb'"cost(_in_usd_ticks)?"\s*:\s*[{\d]', one.body) and one.status == 200]  # fmt: skip


@pytest.mark.parametrize("recording", parameters(COSTS))
def test_recorded_costs_are_found(recording) -> None:
    """OpenRouter, xAI and Perplexity tell what a request costs, whole and at the end of a stream."""
    chat = recording.endpoint == "openai.chat"
    if recording.streamed:
        tap = (
            ChatTap(hide_usage=False)
            if chat
            else responses_tap(Ask({}, "m", stream=True, include_usage=True), hide_usage=False)
        )
        tap.feed(recording.body)
        raw = tap.raw_usage
    else:
        raw = (read_reply if chat else read_response)(recording.body).raw_usage
    cost = read_told(raw).cost_nano
    assert cost is None if re.search(rb'_ticks":\s*0\b', recording.body) else cost
