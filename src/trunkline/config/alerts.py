"""From what is written of alerts to where they go, and what signs them."""

from __future__ import annotations

import msgspec
from typing_extensions import override

from trunkline.config.reach import Context
from trunkline.config.schema_alerts import AlertsSpec, signing_key
from trunkline.config.web import place
from trunkline.edge.call import Place

_LONG = 24
"""Characters of a path that may be what a receiver knows its callers by; every signing secret has more."""


class AlertSettings(msgspec.Struct, frozen=True):
    """Who is told of what. `repr` shows no secret; the place may be one, too."""

    place: Place
    key: bytes
    """Signs each alert."""
    events: frozenset[str]
    secrets: tuple[bytes, ...]
    """As they stand in the configuration."""

    @override
    def __repr__(self) -> str:
        """Which events only."""
        return f"AlertSettings({', '.join(sorted(self.events))})"


def compile_alerts(spec: AlertsSpec | None, context: Context) -> AlertSettings | None:
    """None where nobody is to be told."""
    if spec is None:
        return None
    secret, path = spec.secret.get_secret_value(), spec.url.path
    secrets = tuple(one.encode("ascii") for one in (secret, path) if len(one) >= _LONG)
    return AlertSettings(place(spec.url, spec.ca, ("alerts",), context), signing_key(secret), frozenset(spec.events), secrets)
