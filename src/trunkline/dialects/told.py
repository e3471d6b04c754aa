"""What a provider's usage object tells beside its counts: what it says it costs, how it was served, what of it was pictures.

Read once a request, from the text that the ledger keeps, and only where a word in it promises something; each fact is told by
its structure, never by the provider's name. The counts themselves belong in each dialect's `usage`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from trunkline.canon.usage import NOTHING_TOLD, Told
from trunkline.dialects.counts import count

MOST_NANO = 10**15
"""A million dollars for one request is nonsense and is taken as absent."""
_NANO = 1_000_000_000
_TICKS = 10
"""xAI counts in ten thousand millionths of a dollar, ten to a nano-dollar: https://docs.x.ai/docs/key-information/consumption-and-rate-limits."""
_USUAL = frozenset({"", "auto", "default", "on_demand", "scale", "standard"})
_TIER = 32
_INPUT_PARTS = ("input_tokens_details", "input_token_details", "prompt_tokens_details", "gemini_input")
_OUTPUT_PARTS = ("output_tokens_details", "output_token_details", "completion_tokens_details", "gemini_output")


_GEMINI = {"gemini_input": "promptTokensDetails", "gemini_output": "candidatesTokensDetails"}


class _Told(msgspec.Struct, gc=False, rename=_GEMINI):
    """Nothing is typed: one strange value must not cost the others."""

    cost: Any = None
    """Dollars (OpenRouter), or their parts (Perplexity)."""
    cost_in_usd_ticks: Any = None
    is_byok: Any = None
    cost_details: Any = None
    service_tier: Any = None
    input_tokens_details: Any = None
    input_token_details: Any = None
    prompt_tokens_details: Any = None
    gemini_input: Any = None
    output_tokens_details: Any = None
    output_token_details: Any = None
    completion_tokens_details: Any = None
    gemini_output: Any = None


_decoder = msgspec.json.Decoder(_Told | list[_Told | None], float_hook=Decimal)


def read_told(raw: str) -> Told:
    """What the text of a usage object, or of a list of them, tells. Of a list, a cost that not all tell is not told."""
    if not ("cost" in raw or "tier" in raw or "image" in raw or "IMAGE" in raw):  # spelled out: it runs for each request
        return NOTHING_TOLD
    try:
        found = _decoder.decode(raw)
    except (ValueError, RecursionError, ArithmeticError):  # the last: 1e99999999999999999999 is no Decimal
        return NOTHING_TOLD
    if isinstance(found, _Told):
        return _read(found)
    all_told = [NOTHING_TOLD if one is None else _read(one) for one in found]
    costs = [one.cost_nano for one in all_told if one.cost_nano is not None]
    tiers = {one.tier for one in all_told}
    return Told(
        cost_nano=sum(costs) if costs and len(costs) == len(all_told) else None,
        tier=tiers.pop() if len(tiers) == 1 else "",
        image_input=sum(one.image_input for one in all_told),
        image_output=sum(one.image_output for one in all_told),
    )


def tier_of(value: object) -> str:
    """How a request was served, as its answer says it: empty where that is the usual way, or not told."""
    return value if isinstance(value, str) and value not in _USUAL and value.isalnum() and len(value) <= _TIER else ""


def with_tier(raw: str, value: object) -> str:
    """The text of a usage object whose answer says beside it how it was served (OpenAI), with that in it."""
    tier = tier_of(value)
    return f'{{"service_tier":"{tier}",{raw[1:]}' if tier and len(raw) > len("{}") and raw[0] == "{" else raw


def _read(told: _Told) -> Told:
    return Told(
        cost_nano=_cost(told),
        tier=tier_of(told.service_tier),
        image_input=_pictures(told, _INPUT_PARTS),
        image_output=_pictures(told, _OUTPUT_PARTS),
    )


def _cost(told: _Told) -> int | None:
    """Nano-dollars. No ticks at all are not told: Azure's copies of xAI's models say so, and charge."""
    if ticks := count(told.cost_in_usd_ticks):
        return _bounded((ticks + _TICKS // 2) // _TICKS)
    cost = told.cost.get("total_cost") if isinstance(told.cost, dict) else told.cost
    nano = _nano(cost)
    if nano is None or told.is_byok is not True:
        return nano
    # with a key of one's own the cost is OpenRouter's fee alone: https://openrouter.ai/docs/use-cases/usage-accounting
    details = told.cost_details if isinstance(told.cost_details, dict) else {}
    return _bounded(nano + (_nano(details.get("upstream_inference_cost")) or 0))


def _nano(dollars: object) -> int | None:
    """An amount in dollars, rounded half up; None for what is none, `true` and negative amounts among it."""
    if type(dollars) is int:
        dollars = Decimal(dollars)
    if not isinstance(dollars, Decimal) or not dollars.is_finite() or not 0 <= dollars <= MOST_NANO:
        return None
    return _bounded(int(dollars * _NANO + Decimal("0.5")))


def _bounded(nano: int) -> int | None:
    return nano if nano <= MOST_NANO else None


def _pictures(told: _Told, places: tuple[str, ...]) -> int:
    """Tokens of pictures in the first place that has parts: OpenAI names the count, Gemini lists one for each modality."""
    for place in places:
        parts = getattr(told, place)
        if isinstance(parts, dict):
            return count(parts.get("image_tokens")) or 0
        if isinstance(parts, list):
            each = (part for part in parts if isinstance(part, dict) and part.get("modality") == "IMAGE")
            return sum(count(part.get("tokenCount")) or 0 for part in each)
    return 0
