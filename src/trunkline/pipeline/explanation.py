"""What can be said of a request before it is sent, as data: for programs as JSON, for people by `cli.explain`.

Holds no credential, neither the client's nor a provider's. How it is found out belongs in `explain`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from trunkline.meters.rule import What
from trunkline.meters.windows import Period
from trunkline.routing.condition import Condition


class KeyTold(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    """Empty where no key was named: one that may use everything is taken."""
    tags: tuple[str, ...]
    priority: str
    models: tuple[str, ...] | None
    """What it may use; None: everything."""


class RuleTold(msgspec.Struct, frozen=True):
    """One rule that was looked at."""

    route: str
    number: int
    """Counted from 1."""
    when: str
    """What it asks for, in words."""
    holds: bool
    """It is the one that was followed: the first that holds counts."""
    use: str
    """The model that it leads to."""


class RouteTold(msgspec.Struct, frozen=True):
    """What the model's name means."""

    asked: str
    """As the client names it."""
    meant: str
    """As the key's own aliases read it; mostly the same."""
    name: str
    """After the rules; empty where there is no such model."""
    entry: str
    """The name under which it is configured."""
    allowed: bool
    """The key may use it."""
    strategy: str
    affinity: str
    attempts: int
    total: float
    """Seconds that the request may take, all attempts together."""
    rules: tuple[RuleTold, ...] = ()


class Seen(msgspec.Struct, frozen=True):
    """What is seen of the request."""

    tokens: int
    """Of the prompt, guessed from its size."""
    output: int
    """Tokens that the answer may have; 0 where the request says nothing."""
    media: tuple[str, ...]
    tools: bool
    schema: bool
    stream: bool


class CandidateTold(msgspec.Struct, frozen=True):
    """One target."""

    provider: str
    model: str
    credential: int
    """Which of its provider's, counted from 1."""
    weight: float
    place: int | None
    """When it would be asked, counted from 1, if all before it failed; None: it would not."""
    condition: Condition
    fallback: bool = False
    reason: str = ""
    """Why it cannot take this request, or is not well; else empty."""


class Carried(msgspec.Struct, frozen=True):
    """How the request is carried."""

    way: Literal["bytes", "translated"]
    client: str
    """The client's dialect."""
    provider: str
    """The one in which the target is spoken to."""
    dropped: tuple[str, ...]
    """What the target cannot be told, by name."""
    fetched: tuple[str, ...]
    """URLs whose content the gateway would fetch and put in."""
    refused: tuple[str, ...]
    """Targets to which it cannot be written at all, so that the next one is asked; and the kind of error."""


class Cost(msgspec.Struct, frozen=True):
    """What it may cost, in nano-dollars; the prompt's tokens are guessed."""

    input_tokens: int
    least: int
    """The prompt alone."""
    output_tokens: int
    """At most; 0 where the request sets no limit."""
    most: int | None
    """With all of them; None where the request sets no limit."""


class LimitTold(msgspec.Struct, frozen=True):
    """A limit or a budget that the request is under."""

    holder: str
    """Whose it is: `key:ci`, `team:lab`, `model:smart`, `provider:openai`."""
    what: What
    """Of requests and tokens there may be so many a minute, of money (nano-dollars) in a period."""
    amount: int
    period: Period | None
    """Of money."""
    zone: str
    hard: bool
    """More than that is refused."""
    spent: int | None
    """Nano-dollars spent of it, as the ledger knows; None where it was not looked at."""


class Reserved(msgspec.Struct, frozen=True):
    """What it would hold of them until its end."""

    tokens: int
    nano: int
    """Nano-dollars at most."""
    unpriced: str
    """A target that may be asked and whose price nobody knows; else empty."""


class Sent(msgspec.Struct, frozen=True):
    """The request as it would go out, secrets as `***`."""

    method: str
    url: str
    proxy: str
    """Through this one, `host:port`; else empty."""
    headers: tuple[tuple[str, str], ...]
    body: str


class Refused(msgspec.Struct, frozen=True):
    """What the client would get instead."""

    status: int
    kind: str
    body: str
    """In the client's dialect."""


class Explanation(msgspec.Struct, frozen=True):
    """One request, explained."""

    endpoint: str
    key: KeyTold
    route: RouteTold | None
    """None where no model was named, or the request could not be read."""
    seen: Seen | None
    candidates: tuple[CandidateTold, ...]
    """In the order in which they would be asked, then those that would not."""
    carried: Carried | None
    cost: Cost | None
    """None where no price is known."""
    limits: tuple[LimitTold, ...]
    reserved: Reserved | None
    """None where that is not known, or nothing limits it."""
    sent: Sent | None
    """What would go out first; None where nothing would."""
    refused: Refused | None
    notes: tuple[str, ...]
