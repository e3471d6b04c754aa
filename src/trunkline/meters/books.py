"""All that a process counts, by name: buckets, slots, purses. What nobody needs any more is forgotten here.

Whoever counts keeps what stands side by side for a set of rules, and makes it anew when the books say so.
"""

from __future__ import annotations

from collections.abc import Callable

from trunkline.meters.gauges import Bucket, Purse, Slots
from trunkline.meters.rule import Rule
from trunkline.meters.windows import Window

_SECOND_NS = 1_000_000_000
_KEPT_NS = 2 * 86_400 * _SECOND_NS
"""How long a window that has ended is kept: requests that began in it settle, and a clock may be set back."""
_IDLE_NS = 3600 * _SECOND_NS
"""How long a bucket that is full again is kept: requests that took of it settle."""
_FEW = 1024
"""Purses that may be kept however old they are."""


class Books:
    """The counters of one process."""

    def __init__(self, mono: Callable[[], int], born_ns: int) -> None:
        """`mono`: a monotonic clock's nanoseconds. `born_ns`: the wall clock now."""
        self.mono = mono
        self.slots: dict[str, Slots] = {}
        self.purses: dict[tuple[str, int], Purse] = {}
        self.forgetting: list[Callable[[], None]] = []
        """Called before something is forgotten: nobody may go on with what he had at hand."""
        self._buckets: dict[str, Bucket] = {}
        self._ahead = born_ns - mono()
        self._most = _FEW

    def wall(self) -> int:
        """What the wall clock says if nobody set it since the beginning: nanoseconds since the epoch."""
        return self.mono() + self._ahead

    def bucket(self, ident: str) -> Bucket:
        """The bucket of that name."""
        return self._buckets.get(ident) or self._buckets.setdefault(ident, Bucket())

    def slot(self, ident: str) -> Slots:
        """The slots of that name."""
        return self.slots.get(ident) or self.slots.setdefault(ident, Slots(ident))

    def open(self, rule: Rule, there: Window) -> Purse:
        """A purse for a window that has none yet, empty."""
        if len(self.purses) >= self._most:
            self.sweep()
        purse = self.purses[rule.ident, there.begin] = Purse(rule, there)
        return purse

    def sweep(self) -> None:
        """Forget what counts nothing any more."""
        now, wall = self.mono(), self.wall()
        for forget in self.forgetting:
            forget()
        self._buckets = {name: one for name, one in self._buckets.items() if one.full_at > now - _IDLE_NS}
        self.slots = {name: one for name, one in self.slots.items() if one.busy}
        self.purses = {key: one for key, one in self.purses.items() if _needed(one, wall)}
        self._most = max(2 * len(self.purses), _FEW)


def _needed(purse: Purse, wall: int) -> bool:
    return bool(purse.reserved or purse.unsent) or purse.window.end > wall - _KEPT_NS
