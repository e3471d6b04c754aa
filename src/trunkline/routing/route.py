"""What a client's model name means: a list of targets and how to use them.

Their order belongs in `choose`, what follows when one of them fails in `retry`; reading the configuration in `config`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.canon.wire import Deadlines
from trunkline.providers.provider import Target
from trunkline.routing.retry import Retry

Strategy = Literal["ordered", "weighted"]


class Route(msgspec.Struct, frozen=True):
    """One model name a client may ask for. `targets` is never empty."""

    name: str
    targets: tuple[Target, ...]
    """As they are written."""
    deadlines: Deadlines
    """Of one attempt; `total` is that of all of them together."""
    retry: Retry = Retry(attempts=1)
    fallbacks: tuple[Target, ...] = ()
    """Tried after all targets."""
    strategy: Strategy = "ordered"
