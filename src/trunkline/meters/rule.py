"""One limit or budget, and those that go together: what is to be counted for whom, and how much there may be. Frozen data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from trunkline.meters.windows import Period

What = Literal["requests", "tokens", "concurrent", "money"]


class Rule(msgspec.Struct, frozen=True):
    """One limit or budget of one holder."""

    holder: str
    """Who has it: `key:ci`, `user:ann`, `team:lab`, `organisation:acme`, `model:gpt-4.1`, `provider:openai`."""
    what: What
    amount: int
    """Requests or tokens a minute, requests at the same time, nano-dollars in a window."""
    period: Period = "total"
    """Of money."""
    zone: str = "UTC"
    """Whose midnight begins a window (an IANA name)."""
    hard: bool = True
    """False: money beyond it is told of, nothing is refused."""
    alert_at: tuple[int, ...] = ()
    """Per cent of the amount at which somebody is told, ascending."""

    @property
    def ident(self) -> str:
        """What its counter is called: the amount may change while it goes on counting."""
        return f"{self.holder}/{self.what}" if self.what != "money" else f"{self.holder}/money/{self.period}/{self.zone}"


class Rules(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """Those that one key, model or provider is under. Compared by identity: made once, looked up by every request."""

    rules: tuple[Rule, ...]

    def of(self, what: What) -> Iterable[Rule]:
        """Those that count one thing."""
        return (rule for rule in self.rules if rule.what == what)

    @property
    def has_hard_budget(self) -> bool:
        """Money beyond some amount is refused."""
        return any(rule.what == "money" and rule.hard for rule in self.rules)


NO_RULES = Rules(())
