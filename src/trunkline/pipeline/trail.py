"""What happened on a request's way to its answer, as the ledger keeps it: rules, who was passed over, every attempt.

Empty for nearly all requests: the first choice answered at once. Times are whole milliseconds; a wait is what lies between two
attempts. What it says to people belongs in `cli.story`.
"""

from __future__ import annotations

import msgspec

from trunkline.pipeline.exchange import Exchange
from trunkline.pipeline.use import Step
from trunkline.providers.provider import Target
from trunkline.telemetry.metrics import Metrics

MOST = 2048
"""Bytes that a row spends on it."""


class Trail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request's. Fields are only ever added: rows outlive the version that wrote them."""

    rules: tuple[int, ...] = ()
    """Of the route that the client's model name means, and of those that each led to: which was followed, counted from 1."""
    passed: tuple[tuple[str, str], ...] = ()
    """Who was not asked although its turn had come, and why."""
    steps: tuple[Step, ...] = ()
    cut: int = 0
    """Entries that found no room."""


def written(exchange: Exchange) -> str:
    """The trail of an exchange that has ended, at most `MOST` bytes of JSON; nothing where there is nothing to tell."""
    steps, passed = exchange.trail, exchange.passed
    if not (exchange.rules or passed or len(steps) > 1 or (steps and steps[0].error)):
        return ""
    steps = steps.copy()
    named = list(dict.fromkeys((name(target), reason) for target, reason in passed))
    cut = 0
    while len(told := msgspec.json.encode(Trail(exchange.rules, tuple(named), tuple(steps), cut))) > MOST and (named or steps):
        drop = max(len(named) // 8, 1)  # a long list must not be written as often as it has entries
        cut += drop
        if named:
            del named[-drop:]
        else:
            del steps[len(steps) // 2]  # how it began and how it ended say most
    return told.decode()


def count(exchange: Exchange, metrics: Metrics) -> None:
    """Count the attempts of an exchange that has ended."""
    steps = exchange.trail
    for step in steps:
        metrics.attempt(step.provider, step.error or "ok")
    if len(steps) > 1:
        places = [(step.provider, step.seat, step.model) for step in steps]
        metrics.retries += sum(place in places[:n] for n, place in enumerate(places))
        metrics.fallbacks += sum(a != b and not step.hedged for a, b, step in zip(places, places[1:], steps[1:], strict=False))


def read(text: str) -> Trail:
    """What stands in a row; an empty trail for what cannot be read."""
    try:
        return msgspec.json.decode(text, type=Trail)
    except msgspec.DecodeError:
        return Trail()


def name(target: Target) -> str:
    """A target, as people write it; which credential, where its provider has several."""
    provider = target.provider
    which = f" with credential {provider.seat + 1}" if provider.seat or provider.others else ""
    return f"{provider.name}/{target.model}{which}"
