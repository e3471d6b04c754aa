"""What models cost: the bundled list, how a model is found in it, and the sums, by hand."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.usage import Usage
from trunkline.ledger.prices import MAX_NAME, MAX_REMEMBERED, Entry, Period, Price, PriceList, Prices, Rate, Rule

ROOT = Path(__file__).parents[2]
BUNDLED = Prices.load()
NOON = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()) * 10**9
MILLION = 1_000_000


def _dollars(kind, model, at_ns=NOON, **usage):
    price = BUNDLED.find(kind, model)
    return None if price is None else price.cost(Usage(**usage), at_ns) / 10**9


@pytest.mark.parametrize(
    ("kind", "model", "usage", "dollars"),
    [
        # $2 in, $0.50 cached, $8 out
        ("openai", "gpt-4.1", {"input": MILLION}, 2.0),
        ("openai", "gpt-4.1", {"output": MILLION}, 8.0),
        ("openai", "gpt-4.1", {"input": 1000, "cache_read": 400, "output": 500, "reasoning": 300}, 0.0012 + 0.0002 + 0.004),
        ("openai", "GPT-4.1-2025-04-14", {"input": MILLION}, 2.0),
        ("openai", "gpt-4.1-20250414", {"input": MILLION}, 2.0),
        # $3 in, $15 out, $0.30 cached, $3.75 and $6 written; above 200,000 tokens of prompt $6, $22.50
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            {"input": 10_000, "cache_read": 4000, "cache_write_5m": 2000, "cache_write_1h": 1000, "output": 100},
            3000 * 3e-6 + 4000 * 0.3e-6 + 2000 * 3.75e-6 + 1000 * 6e-6 + 100 * 15e-6,
        ),
        ("anthropic", "claude-sonnet-4-5", {"input": 200_000, "output": 1000}, 0.6 + 0.015),
        ("anthropic", "claude-sonnet-4-5", {"input": 200_001, "output": 1000}, 1.200006 + 0.0225),
        # $0.30 in, $1 for audio, $2.50 out
        ("gemini", "gemini-2.5-flash", {"input": 1000, "audio_input": 400, "output": 10}, 600 * 0.3e-6 + 400e-6 + 10 * 2.5e-6),
        # $1 in, $1 out, $12 for a thousand requests
        ("perplexity", "sonar", {"input": 1000, "output": 1000}, 0.001 + 0.001 + 0.012),
        ("groq", "openai/gpt-oss-20b", {"input": 1000, "output": 1000}, 0.000075 + 0.0003),
        ("echo", "anything", {"input": MILLION, "output": MILLION}, 0),
        ("ollama", "llama3.2:1b", {"input": MILLION}, 0),
        ("openai", "gpt-of-tomorrow", {"input": MILLION}, None),
        ("openai", "whisper-1", {"input": MILLION}, None),
        ("blackbox", "gpt-4.1", {"input": MILLION}, None),
        ("openai", "x" * (MAX_NAME + 1), {}, None),
    ],
)
def test_known_models_cost_what_their_makers_say(kind, model, usage, dollars):
    """A bill that is wrong is worse than none; computed here by hand from the public price pages."""
    assert _dollars(kind, model, **usage) == (None if dollars is None else pytest.approx(dollars, abs=5e-10))


def test_prices_change_with_the_hour_and_the_date():
    """DeepSeek is dearer by day; a price that is announced holds from its day on."""
    cheap = int(datetime(2025, 6, 1, 20, tzinfo=UTC).timestamp()) * 10**9
    dear = int(datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()) * 10**9
    assert _dollars("deepseek", "deepseek-chat", cheap, input=MILLION) == 0.135
    assert _dollars("deepseek", "deepseek-chat", dear, input=MILLION) == 0.27
    before = int(datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC).timestamp()) * 10**9
    assert _dollars("anthropic", "claude-sonnet-4-6", before, input=300_000) == 1.8
    assert _dollars("anthropic", "claude-sonnet-4-6", before + 10**9, input=300_000) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("daily", "hour", "holds"),
    [
        (None, 5, True),
        ((3600, 7200), 1, True),
        ((3600, 7200), 2, False),
        ((79200, 3600), 23, True),
        ((79200, 3600), 0, True),
        ((79200, 3600), 1, False),
        ((79200, 3600), 12, False),
    ],
)
def test_hours_may_span_midnight(daily, hour, holds):
    """An off-peak rate from 22:00 to 01:00 is one rate."""
    assert Period((Rate(),), 0, daily).holds(hour * 3600 * 10**9) is holds


def test_the_first_period_counts_where_none_holds():
    """A request from before the list began has a price too."""
    price = Price((Period((Rate(input=MILLION),), since_ns=100), Period((Rate(input=2 * MILLION),), since_ns=200)))
    assert [price.cost(Usage(input=1), at) for at in (50, 150, 250)] == [1, 1, 2]


@pytest.mark.parametrize(("rate", "nano"), [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)])
def test_cost_is_rounded_once_half_up(rate, nano):
    """Cents that vanish by rounding add up over a million requests."""
    assert Price((Period((Rate(input=rate),)),)).cost(Usage(input=1), 0) == nano


def test_rounding_is_of_the_sum():
    """Three thirds are one."""
    price = Price((Period((Rate(input=400_000, cache_read=400_000, output=400_000),)),))
    assert price.cost(Usage(input=2, cache_read=1, output=1), 0) == 1


COUNT = st.integers(0, 10**6)


@given(*[COUNT] * 8, st.integers(0, 10**12))
def test_every_token_is_charged_once(whole, read, five, hour, audio, output, reasoning, spoken, rate):
    """Where all parts cost the same, the parts change nothing, however a provider overlaps them; never negative."""
    flat = Price((Period((Rate(0, rate, rate, rate, rate, rate, rate, rate, rate),)),))
    cost = flat.cost(Usage(whole, read, five, hour, output, reasoning, audio, spoken), 0)
    assert cost == ((whole + output) * rate + 500_000) // MILLION >= 0


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (Rule("=", "a-1"), ["a-1"], ["a-12", "xa-1"]),
        (Rule("^", "a-"), ["a-", "a-1"], ["xa-"]),
        (Rule("$", "-x"), ["a-x"], ["-xa"]),
        (Rule("*", "b"), ["abc", "b"], ["ac"]),
        (Rule("~", r"^a-\d{2}$"), ["a-12"], ["a-1", "a-123"]),
        (Rule("&", "", (Rule("^", "a"), Rule("$", "z"))), ["az"], ["a", "z"]),
        (Rule("|", "", (Rule("=", "a"), Rule("=", "z"))), ["a", "z"], ["az"]),
    ],
)
def test_rules(rule, yes, no):
    """A model must be found by every name its provider gives it, and by no other's."""
    assert all(rule.matches(name) for name in yes)
    assert not any(rule.matches(name) for name in no)


def test_remembered_lookups_are_bounded():
    """Clients choose model names; memory must not grow with them."""
    prices = Prices(PriceList("v", "s", "d", {"k": (Entry("m", Rule("^", "m"), (Period((Rate(),)),)),)}))
    for n in range(MAX_REMEMBERED + 50):
        assert prices.find("k", f"m{n}") is not None
    assert prices.find("k", "m1") is prices.find("k", "m1")
    assert prices.find("k", "n") is None
    assert len(prices._found) == MAX_REMEMBERED


def test_a_long_name_is_not_confused_with_another():
    """Only a cut of an overlong name is remembered; it must not speak for a name of that length."""
    name = "m" * MAX_NAME
    prices = Prices(PriceList("v", "s", "d", {"k": (Entry("m", Rule("=", name), (Period((Rate(),)),)),)}))
    assert prices.find("k", name + "xyz") is None
    assert prices.find("k", name) is not None


def test_loading_is_cheap():
    """The price list must not cost the start its second, or the process its memory."""
    tracemalloc.start()
    loaded = Prices.load()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded.version == BUNDLED.version
    assert loaded.version.startswith("genai-prices ")
    assert peak < 5_000_000


def test_the_bundled_list_is_what_the_locked_package_says():
    """Nobody edits prices by hand, and an upgrade of the package is not forgotten."""
    pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    done = subprocess.run(
        [sys.executable, "-B", str(ROOT / "scripts" / "build_prices.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_bundled_list_agrees_with_the_package_on_every_model():
    """Our rules and sums against the package's own, for each kind and model by its own name."""
    data = pytest.importorskip("genai_prices.data", reason="genai-prices is not installed")
    types = pytest.importorskip("genai_prices.types", reason="genai-prices is not installed")
    kinds = {"bedrock": "aws", "gemini": "google", "xai": "x-ai"}
    sources = {provider.id: provider for provider in data.providers}
    at = datetime.fromtimestamp(NOON / 10**9, UTC)
    compared = 0
    for kind, entries in BUNDLED._kinds.items():
        source = sources[kinds.get(kind, kind)]
        for entry in entries:
            found = source.find_model(entry.model)
            ours = BUNDLED.find(kind, entry.model)
            if found is None or ours is None:
                continue
            prices = found.get_prices(at)
            if any(name in prices.__dict__ for name in ("requests_kcount", "cache_audio_read_mtok")):
                continue
            for size in (1000, 300_000):
                told = prices.calc_price(
                    types.Usage(
                        input_tokens=size,
                        cache_read_tokens=200,
                        cache_write_tokens=100,
                        output_tokens=50,
                        output_reasoning_tokens=20,
                    )
                )["total_price"]
                mine = ours.cost(Usage(size, cache_read=200, cache_write_5m=100, output=50, reasoning=20), NOON)
                assert mine == pytest.approx(float(told) * 1e9, abs=1), entry.model
                compared += 1
    assert compared > 2000


@pytest.mark.parametrize(
    ("kind", "model", "known"),
    [
        ("gemini", "models/gemini-2.5-flash", True),
        ("gemini", "google/gemini-2.5-flash", True),
        ("openai", "openai/gpt-4.1", True),
        ("openrouter", "nobody/gpt-4.1", False),
        ("azure", "gpt-4.1", True),
        ("azure", "my-deployment", False),
        ("vertex", "claude-sonnet-4-5@20250929", True),
        ("vertex", "meta/llama-3.3-70b-instruct-maas", False),
        ("bedrock", "us.amazon.nova-pro-v1:0", True),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0", True),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl", False),
    ],
)
def test_an_owner_before_the_name(kind: str, model: str, known: bool) -> None:
    """A request that a client spells with an owner costs the same; at a reseller the owner is part of what is bought."""
    assert (Prices.load().find(kind, model) is not None) is known


def test_tokens_are_compared_by_their_price():
    """Routes by cost ask for it with every request; a model without a price has none."""
    prices = Prices.load()
    assert prices.per_token("openai", "gpt-4.1", 0) == (2000.0, 8000.0)
    assert prices.per_token("openai", "no-such-model", 0) is None
