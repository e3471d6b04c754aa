"""What is done after a failure: a table of cases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.routing.retry import Retry, Then, Tried, decide

FRESH = {"tries": 1, "rounds": 0, "others": False, "shown": False, "left": 60.0}
OTHERS = FRESH | {"others": True}
NEXT, STOP, WAIT = Then("next"), Then("stop"), Then("again", 0.2)


def failed(status: int = 500, **more: Any) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_FAILED, "x", status=status, **more)


def refused(status: int, **more: Any) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_REFUSED, "x", status=status, **more)


@pytest.mark.parametrize(
    ("error", "tried", "then"),
    [
        # a provider's failures: the next target at once, else the same one after a wait
        (failed(), OTHERS, NEXT),
        (failed(), FRESH, WAIT),
        (failed(429), OTHERS, NEXT),
        (failed(429), FRESH, WAIT),
        (failed(529), FRESH, WAIT),
        (GatewayError(Kind.UPSTREAM_UNREACHABLE, "x"), FRESH, WAIT),
        (GatewayError(Kind.UPSTREAM_TIMEOUT, "x"), OTHERS, NEXT),
        (GatewayError(Kind.UPSTREAM_BROKEN, "x"), FRESH, WAIT),
        # a pool of ours that is full: another provider must not suffer from it
        (GatewayError(Kind.OVERLOADED, "x"), OTHERS, NEXT),
        (GatewayError(Kind.OVERLOADED, "x"), FRESH, WAIT),
        # what this target will show again
        (GatewayError(Kind.UPSTREAM_TLS, "x"), OTHERS, NEXT),
        (GatewayError(Kind.UPSTREAM_TLS, "x"), FRESH, STOP),
        (GatewayError(Kind.UPSTREAM_PROTOCOL, "x"), OTHERS, NEXT),
        (GatewayError(Kind.UPSTREAM_PROTOCOL, "x"), FRESH, STOP),
        (failed(429, retryable=False, code="insufficient_quota"), OTHERS, NEXT),
        (failed(429, retryable=False, code="insufficient_quota"), FRESH, STOP),
        (refused(401), OTHERS, NEXT),
        (refused(401), FRESH, STOP),
        (refused(404), OTHERS, NEXT),
        (refused(400, code="context_length_exceeded"), OTHERS, NEXT),
        (refused(400, code="context_length_exceeded"), FRESH, STOP),
        (GatewayError(Kind.BAD_REQUEST, "x", code="unsupported_parameter"), OTHERS, NEXT),
        # what the client did wrong, and what is wrong here
        (refused(400), OTHERS, STOP),
        (refused(422), OTHERS, STOP),
        (GatewayError(Kind.BAD_REQUEST, "x"), OTHERS, STOP),
        (GatewayError(Kind.CLIENT_GONE, "x"), OTHERS, STOP),
        (GatewayError(Kind.SHUTTING_DOWN, "x"), OTHERS, STOP),
        (GatewayError(Kind.INTERNAL, "x"), OTHERS, STOP),
        # enough
        (failed(), OTHERS | {"shown": True}, STOP),
        (failed(), OTHERS | {"tries": 3}, STOP),
        (failed(), OTHERS | {"left": 0.0}, STOP),
        # waits
        (failed(), FRESH | {"rounds": 2, "tries": 2}, Then("again", 0.8)),
        (failed(), FRESH | {"rounds": 60, "tries": 2}, Then("again", 5.0)),
        (failed(429, retry_after=2.5), FRESH, Then("again", 2.5)),
        (failed(429, retry_after=2.5), OTHERS, NEXT),
        (failed(429, retry_after=0.0), FRESH, WAIT),
        (failed(429, retry_after=5.1), FRESH, STOP),
        (failed(429, retry_after=2.5), FRESH | {"left": 2.0}, STOP),
    ],
)
def test_what_follows(error: GatewayError, tried: dict[str, Any], then: Then) -> None:
    """A client would see an error that another target could have absorbed, or a provider would be asked in vain."""
    assert decide(error, Tried(**tried), Retry(), 0.0) == then


@given(st.floats(0, 1), st.integers(0, 10_000))
def test_waits_differ_and_are_bounded(dice: float, rounds: int) -> None:
    """All clients of an outage would come back in the same instant, or never."""
    then = decide(failed(), Tried(1, rounds, others=False, shown=False, left=60.0), Retry(), dice)
    assert then.what == "again"
    assert 0.15 <= then.wait <= 5.0
    longest = decide(failed(), Tried(1, rounds, others=False, shown=False, left=60.0), Retry(), 0.0)
    assert longest.wait * 0.75 <= then.wait <= longest.wait
