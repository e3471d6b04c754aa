"""What a stored row would cost by other prices, and what that makes of days and models. Decides; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from trunkline.canon.usage import Told, Usage
from trunkline.ledger.prices import REPORTED, Prices

Why = Literal["", "unused", "mixed", "provider", "unknown", "pieces"]
"""Why a row stays as it is: nothing was used or known; it sums several answers that were priced alone; its provider is not
configured any more; no price is known; its pictures are neither paid by the piece nor told in tokens."""


class Renewed(msgspec.Struct, frozen=True):
    """A row's cost by the prices asked."""

    cost_nano: int | None
    version: str
    kept: Why = ""


class Line(msgspec.Struct):
    """One day and model, of the rows that change."""

    day: str
    """UTC, `2026-01-31`."""
    model: str
    """The name at the provider."""
    requests: int = 0
    priced: int = 0
    """Of these, without a price before."""
    old_nano: int = 0
    new_nano: int = 0


def usage_of(row: Mapping[str, Any]) -> Usage:
    """The counts of a row."""
    return Usage(
        input=row["input_tokens"],
        cache_read=row["cache_read_tokens"],
        cache_write_5m=row["cache_write_5m_tokens"],
        cache_write_1h=row["cache_write_1h_tokens"],
        output=row["output_tokens"],
        reasoning=row["reasoning_tokens"],
        audio_input=row["audio_input_tokens"],
        audio_output=row["audio_output_tokens"],
        images=row["images"],
        basis=row["basis"],
    )


def renewed(row: Mapping[str, Any], told: Told, prices: Prices, kinds: Mapping[str, str], *, mixed: bool) -> Renewed:
    """What `row` costs by `prices`, those in force at its time.

    `told`: by its `raw_usage`; an estimate has none. `kinds`: of the providers, by name. `mixed`: it sums several answers, each
    of which was priced alone.
    """
    usage, old = usage_of(row), Renewed(row["cost_nano"], row["price_version"])
    why: Why = "unused" if usage.basis == "none" else "mixed" if mixed else "" if row["provider"] in kinds else "provider"
    if why:
        return msgspec.structs.replace(old, kept=why)
    period = prices.find(row["provider"], kinds[row["provider"]], row["target"], row["started_ns"])
    if period is not None and period.counts(usage):
        return Renewed(period.cost(usage, told if usage.basis == "reported" else Told()), prices.version(period))
    if row["reported_nano"] is not None:
        return Renewed(row["reported_nano"], REPORTED)
    return msgspec.structs.replace(old, kept="unknown" if period is None else "pieces")


class Tally:
    """What a repricing comes to."""

    def __init__(self) -> None:
        self.rows = 0
        self.kept: dict[str, int] = {}
        """Rows that stay as they are, by `Why`; `same`: their cost is the same."""
        self._lines: dict[tuple[str, str], Line] = {}

    def add(self, row: Mapping[str, Any], new: Renewed) -> bool:
        """Count a row. Whether it changes."""
        self.rows += 1
        if new.kept or new.cost_nano == row["cost_nano"]:
            why = new.kept or "same"
            self.kept[why] = self.kept.get(why, 0) + 1
            return False
        day = day_of(row["started_ns"])
        line = self._lines.setdefault((day, row["target"]), Line(day, row["target"]))
        line.requests += 1
        line.priced += row["cost_nano"] is None
        line.old_nano += row["cost_nano"] or 0
        line.new_nano += new.cost_nano or 0
        return True

    def lines(self) -> list[Line]:
        """By day, then by model."""
        return [self._lines[at] for at in sorted(self._lines)]


def day_of(ns: int) -> str:
    """The day (UTC) of a time in nanoseconds since the epoch."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).date().isoformat()
