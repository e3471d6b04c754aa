"""Tokens of one exchange, in one arithmetic for all providers.

Counts are inclusive, as OpenTelemetry's GenAI conventions count: `input` holds every prompt token, those read from or
written to a cache too; `output` holds every generated token, reasoning too. The parts are named beside their whole, so
that a price can be put on each. How a provider spells its counts belongs in its dialect; prices belong in `ledger`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Basis = Literal["reported", "estimated", "none"]


class Usage(msgspec.Struct, frozen=True):
    """Token counts (never negative) and where they come from."""

    input: int = 0
    cache_read: int = 0
    """Part of `input` served from a prompt cache."""
    cache_write_5m: int = 0
    """Part of `input` written to a cache that lives five minutes (or for the provider's only time)."""
    cache_write_1h: int = 0
    """Part of `input` written to a cache that lives an hour."""
    output: int = 0
    reasoning: int = 0
    """Part of `output` spent on thinking."""
    audio_input: int = 0
    """Part of `input` that was audio."""
    audio_output: int = 0
    """Part of `output` that was audio."""
    images: int = 0
    """Pictures generated; a count, not tokens."""
    basis: Basis = "none"
    """`reported` by the provider, `estimated` by us, or `none` where nothing was spent or known."""


NO_USAGE = Usage()


class Told(msgspec.Struct, frozen=True):
    """What a provider's usage object tells beside its counts, as far as money hangs on it."""

    cost_nano: int | None = None
    """Nano-dollars that it says this costs; None where it does not."""
    tier: str = ""
    """How it was served, where that has a price of its own: `batch`, `flex`, `priority`. Empty: as usual, or not told."""
    image_input: int = 0
    """Part of the input that was pictures, in tokens."""
    image_output: int = 0
    """Part of the output that was pictures, in tokens."""


NOTHING_TOLD = Told()


def total(usages: Iterable[Usage]) -> Usage:
    """What several exchanges used together: `estimated` where a part of it is, `none` where nothing was used or known."""
    known = [usage for usage in usages if usage.basis != "none"]
    if not known:
        return NO_USAGE
    counts = {name: sum(getattr(usage, name) for usage in known) for name in Usage.__struct_fields__ if name != "basis"}
    return Usage(**counts, basis="estimated" if any(usage.basis == "estimated" for usage in known) else "reported")
