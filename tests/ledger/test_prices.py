"""What models cost: the bundled list, how a model is found in it, and what it says, by hand."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.canon.usage import Told, Usage
from trunkline.ledger.overrides import Override, marked
from trunkline.ledger.price import Period, Rate
from trunkline.ledger.prices import MAX_NAME, MAX_REMEMBERED, Entry, PriceList, Prices, Rule, bundled

ROOT = Path(__file__).parents[2]
BUNDLED = Prices.load()
NOON = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()) * 10**9
MILLION = 1_000_000


def _dollars(kind, model, at_ns=NOON, **usage):
    price = BUNDLED.find("any", kind, model, at_ns)
    return None if price is None else price.cost(Usage(**usage)) / 10**9


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
        assert prices.find("p", "k", f"m{n}", 0) is not None
    assert prices.find("p", "k", "m1", 0) is prices.find("p", "k", "m1", 0)
    assert prices.find("p", "k", "n", 0) is None
    assert len(prices._found) == MAX_REMEMBERED


def test_a_long_name_is_not_confused_with_another():
    """Only a cut of an overlong name is remembered; it must not speak for a name of that length."""
    name = "m" * MAX_NAME
    prices = Prices(PriceList("v", "s", "d", {"k": (Entry("m", Rule("=", name), (Period((Rate(),)),)),)}))
    assert prices.find("p", "k", name + "xyz", 0) is None
    assert prices.find("p", "k", name, 0) is not None


def test_loading_is_cheap():
    """The price list must not cost the start its second, or the process its memory."""
    tracemalloc.start()
    loaded = Prices(bundled.__wrapped__())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded.listed == BUNDLED.listed
    assert loaded.listed.startswith("genai-prices ")
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
            ours = BUNDLED.find("any", kind, entry.model, NOON)
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
                mine = ours.cost(Usage(size, cache_read=200, cache_write_5m=100, output=50, reasoning=20))
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
    assert (Prices.load().find("any", kind, model, NOON) is not None) is known


def test_tokens_are_compared_by_their_price():
    """Routes by cost ask for it with every request; a model without a price has none."""
    prices = Prices.load()
    assert prices.per_token("mine", "openai", "gpt-4.1", 0) == (2000.0, 8000.0)
    assert prices.per_token("mine", "openai", "no-such-model", 0) is None


def priced(model="gpt-4.1", provider="", since_ns=0, **rate):
    return marked(Override(provider, model, Period((Rate(**rate),), since_ns)))


def test_a_price_of_ones_own_comes_before_the_list_and_says_so() -> None:
    """Who has a contract must see it in every record; before it begins the list holds."""
    own = priced(since_ns=NOON, input=10**9)
    prices = Prices.load([own])
    before, after = prices.find("mine", "openai", "GPT-4.1", NOON - 1), prices.find("mine", "openai", "GPT-4.1", NOON)
    assert before is not None
    assert after is not None
    assert (before.cost(Usage(input=MILLION)), after.cost(Usage(input=MILLION))) == (2 * 10**9, 10**9)
    assert prices.version(before) == prices.listed == Prices.load().listed
    assert prices.version(after) == f"{prices.listed} + {own.period.mark}"
    assert prices.find("mine", "openai", "gpt-4.1-mini", NOON) == BUNDLED.find("mine", "openai", "gpt-4.1-mini", NOON)


def test_a_model_that_no_list_knows_can_have_a_price() -> None:
    """A server of one's own costs what its owner says, from when he says it, and nothing is known before."""
    prices = Prices.load([priced("llama*", "lab", NOON, input=5)])
    assert prices.find("lab", "openai", "llama-3", NOON - 1) is None
    assert prices.find("lab", "openai", "llama-3", NOON) is not None
    assert prices.find("lab2", "openai", "llama-3", NOON) is None
    assert prices.per_token("lab", "openai", "llama-3", NOON) == (5e-6, 0.0)


@pytest.mark.parametrize(
    ("kind", "model", "tier", "share"),
    [
        ("openai", "gpt-4.1", "flex", 50),
        ("openai", "gpt-4.1", "priority", 100),
        ("anthropic", "claude-sonnet-4-5", "batch", 50),
        ("anthropic", "claude-sonnet-4-5", "flex", 100),
        ("groq", "openai/gpt-oss-20b", "flex", 100),
    ],
)
def test_ways_of_being_served_cost_what_their_sellers_say(kind: str, model: str, tier: str, share: int) -> None:
    """A batch at full price would double the bill in the books."""
    found = BUNDLED.find("any", kind, model, NOON)
    assert found is not None
    whole = found.cost(Usage(input=100_000))
    assert found.cost(Usage(input=100_000), Told(tier=tier)) * 100 == whole * share


@pytest.mark.parametrize(
    ("kind", "model", "usage", "told", "nano"),
    [
        # $0.30 in, $2.50 out, $30 for tokens of pictures
        ("gemini", "gemini-2.5-flash-image", {"output": 1300}, {"image_output": 1290}, 1290 * 30_000 + 10 * 2500),
        ("gemini", "gemini-2.5-flash-image", {"output": 1290, "images": 1}, {}, 1290 * 30_000),
        ("gemini", "gemini-2.5-flash-image", {"output": 10}, {}, 10 * 2500),
        # $5 in, $8 for pictures in, $32 for pictures out
        ("openai", "gpt-image-1.5", {"input": 500, "output": 1000, "images": 1}, {"image_input": 400}, 35_700_000),
    ],
)  # fmt: skip
def test_pictures_have_their_own_tokens(kind, model, usage, told, nano) -> None:
    """Gemini's pictures are twelve times as dear as its words: charged as words, a budget would be spent twelve times."""
    found = BUNDLED.find("any", kind, model, NOON)
    assert found is not None
    assert found.cost(Usage(**usage), Told(**told)) == nano
