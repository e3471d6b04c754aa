"""A route is a plain value that many requests share."""

from __future__ import annotations

import pytest

from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.route import Route


def test_a_route_cannot_be_changed() -> None:
    """A request keeps its route while the configuration is swapped: nobody may change it under it."""
    provider = Provider("lab", "openai", Origin("http", "127.0.0.1", 1), {"openai_chat": "/v1"})
    route = Route("m", (Target(provider, "tiny"),), Deadlines())
    with pytest.raises(AttributeError):
        route.targets = ()  # type: ignore[misc]
    assert route.targets[0].model == "tiny"
