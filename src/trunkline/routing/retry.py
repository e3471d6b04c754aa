"""What to do after a target failed: try the next one, wait and try again, or tell the client. Pure: the dice are handed in.

What a provider's error means belongs in `dialects`; counting, waiting and sending in `pipeline`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.routing.health import OURS

JITTER = 0.25
"""The part of a wait that is left to chance: OpenAI's and Anthropic's own SDKs take off up to a quarter."""

#: Refusals of the request by their code, which a target with more room or another filter may take. OpenAI, Azure, Cohere.
_ELSEWHERE = frozenset({"context_length_exceeded", "content_filter", "content_policy_violation", "unsupported_parameter"})
#: Failures that the same target will show again.
_LASTING = frozenset({Kind.UPSTREAM_TLS, Kind.UPSTREAM_PROTOCOL})


class Retry(msgspec.Struct, frozen=True):
    """How often and how soon a route tries again. Times in seconds."""

    attempts: int = 3
    """Tries of one request, the first included, at all its targets together."""
    backoff: float = 0.2
    """Before the second try of the same target; twice as long before each further one."""
    max_backoff: float = 5.0
    """The longest that is waited, also where a provider names a time: a client is told of a longer one."""


class Tried(msgspec.Struct, frozen=True):
    """What was done so far for one request."""

    tries: int
    """Of all targets together; at least one."""
    rounds: int
    """How often all targets were gone through."""
    others: bool
    """There is a target that was not tried in this round."""
    shown: bool
    """The client saw a byte of an answer."""
    left: float
    """Seconds until the request must be over."""


class Then(msgspec.Struct, frozen=True):
    """What to do. `wait`: seconds before going through the targets again."""

    what: Literal["next", "again", "stop"]
    wait: float = 0.0


_STOP = Then("stop")


def decide(error: GatewayError, tried: Tried, retry: Retry, dice: float) -> Then:
    """What to do after `error`. `dice`: 0 to 1. Nothing is tried again once the client saw a byte."""
    if tried.shown or tried.tries >= retry.attempts or tried.left <= 0:
        return _STOP
    passing = _passes(error)
    if tried.others and (passing or _may_elsewhere(error)):
        return Then("next")
    if not passing or error.kind in _LASTING:
        return _STOP
    wait = _wait(error, tried.rounds, retry, dice)
    return Then("again", wait) if wait <= min(retry.max_backoff, tried.left) else _STOP


def _passes(error: GatewayError) -> bool:
    """Another try may succeed, here or elsewhere: the provider's failures, and a pool of ours that is full."""
    return error.retryable and (error.fault == "upstream" or error.kind is Kind.OVERLOADED)


def _may_elsewhere(error: GatewayError) -> bool:
    """Another target may take what this one does not."""
    if error.kind in _LASTING or error.code in _ELSEWHERE:
        return True
    if error.kind is Kind.UPSTREAM_FAILED:  # a quota that is used up: waiting does not cure it, another account does
        return True
    return error.kind is Kind.UPSTREAM_REFUSED and error.status in OURS


def _wait(error: GatewayError, rounds: int, retry: Retry, dice: float) -> float:
    if error.retry_after is not None and error.retry_after > 0:
        return error.retry_after
    longest = min(retry.backoff * 2.0 ** min(rounds, 16), retry.max_backoff)
    return longest * (1.0 - JITTER * dice)
