"""The closed list of failures: every kind has its facts, and a caller may override them."""

from __future__ import annotations

import pytest

from trunkline.canon.errors import GatewayError, Kind


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_status_a_culprit_and_a_verdict(kind: Kind) -> None:
    """A kind without facts would be a KeyError in the middle of answering an error."""
    error = GatewayError(kind, "what happened")
    assert 400 <= error.status < 600
    assert error.fault in {"client", "gateway", "upstream"}
    assert isinstance(error.retryable, bool)
    assert str(error) == error.message == "what happened"


@pytest.mark.parametrize(
    ("kind", "status", "fault", "retryable"),
    [
        (Kind.BAD_REQUEST, 400, "client", False),
        (Kind.RATE_LIMITED, 429, "client", True),
        (Kind.SHUTTING_DOWN, 503, "gateway", True),
        (Kind.UPSTREAM_TIMEOUT, 504, "upstream", True),
        (Kind.UPSTREAM_REFUSED, 400, "upstream", False),
        (Kind.UPSTREAM_PROTOCOL, 502, "upstream", True),
    ],
)
def test_defaults_come_from_the_kind(kind: Kind, status: int, fault: str, retryable: bool) -> None:
    """Retries and the client's status hang on these; a slip would retry what costs money, or blame the client."""
    error = GatewayError(kind, "")
    assert (error.status, error.fault, error.retryable) == (status, fault, retryable)


def test_what_the_caller_says_wins_over_the_kind() -> None:
    """A provider's own status must go through, a zero or a False included."""
    error = GatewayError(Kind.UPSTREAM_FAILED, "", status=429, retryable=False, retry_after=0.0, code="c", param="p")
    assert (error.status, error.retryable, error.retry_after, error.code, error.param) == (429, False, 0.0, "c", "p")
