"""What is counted: requests or tokens by GCRA, requests at once, money of one window. State only; the amounts are the rules'.

GCRA is the leaky bucket as a meter (ITU-T I.371, annex A): one number says when all that was taken will have been given back.
A bucket holds a minute's worth, so nobody is refused who spreads a minute's requests as he likes. The number is a time and
not a count, so an amount may change, or differ from one process to the next, while it goes on counting.
"""

from __future__ import annotations

from trunkline.meters.rule import Rule
from trunkline.meters.windows import Window

MINUTE = 60_000_000_000
"""Nanoseconds."""


class Bucket:
    """Requests or tokens a minute."""

    __slots__ = ("full_at",)

    def __init__(self) -> None:
        self.full_at = 0
        """When all of it will be there again, if nothing more is taken: a monotonic clock's nanoseconds."""


class Slots:
    """Requests at the same time."""

    __slots__ = ("busy", "ident", "key", "others")

    def __init__(self, ident: str) -> None:
        self.ident = ident
        self.key = b""
        """What it is called in Redis, once it was."""
        self.busy = 0
        """Those of this process."""
        self.others = 0
        """Those of other processes, when they were last heard of."""


class Purse:
    """Money of one window. Nano-dollars."""

    __slots__ = ("key", "others", "reserved", "rule", "seed", "seen", "spent", "unsent", "window")

    def __init__(self, rule: Rule, window: Window) -> None:
        self.rule = rule
        """The one that it was last asked for by: its amount may change, its name may not."""
        self.window = window
        self.key = b""
        """What it is called in Redis, once it was."""
        self.spent = 0
        """By everybody, as far as this process knows."""
        self.reserved = 0
        """By this process's requests that still run."""
        self.others = 0
        """The same of other processes, when they were last heard of."""
        self.unsent = 0
        """Spent by this process, in `spent`, and not yet told to the others."""
        self.seen: int | None = None
        """When `spent` was last known to be everybody's: a monotonic clock's nanoseconds; None where it never was."""
        self.seed = b""
        """Names the beginning from which everybody counts together; empty where this process does not know it."""
