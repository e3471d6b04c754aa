"""Targets that nobody calls, and what became of requests there."""

from __future__ import annotations

from typing import Any

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.course import Standings
from trunkline.routing.route import Route
from trunkline.routing.standing import Standing

NOW = 1000.0
DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "down")
REFUSED = GatewayError(Kind.UPSTREAM_REFUSED, "wrong key", status=401)


def provider(name: str = "lab", **more: Any) -> Provider:
    """One that nobody calls."""
    return Provider(name, "openai", Origin("http", "h", 1), {"openai_chat": ""}, **more)


def route(*targets: Target, name: str = "m", **more: Any) -> Route:
    """A model name that leads to these."""
    return Route(name, targets, Deadlines(), **more)


def standings() -> Standings:
    """Nothing is known yet."""
    return Standings(lambda _: (1.0, 2.0))


def failed(standing: Standing, times: int = 5, error: GatewayError = DOWN, now: float = NOW) -> None:
    """So many requests there ended so."""
    for _ in range(times):
        standing.failed(now, now, error)
