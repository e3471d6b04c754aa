"""What a client is told that a limit or a budget refuses: true numbers, words that help, and nobody else's secrets."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.canon.errors import Kind
from trunkline.meters.meter import Refused, Room
from trunkline.meters.rule import Rule
from trunkline.policy.limits import dollars, duration, full, refusal, room_lines, unpriced

REQUESTS, TOKENS, SLOTS = (Rule("key:ci", what, 5) for what in ("requests", "tokens", "concurrent"))
MONTH = Rule("team:lab", "money", 25_000_000_000, "month")


@pytest.mark.parametrize(
    ("refused", "kind", "status", "code", "words", "after"),
    [
        (
            Refused(REQUESTS, 12.0),
            Kind.RATE_LIMITED,
            429,
            "rate_limit_exceeded",
            "the key 'ci': 5 requests a minute. Try again in 12s.",
            12.0,
        ),
        (
            Refused(TOKENS, 0.25),
            Kind.RATE_LIMITED,
            429,
            "rate_limit_exceeded",
            "5 tokens a minute; this request may use 700. Try again in 250ms.",
            0.25,
        ),
        (
            Refused(SLOTS, 1.0),
            Kind.RATE_LIMITED,
            429,
            "rate_limit_exceeded",
            "5 requests at the same time. Try again in 1s.",
            1.0,
        ),
        (
            Refused(MONTH, 1.0, reserved=True),
            Kind.RATE_LIMITED,
            429,
            "budget_reserved",
            "the team 'lab' is reserved by requests that still run",
            1.0,
        ),
        (
            Refused(MONTH, 90.0),
            Kind.BUDGET_EXCEEDED,
            402,
            "budget_exceeded",
            "($25.00 a month) has not enough left for this request, which may cost up to $0.30",
            None,
        ),
        (
            Refused(MONTH, 1.0, unknown=True),
            Kind.LEDGER_UNAVAILABLE,
            503,
            "budget_unknown",
            "What the team 'lab' has spent cannot be told",
            1.0,
        ),
    ],
)
def test_what_is_told(refused: Refused, kind: Kind, status: int, code: str, words: str, after: float | None) -> None:
    """SDKs wait by the status and the time, people go by the words."""
    error = refusal(refused, 700, 300_000_000, 402)
    assert (error.kind, error.status, error.code, error.retry_after) == (kind, status, code, after)
    assert words in error.message


def test_a_budget_as_429_has_a_time() -> None:
    """Where the operator prefers 429, clients wait by themselves: until the next month, if it comes to that."""
    error = refusal(Refused(MONTH, 90.0), 1, 1, 429)
    assert (error.kind, error.status, error.retry_after) == (Kind.BUDGET_EXCEEDED, 429, 90.0)


def test_a_provider_that_is_asked_enough() -> None:
    """It is no failure of its own, and another one may be asked."""
    error = full("provider:lab", 3.0)
    assert (error.kind, error.status, error.code, error.retry_after) == (Kind.OVERLOADED, 429, "provider_limit_exceeded", 3.0)
    assert "the provider 'lab'" in error.message
    assert error.retryable
    assert full("provider:lab", None).message.endswith("in 0ms.")


@pytest.mark.parametrize(("budget", "why"), [(True, "under a budget"), (False, "refused here")])
def test_a_price_nobody_knows(budget: bool, why: str) -> None:
    """Whoever reads it knows what to set."""
    error = unpriced("lab/tiny", budget=budget)
    assert (error.status, error.code) == (403, "unpriced_model")
    assert why in error.message
    assert "'lab/tiny'" in error.message
    assert "ledger.unknown_price" in error.message


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1.0, "0ms"),
        (0.0, "0ms"),
        (0.12, "120ms"),
        (1.0, "1s"),
        (0.0004, "1ms"),
        (0.9999, "1s"),
        (58.4, "59s"),
        (59.4, "1m0s"),
        (60.0, "1m0s"),
        (360.0, "6m0s"),
        (3723.0, "1h2m3s"),
    ],
)
def test_times_in_openai_s_form(seconds: float, told: str) -> None:
    """Clients parse these headers."""
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("nano", "told"),
    [(0, "$0.00"), (1, "$0.000000001"), (100_000, "$0.0001"), (1_500_000_000, "$1.50"), (25_000_000_000, "$25.00")],
)
def test_money_for_people(nano: int, told: str) -> None:
    """To the nano, and no longer than it must be."""
    assert dollars(nano) == told


@pytest.mark.parametrize(
    ("rooms", "lines"),
    [
        ((None, None), b""),
        (
            (Room(60, 59, 1.0), None),
            b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 1s\r\n",
        ),
        (
            (None, Room(1000, 0, 60.0)),
            b"x-ratelimit-limit-tokens: 1000\r\nx-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m0s\r\n",
        ),
    ],
)
def test_the_headers(rooms: tuple[Any, Any], lines: bytes) -> None:
    """OpenAI's names, and none where there is no limit."""
    assert room_lines(*rooms) == lines
