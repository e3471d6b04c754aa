"""What a client's model name means: a list of targets and how to use them.

Their order belongs in `choose`, what follows when one of them fails in `retry`; reading the configuration in `config`.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from trunkline.canon.wire import Deadlines
from trunkline.meters.rule import NO_RULES, Rules
from trunkline.providers.provider import Target
from trunkline.routing.retry import Retry

Strategy = Literal["ordered", "weighted", "latency", "least_busy", "cost"]
"""`latency`: the one whose first token (a stream's) or whole answer came soonest of late. `least_busy`: the fewest requests
in flight for its weight. `cost`: the cheapest for this request, as far as its size tells."""
Affinity = Literal["none", "session", "prompt"]
"""What keeps coming to one target, for its prompt cache. `session`: a client's session, as its own headers name it; else as
`prompt`. `prompt`: what begins alike: tools, instructions, the first message."""
Trait = Literal["media", "tools", "schema", "size"]
"""What a request may hold that some targets do not take."""


class When(msgspec.Struct, frozen=True):
    """What a rule asks of a request; what is None or empty does not matter, all else must hold."""

    images: bool | None = None
    """It holds a picture."""
    tools: bool | None = None
    stream: bool | None = None
    tokens_over: int | None = None
    """Its prompt has more, as far as its size tells."""
    tokens_under: int | None = None
    tags: frozenset[str] = frozenset()
    """Its key has one of these."""
    headers: tuple[tuple[bytes, re.Pattern[bytes]], ...] = ()
    """Its headers, lower case, and what each must be; one that is not there is nothing."""


class Hedge(msgspec.Struct, frozen=True):
    """When a second target is asked beside one that is slow to begin."""

    after: float | None = None
    """Seconds without a first token; None: longer than 95 of 100 first tokens of that target took."""
    share: float = 0.05
    """Of all requests, how many may be asked twice: the most that it costs."""


class Rule(msgspec.Struct, frozen=True):
    """Requests of a kind that go another way."""

    when: When
    use: Route


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
    rules: tuple[Rule, ...] = ()
    """The first that holds counts."""
    affinity: Affinity = "none"
    hedge: Hedge | None = None
    looks: frozenset[Trait] = frozenset()
    """What of a request must be known to choose: only that is looked for."""
    made: bool = False
    """Made for a name that a client chose and nobody configured."""
    entry: str = ""
    """The name under which it is configured, where clients call it by an alias or one of many names; else empty."""
    limits: Rules = NO_RULES
    """Of all who ask for this model together."""
