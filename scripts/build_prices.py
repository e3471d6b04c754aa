"""Compiles the price list that Trunkline bundles from the package genai-prices, which is needed only here.

Prices become integers: nano-dollars per million tokens. Each part of a prompt or an answer gets its own rate, inherited from
its whole where the source gives none. `--check` compares with the bundled file and writes nothing. The file's form is
`PriceList` of `ledger/prices.py`, one line per model. Its date is the day on which its content last changed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

KINDS = {
    "anthropic": "anthropic",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "xai": "x-ai",
}
"""Our provider kind -> the provider's name in genai-prices."""

FILE = Path(__file__).parent.parent / "src" / "trunkline" / "ledger" / "prices.json"

# A rate's fields in the order of `ledger.price.Rate`: the source's name, then the field it is inherited from.
RATES = {
    "input": ("input_mtok", None),
    "cache_read": ("cache_read_mtok", "input"),
    "cache_write_5m": ("cache_write_mtok", "input"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_5m"),
    "audio_input": ("input_audio_mtok", "input"),
    "output": ("output_mtok", None),
    "reasoning": ("output_reasoning_mtok", "output"),
    "audio_output": ("output_audio_mtok", "output"),
    "request": ("requests_kcount", None),
}
PICTURES = ("input_image_mtok", "output_image_mtok")
"""The last fields: of tokens of pictures, left out where they cost what others do."""
PER_MILLION = {"request": 1000}
"""How often the source's unit goes into a million, where it is not a million itself."""

OPERATORS = {ClauseEquals: "=", ClauseStartsWith: "^", ClauseEndsWith: "$", ClauseContains: "*"}


def rule(clause: MatchLogic) -> list[object]:
    """A match clause as `Rule`."""
    if isinstance(clause, ClauseAnd):
        return ["&", "", [rule(part) for part in clause.and_]]
    if isinstance(clause, ClauseOr):
        return ["|", "", [rule(part) for part in clause.or_]]
    if isinstance(clause, ClauseRegex):
        return ["~", clause.regex]
    operator = OPERATORS[type(clause)]
    (text,) = vars(clause).values()
    return [operator, text.lower()]


def value(price: Decimal | TieredPrices | None, above: int) -> Decimal | None:
    """A price for prompts just over `above` tokens."""
    if not isinstance(price, TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if above >= tier.start), price.base)


def rate(prices: dict[str, Decimal | TieredPrices | None], above: int) -> list[int | None]:
    """One `Rate`."""
    found: dict[str, int] = {}
    for field, (name, whole) in RATES.items():
        price = value(prices.get(name), above)
        if price is None:
            found[field] = found[whole] if whole else 0
        else:
            found[field] = nano(price * PER_MILLION.get(field, 1))
    pictures = [value(prices.get(name), above) for name in PICTURES]
    if pictures == [None, None]:
        return [above, *found.values()]
    return [above, *found.values(), *(None if price is None else nano(price) for price in pictures)]


def nano(price: Decimal) -> int:
    """Nano-dollars."""
    return int((price * 1_000_000_000).to_integral_value(ROUND_HALF_UP))


def rates(price: ModelPrice) -> list[list[int | None]]:
    """The rates of one price, by prompt size; none where it is not for tokens. A price of nothing at all is free."""
    prices = {name: price.__dict__.get(name) for name in (*(name for name, _ in RATES.values()), *PICTURES)}
    if prices["input_mtok"] is None and prices["output_mtok"] is None:
        return [] if price.__dict__ else [rate(prices, 0)]
    steps = {0} | {tier.start for each in prices.values() if isinstance(each, TieredPrices) for tier in each.tiers}
    return [rate(prices, above) for above in sorted(steps)]


def period(conditional: ConditionalPrice) -> list[object] | None:
    """One `Period`, or None where its price is not for tokens."""
    found = rates(conditional.prices)
    since, daily = 0, None
    match conditional.constraint:
        case StartDateConstraint(start_date=day):
            since = int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000_000
        case TimeOfDateConstraint(start_time=start, end_time=end):
            daily = [seconds(start), seconds(end)]
    return [found, since, daily] if found else None


def seconds(moment: time) -> int:
    """Seconds of the UTC day."""
    moment = datetime.combine(datetime(2000, 1, 2, tzinfo=UTC), moment, moment.tzinfo or UTC).astimezone(UTC).timetz()
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def entry(model: ModelInfo) -> list[object]:
    """One `Entry`."""
    prices = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    return [model.id, rule(model.match), [made for each in prices if (made := period(each)) is not None]]


def compiled(date: str) -> str:
    """The whole file."""
    version = importlib.metadata.version("genai-prices")
    by_name = {provider.id: provider for provider in providers}
    lines = [
        "{",
        f' "version": "genai-prices {version} {date}",',
        ' "source": "https://github.com/pydantic/genai-prices; nano-dollars per million tokens, see ledger/price.py",',
        f' "date": "{date}",',
        ' "kinds": {',
    ]
    for kind, name in KINDS.items():
        models = ",\n".join(f"   {json.dumps(entry(model), separators=(',', ':'))}" for model in by_name[name].models)
        lines.append(f'  "{kind}": [\n{models}\n  ]' + ("," if kind != list(KINDS)[-1] else ""))
    return "\n".join([*lines, " }", "}", ""])


def main(arguments: list[str]) -> int:
    """Write the file, or compare with it; 0 when it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the bundled file is another")
    check = parser.parse_args(arguments).check
    bundled = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    date = json.loads(bundled)["date"] if bundled else ""
    if date and compiled(date) == bundled:
        print(f"prices: {FILE.name} is what genai-prices {importlib.metadata.version('genai-prices')} says")
        return 0
    if check:
        print(f"prices: {FILE} is not what the installed genai-prices says; run make prices", file=sys.stderr)
        return 1
    FILE.write_text(compiled(datetime.now(UTC).date().isoformat()), encoding="utf-8")
    print(f"prices: wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
