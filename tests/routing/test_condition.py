"""What people are shown of a target."""

from __future__ import annotations

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Origin
from trunkline.providers.allowances import Told
from trunkline.providers.provider import Provider, Target
from trunkline.routing.condition import Condition, condition
from trunkline.routing.course import Standings

TARGET = Target(Provider("lab", "openai", Origin("http", "h", 1), {"openai_chat": ""}), "m")


def test_a_target_that_nobody_asked() -> None:
    """It must look the same whether the gateway knows it already or not."""
    assert condition(Standings(lambda _: None).of(TARGET), 100.0) == Condition()


def test_a_target_at_work() -> None:
    """An operator reads from it why requests go elsewhere."""
    standings = Standings(lambda _: None)
    standing = standings.of(TARGET)
    for n in range(3):
        standings.asked(standing, 100, 100.0 + n)
        standing.busy -= n > 0
    standing.succeeded(100.0, 100.5, 0.25)
    standing.failed(101.0, 101.5, GatewayError(Kind.UPSTREAM_FAILED, "no", status=429, retry_after=30.0))
    standing.told(Told(requests_left=7, requests_limit=10, requests_reset=60.0), 102.0)
    told = condition(standing, 103.0)
    assert (told.state, told.busy, told.served, told.first_p95) == ("open", 1, 1, None)
    assert 27 < told.rests <= 30
    assert told.first_p50 is not None
    assert 0.25 <= told.first_p50 <= 0.3
    assert told.requests_left is not None
    assert 0 < told.requests_left < 8
    assert told.tokens_left is None


def test_what_was_told_long_ago_is_not_known() -> None:
    """A limit of an hour ago would look like one of now."""
    standing = Standings(lambda _: None).of(TARGET)
    standing.told(Told(tokens_left=50, tokens_limit=100, tokens_reset=10.0), 100.0)
    assert condition(standing, 101.0).tokens_left == 50
    assert condition(standing, 500.0).tokens_left is None
