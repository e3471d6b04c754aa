"""Records for the tests of ledger, store and command line: request number `n`, one second after the other."""

from __future__ import annotations

from trunkline.canon.usage import Usage
from trunkline.ledger.record import Open, Settle

START_NS = 1_767_225_600_000_000_000
"""2026-01-01, midnight UTC."""
HALF_DAY = 43_200_000_000_000


def opened(
    n: int, *, key: str = "laptop", model: str = "gpt-4.1", provider: str = "openai", started_ns: int | None = None
) -> Open:
    moment = START_NS + n * 1_000_000_000 if started_ns is None else started_ns
    return Open(f"{n:032d}", moment, key, "chat.completions", "openai_chat", model, provider, model, False)


def settled(opening: Open | int, *, usage: Usage | None = None, cost_nano: int | None = 1_500) -> Settle:
    opening = opened(opening) if isinstance(opening, int) else opening
    usage = usage or Usage(input=10, cache_read=4, output=20, basis="reported")
    return Settle(opening, "ok", 200, "", "stop", 1, usage, '{"total_tokens":30}', cost_nano, "test 1", 1000, 100, "req_1")


def twice_daily(n: int) -> Settle:
    """Two requests a day; `model-1` is without a price."""
    begun = opened(n, model=f"model-{n % 2}", started_ns=START_NS + n * HALF_DAY)
    return settled(begun, cost_nano=None if n % 2 else 1_234_000 * (n + 1))
