"""What a request is told that a limit or a budget refuses. Counting belongs in `meters`. Pure."""

from __future__ import annotations

from math import ceil

from trunkline.canon.errors import GatewayError, Kind
from trunkline.meters.meter import Refused, Room
from trunkline.meters.rule import Rule

_NANO = 1_000_000_000
_WHAT = {"requests": "requests a minute", "tokens": "tokens a minute", "concurrent": "requests at the same time"}
_PERIODS = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}


def refusal(refused: Refused, tokens: int, nano: int, budget_status: int) -> GatewayError:
    """The error for a request that may use so many tokens and nano-dollars. `budget_status`: where a budget is used up."""
    rule = refused.rule
    if refused.unknown:
        return GatewayError(
            Kind.LEDGER_UNAVAILABLE,
            f"What {_who(rule)} has spent cannot be told at the moment, so nothing more is. Try again shortly.",
            retry_after=refused.retry_after,
            code="budget_unknown",
        )
    if rule.what == "money":
        return _too_dear(refused, nano, budget_status)
    needs = f"; this request may use {tokens}" if rule.what == "tokens" else ""
    return GatewayError(
        Kind.RATE_LIMITED,
        f"Rate limit reached for {_who(rule)}: {rule.amount} {_WHAT[rule.what]}{needs}. Try again in {_soon(refused)}.",
        retry_after=refused.retry_after,
        code="rate_limit_exceeded",
    )


def full(holder: str, retry_after: float | None) -> GatewayError:
    """The error where the limits that the operator set for a provider are reached: another target may be asked."""
    return GatewayError(
        Kind.OVERLOADED,
        f"As much as may be asked of {_named(holder)} is being asked. Try again in {duration(retry_after or 0.0)}.",
        status=429,
        retry_after=retry_after,
        code="provider_limit_exceeded",
    )


def unpriced(target: str, *, budget: bool) -> GatewayError:
    """The error for a request whose cost nobody can tell. `budget`: it is under one that could not be kept."""
    why = "its key is under a budget" if budget else "such requests are refused here"
    return GatewayError(
        Kind.FORBIDDEN,
        f"What this costs at {target!r} is not known, and {why}. The operator can set a price (`trunkline prices set`) "
        "or ledger.unknown_price: allow.",
        code="unpriced_model",
    )


def _too_dear(refused: Refused, nano: int, status: int) -> GatewayError:
    rule = refused.rule
    if refused.reserved:
        return GatewayError(
            Kind.RATE_LIMITED,
            f"What is left of the budget of {_who(rule)} is reserved by requests that still run. Try again shortly.",
            retry_after=refused.retry_after,
            code="budget_reserved",
        )
    told = f"{dollars(rule.amount)} {_PERIODS[rule.period]}"
    return GatewayError(
        Kind.BUDGET_EXCEEDED,
        f"The budget of {_who(rule)} ({told}) has not enough left for this request, which may cost up to {dollars(nano)}. "
        "Ask for fewer tokens (max_tokens), or have the budget raised.",
        status=status,
        retry_after=refused.retry_after if status == 429 else None,
        code="budget_exceeded",
    )


def dollars(nano: int) -> str:
    """Nano-dollars for people: at least two decimals, exact."""
    whole, part = divmod(nano, _NANO)
    return f"${whole}.{f'{part:09}'.rstrip('0'):0<2}"


def duration(seconds: float) -> str:
    """A time in the form of OpenAI's rate-limit headers: `120ms`, `6s`, `6m0s`, `1h2m3s`. Rounded up: so long suffices."""
    if (thousandths := max(_up(seconds * 1000), 0)) < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(_up(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _up(number: float) -> int:
    """Less than a millionth is the error of floating point."""
    return ceil(number - 1e-6)


def room_lines(requests: Room | None, tokens: Room | None) -> bytes:
    """The header lines that tell what is left, in OpenAI's form; nothing where there is no limit."""
    lines = b"" if requests is None else _REQUESTS % (requests.limit, requests.remaining, _reset(requests.reset))
    return lines if tokens is None else lines + _TOKENS % (tokens.limit, tokens.remaining, _reset(tokens.reset))


def _lines(name: bytes) -> bytes:
    told = (b"limit-%b: %%d", b"remaining-%b: %%d", b"reset-%b: %%b")
    return b"".join(b"x-ratelimit-" + line % name + b"\r\n" for line in told)


_REQUESTS, _TOKENS = _lines(b"requests"), _lines(b"tokens")


def _reset(seconds: float) -> bytes:
    """As `duration`; nearly always it is less than a second."""
    return b"%dms" % (seconds * 1000 + 0.999999) if 0 <= seconds < 0.999 else duration(seconds).encode("ascii")


def _who(rule: Rule) -> str:
    return _named(rule.holder)


def _named(holder: str) -> str:
    """In words, never more than its name."""
    kind, _, name = holder.partition(":")
    return f"the {kind} {name!r}"


def _soon(refused: Refused) -> str:
    return duration(refused.retry_after or 0.0)
