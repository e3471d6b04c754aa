"""A target that fails again and again, and comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.health import FIRST_REST, LONGEST_REST, OPENS_AFTER, PROBE, Circuit, Health, counts

DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "x")


def down(times: int = OPENS_AFTER, now: float = 100.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.failed(now, DOWN)
    return circuit


def test_a_few_failures_are_nothing() -> None:
    """One bad moment would turn all traffic away."""
    circuit = down(OPENS_AFTER - 1)
    assert (circuit.state(100.0), circuit.may(100.0)) == ("closed", True)
    circuit.succeeded()
    circuit.failed(100.0, DOWN)
    assert circuit.state(100.0) == "closed", "failures in a row are counted"


def test_it_is_left_alone_and_then_tried_by_one_at_a_time() -> None:
    """All clients at once would bring a provider down again that has just come back."""
    circuit = down()
    assert (circuit.state(100.0), circuit.may(100.0 + FIRST_REST - 0.1)) == ("open", False)
    back = 100.0 + FIRST_REST
    assert (circuit.state(back), circuit.may(back)) == ("half_open", True)
    circuit.asked(back)
    assert not circuit.may(back + 1)
    assert circuit.may(back + PROBE), "a try that is never heard of again keeps nobody from it for ever"
    circuit.succeeded()
    assert (circuit.state(back), circuit.may(back)) == ("closed", True)


def test_it_rests_longer_each_time_it_fails_again() -> None:
    """A provider that is down for an hour would be tried hundreds of times."""
    circuit, now, rests = down(), 100.0, []
    for _ in range(12):
        rest = next(second for second in range(1, 100) if circuit.state(now + second) == "half_open")
        rests.append(rest)
        now += rest
        circuit.asked(now)
        circuit.failed(now, DOWN)
    assert rests[:4] == [10, 20, 40, 60]
    assert set(rests[4:]) == {LONGEST_REST}


@pytest.mark.parametrize(("after", "rest"), [(3.0, 3.0), (3600.0, LONGEST_REST)])
def test_a_provider_that_says_when_is_left_alone_until_then(after: float, rest: float) -> None:
    """Each request until then would be refused as well."""
    circuit = Circuit()
    circuit.failed(100.0, GatewayError(Kind.UPSTREAM_FAILED, "x", status=429, retry_after=after))
    assert (circuit.may(100.0 + rest - 0.1), circuit.may(100.0 + rest)) == (False, True)


@pytest.mark.parametrize(
    ("kind", "more", "counted"),
    [
        (Kind.UPSTREAM_UNREACHABLE, {}, True),
        (Kind.UPSTREAM_TIMEOUT, {}, True),
        (Kind.UPSTREAM_FAILED, {"status": 500}, True),
        (Kind.UPSTREAM_REFUSED, {"status": 401}, True),
        (Kind.UPSTREAM_REFUSED, {"status": 400}, False),
        (Kind.BAD_REQUEST, {}, False),
        (Kind.CLIENT_GONE, {}, False),
        (Kind.OVERLOADED, {}, False),
        (Kind.INTERNAL, {}, False),
    ],
)
def test_what_is_the_targets_fault(kind: Kind, more: dict[str, Any], counted: bool) -> None:
    """One client's bad requests would close a provider to all others."""
    error = GatewayError(kind, "x", **more)
    assert counts(error) is counted
    circuit = Circuit()
    for _ in range(20):
        circuit.failed(100.0, error)
    assert (circuit.state(100.0) == "open") is counted


@given(st.lists(st.tuples(st.sampled_from(["fail", "answer", "ask"]), st.floats(0, 30)), max_size=60))
def test_whatever_happens_it_is_tried_again(events: list[tuple[str, float]]) -> None:
    """A target must never be lost for good."""
    circuit, now = Circuit(), 0.0
    for what, later in events:
        now += later
        if what == "fail":
            circuit.failed(now, DOWN)
        elif what == "answer":
            circuit.succeeded()
        else:
            circuit.asked(now)
    assert circuit.may(now + LONGEST_REST + PROBE)


def test_targets_are_told_apart_and_not_remembered_for_ever() -> None:
    """One model's failures are not another's; and clients choose the names of models."""
    provider = Provider("p", "openai", Origin("http", "h", 1), {"openai_chat": ""})
    health = Health(most=2)
    a, b, c = (Target(provider, name) for name in "abc")
    for _ in range(OPENS_AFTER):
        health.of(a).failed(100.0, DOWN)
    assert health.of(b).may(100.0)
    assert health.unwell(100.0) == {("p", "a"): "open"}
    health.of(c)
    assert health.unwell(100.0) == {}
    assert health.of(c) is health.of(c)
