"""What the house asks of its meters: reserve before a request, settle after it. How they count is `local`'s and `redis`'s.

Money and tokens are reserved by an upper estimate and settled by what was really used, more or less. A request is charged to
the windows in which it began.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import msgspec

from trunkline.meters.rule import Rule, Rules
from trunkline.meters.windows import Window


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a request asks for."""

    rules: tuple[Rules, ...]
    """All that it is under, each once."""
    tokens: int
    """An upper estimate of what it will use."""
    nano: int
    """The same in nano-dollars; 0 where it costs nothing."""
    started_ns: int
    """When it began, nanoseconds since the epoch."""


class Room(msgspec.Struct, frozen=True, gc=False):
    """What a limit still has, as clients are told."""

    limit: int
    """Requests or tokens a minute."""
    remaining: int
    reset: float
    """Seconds until all of it is there again."""


class Refused(NamedTuple):
    """A request that may not begin."""

    rule: Rule
    """The one that says so; of several the one that takes longest."""
    retry_after: float | None
    """Seconds until it may be tried again; None where no time heals it."""
    reserved: bool = False
    """What others reserved and may not use is in the way."""
    unknown: bool = False
    """What was spent is not known at the moment, so nothing more is."""
    requests: Room | None = None
    tokens: Room | None = None


class Hold(Protocol):
    """What one request holds until it is settled."""

    @property
    def requests(self) -> Room | None:
        """Of the limits of requests a minute, the one with the least left; None where there is none."""
        ...

    @property
    def tokens(self) -> Room | None:
        """The same of tokens."""
        ...


class Meters(Protocol):
    """All counters. Used from the loop's thread."""

    async def reserve(self, claim: Claim) -> Hold | Refused:
        """Let a request begin, or not: all its rules, or none of them, count it."""
        ...

    def wait(self, rules: Rules, tokens: int) -> float:
        """Seconds until such a request may be let in, as far as this process knows; 0 where it may be now. Money aside; takes
        nothing.
        """
        ...

    def settle(self, hold: Hold, tokens: int, nano: int) -> None:
        """It is over and used so much. Exactly once for each hold; never waits."""
        ...

    async def close(self) -> None:
        """Nobody reserves anything any more: tell others what they have to know, as far as they listen."""
        ...


Spent = Callable[[str, Window], Awaitable[int]]
"""Nano-dollars that a holder's requests cost that began in a window, as the ledger knows. Raises where that cannot be told."""
Crossed = Callable[[Rule, Window, int, int], None]
"""Told that what was spent crossed one of a rule's marks: (rule, window, per cent, nano-dollars spent). Perhaps twice."""
