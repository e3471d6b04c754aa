"""What models cost: the bundled price list, the prices a person sets beside it, and how a model is found in them.

`prices.json` is compiled from the package genai-prices by `scripts/build_prices.py`, whose docstring tells the form. The
arithmetic belongs in `price`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.ledger.overrides import Override, own_periods
from trunkline.ledger.price import FREE, Period, Price

FREE_KINDS = frozenset({"echo", "ollama"})
"""Kinds of provider that cost nothing, whatever the model: they run on one's own machine."""
MAX_REMEMBERED = 4096
"""Look-ups kept. Clients choose model names, so this is bounded; the oldest goes first."""
MAX_NAME = 256
"""Characters of a model's name; a longer one has no price."""
REPORTED = "reported"
"""Instead of a version: the provider said what it costs, and no list does."""

_HALF = (("batch", 500_000), ("flex", 500_000))
_TIERS = {"anthropic": _HALF[:1], "bedrock": _HALF, "gemini": _HALF, "openai": _HALF}
"""Ways of being served that a kind sells at one share of its list, whatever the model.

Batch at half, flex as batch: https://platform.openai.com/docs/pricing, https://docs.claude.com/en/docs/about-claude/pricing,
https://ai.google.dev/gemini-api/docs/pricing, https://aws.amazon.com/bedrock/pricing.
`priority` differs from model to model; only a person can set it.
"""


class Rule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A test of a model's name, in lower case."""

    op: Literal["=", "^", "$", "*", "~", "&", "|"]
    """equals, starts with, ends with, contains, matches the regular expression; all of, any of."""
    text: str = ""
    rules: tuple[Rule, ...] = ()

    def matches(self, name: str) -> bool:  # noqa: PLR0911 - one return per operator
        """Whether `name` passes."""
        match self.op:
            case "=":
                return name == self.text
            case "^":
                return name.startswith(self.text)
            case "$":
                return name.endswith(self.text)
            case "*":
                return self.text in name
            case "~":
                return re.search(self.text, name) is not None
            case "&":
                return all(rule.matches(name) for rule in self.rules)
            case _:
                return any(rule.matches(name) for rule in self.rules)


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One model of the list. Without periods its price cannot be told from tokens."""

    model: str
    match: Rule
    periods: tuple[Period, ...]


class PriceList(msgspec.Struct, frozen=True):
    """The file."""

    version: str
    """Goes onto each record: the source's name, its version, and the day it was compiled."""
    source: str
    date: str
    kinds: dict[str, tuple[Entry, ...]]
    """By our provider kind; the first entry that matches counts."""


_PRICED_AS = {"azure": "openai", "vertex": "gemini"}
"""Kinds that sell at another's list prices; what a region or a contract adds is not in it."""
_SOLE_OWNERS = frozenset({"anthropic", "bedrock", "gemini", "openai"})
"""Kinds where what stands before the name's last slash says nothing: an owner (`models/`, `google/`), the rest of an ARN."""
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def _names(kind: str, name: str) -> tuple[str, ...]:
    """What a model may be called in a list: also without its owner, and with a date as 2026-01-31 where it has 20260131."""
    names = (name, name.rpartition("/")[2]) if kind in _SOLE_OWNERS else (name,)
    return tuple(dict.fromkeys(dated for known in names for dated in (known, _COMPACT_DATE.sub(r"-\1-\2-\3", known))))


@functools.cache
def bundled() -> PriceList:
    """The bundled list. Decoded once; shared."""
    return msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=PriceList)


class Prices:
    """All prices that are in force, for look-ups. Another configuration makes another one."""

    def __init__(self, listed: PriceList, overrides: Sequence[Override] = ()) -> None:
        """Of `overrides` that say the same as closely, the later counts; see `overrides.own_periods`."""
        self.listed = listed.version
        """The version of the bundled list."""
        self._kinds = listed.kinds
        self.overrides = tuple(overrides)
        """Those set by a person."""
        self._found: dict[tuple[str, str, str], Price | None] = {}

    @classmethod
    def load(cls, overrides: Sequence[Override] = ()) -> Prices:
        """The bundled list, and what a person sets."""
        return cls(bundled(), overrides)

    def find(self, provider: str, kind: str, model: str, at_ns: int) -> Period | None:
        """The price of a model at a provider of some kind (`openai`, `groq`, …) at a time; None where it is not known."""
        try:
            price = self._found[provider, kind, model]
        except KeyError:
            price = self._remember(provider, kind, model)
        return None if price is None else price.at(at_ns)

    def version(self, period: Period) -> str:
        """What goes onto the records that it prices."""
        return f"{self.listed} + {period.mark}" if period.mark else self.listed

    def per_token(self, provider: str, kind: str, model: str, at_ns: int) -> tuple[float, float] | None:
        """Nano-dollars of a token in and of one out, to compare models; None where the price is not known."""
        found = self.find(provider, kind, model, at_ns)
        return None if found is None else found.per_token()

    def _remember(self, provider: str, kind: str, model: str) -> Price | None:
        price = self._look_up(provider, kind, model) if len(model) <= MAX_NAME else None
        if len(self._found) >= MAX_REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[provider, kind, model[: MAX_NAME + 1]] = price
        return price

    def _look_up(self, provider: str, kind: str, model: str) -> Price | None:
        names = _names(_PRICED_AS.get(kind, kind), model.lower())
        listed = FREE if kind in FREE_KINDS else self._listed(_PRICED_AS.get(kind, kind), names)
        own = own_periods(self.overrides, provider, kind, names) if self.overrides else ()
        if not own:
            return listed
        return Price(() if listed is None else listed.periods, own)

    def _listed(self, kind: str, names: Sequence[str]) -> Price | None:
        entries = self._kinds.get(kind, ())
        for name in names:
            for entry in entries:
                if entry.match.matches(name):
                    return _of(entry, _TIERS.get(kind, ()))
        return None


def _of(entry: Entry, tiers: tuple[tuple[str, int], ...]) -> Price | None:
    if not entry.periods:
        return None
    return Price(tuple(msgspec.structs.replace(period, tiers=tiers) for period in entry.periods) if tiers else entry.periods)
