"""From the prices that a person set to those that are looked up: parts filled in from their wholes, globs in lower case.

The same for those in the file and those in the store. What one costs a request is decided in `ledger`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from trunkline.config.reach import Context
from trunkline.config.schema_prices import PriceSpec, Rates
from trunkline.config.validate import suggest, told
from trunkline.ledger.overrides import Override, marked
from trunkline.ledger.price import Period, Rate
from trunkline.providers.catalog import catalog

_TIERS = ("batch", "flex", "priority")
_EACH = 1_000_000
"""Prices of single things are kept per million, as those of tokens are."""


def compile_prices(written: Mapping[int, PriceSpec], names: Collection[str], context: Context) -> tuple[Override, ...]:
    """All of the file. A provider that is neither configured (`names`) nor a kind is reported: it would never count."""
    known = {*names, *catalog()}
    seen: dict[tuple[str | None, str, int | None], int] = {}
    for index, spec in written.items():
        if spec.provider is not None and spec.provider not in known:
            told = f"there is no provider and no kind {spec.provider!r}{suggest(spec.provider, known)}"
            context.report(("prices", index, "provider"), told)
        same = spec.provider, spec.model.lower(), spec.since
        if (first := seen.setdefault(same, index)) != index:
            context.report(("prices", index), f"prices[{first}] is for the same: remove one, or give them different from")
    return tuple(override(spec) for spec in written.values())


def override(spec: PriceSpec) -> Override:
    """One, with its mark."""
    base = _given(spec)
    tiers: Sequence[tuple[int, dict[str, int]]] = sorted(
        ((0, base), *((tier.above, base | _given(tier)) for tier in spec.tiers)), key=lambda tier: tier[0]
    )
    period = Period(
        rates=tuple(_rate(above, given) for above, given in tiers),
        since_ns=spec.since or 0,
        tiers=tuple((name, share) for name in _TIERS if (share := getattr(spec, name)) is not None),
    )
    return marked(Override(spec.provider or "", spec.model.lower(), period))


def stored_override(settings: Mapping[str, Any]) -> Override:
    """One as the store has it. Raises ValueError, whose words name every field that is wrong."""
    try:
        return override(PriceSpec.model_validate(dict(settings)))
    except ValidationError as error:
        raise ValueError("; ".join(told(error))) from None


def _given(rates: Rates) -> dict[str, int]:
    """What is written, in nano-dollars."""
    return {name: value for name in Rates.model_fields if (value := getattr(rates, name)) is not None}


def _rate(above: int, given: Mapping[str, int]) -> Rate:
    """With each part that is not given as its whole."""
    whole_in, whole_out = given.get("input", 0), given.get("output", 0)
    write = given.get("cache_write_5m", whole_in)
    return Rate(
        above=above,
        input=whole_in,
        cache_read=given.get("cache_read", whole_in),
        cache_write_5m=write,
        cache_write_1h=given.get("cache_write_1h", write),
        audio_input=given.get("audio_input", whole_in),
        output=whole_out,
        reasoning=given.get("reasoning", whole_out),
        audio_output=given.get("audio_output", whole_out),
        request=given.get("request", 0) * _EACH,
        image_input=given.get("image_input"),
        image_output=given.get("image_output"),
        image=given["image"] * _EACH if "image" in given else None,
    )
