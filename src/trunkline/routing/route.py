"""What a client's model name means: a list of targets and how to use them.

Choosing among several belongs in `choose` when it lands; reading the configuration belongs in `config`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.wire import Deadlines
from trunkline.providers.provider import Target


class Route(msgspec.Struct, frozen=True):
    """One model name a client may ask for. `targets` is never empty."""

    name: str
    targets: tuple[Target, ...]
    deadlines: Deadlines
