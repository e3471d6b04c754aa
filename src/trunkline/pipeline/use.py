"""What a request may use, what each of its attempts used, and what all of them did. Words only: reckoning is `estimate`'s and
`settle`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from trunkline.canon.usage import NO_USAGE, Usage


class Estimate(NamedTuple):
    """What one request may use at most, before it is asked."""

    tokens: int
    """Of prompt and answer, as good as they can be guessed."""
    nano: int
    """Nano-dollars, from above."""
    unpriced: str = ""
    """A target that may be asked and whose price nobody knows."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, as the ledger keeps it. Times in whole milliseconds."""

    provider: str
    model: str
    began_ms: int
    """After the request came in."""
    took_ms: int
    error: str = ""
    """A `Kind`, `outrun` where another attempt was quicker, `filtered` where a filter emptied its answer; empty where it
    answered."""
    status: int = 0
    """The provider's own, where it refused."""
    seat: int = 0
    """Which of its credentials."""
    hedged: bool = False
    """Asked beside another one that was slow to begin."""
    input: int = 0
    """Tokens that it used, as far as that is known."""
    output: int = 0
    nano: int | None = None
    """What that cost, nano-dollars; None where nothing was used or no price is known."""


@dataclass(slots=True)
class Spent:
    """What attempts used that are over and were not the client's answer. Copies of an exchange have it together."""

    usage: Usage = NO_USAGE
    nano: int | None = None
    """What that cost, in nano-dollars; None where a part of it has no price."""
    reported: int | None = None
    """What its providers say that it cost; None where one of them does not."""
    asked: bool = False
    """A provider was given the request and is about it."""
