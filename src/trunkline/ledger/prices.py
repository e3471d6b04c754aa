"""What models cost: the bundled price list, and the arithmetic that turns usage into nano-dollars. Integers only.

`prices.json` is compiled from the package genai-prices by `scripts/build_prices.py`, whose docstring tells the form. Who
may spend how much belongs in `policy`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.canon.usage import Usage

FREE_KINDS = frozenset({"echo", "ollama"})
"""Kinds of provider that cost nothing, whatever the model: they run on one's own machine."""
MAX_REMEMBERED = 4096
"""Look-ups kept. Clients choose model names, so this is bounded; the oldest goes first."""
MAX_NAME = 256
"""Characters of a model's name; a longer one has no price."""

_PER = 1_000_000
_SECOND_NS = 1_000_000_000
_DAY_SECONDS = 86_400


class Rate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nano-dollars per million tokens, for prompts of more than `above` tokens. Each part has its own, if only its whole's."""

    above: int = 0
    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    request: int = 0
    """Nano-dollars per million requests."""


class Period(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rates and when they hold."""

    rates: tuple[Rate, ...]
    """By `above`, ascending; the first is for all prompts."""
    since_ns: int = 0
    """From this time on, nanoseconds since the epoch."""
    daily: tuple[int, int] | None = None
    """Only from the first up to the second, in seconds of the day (UTC); over midnight where the second is smaller."""

    def holds(self, at_ns: int) -> bool:
        """Whether these rates are in force at a time."""
        if at_ns < self.since_ns:
            return False
        if self.daily is None:
            return True
        start, end = self.daily
        second = at_ns // _SECOND_NS % _DAY_SECONDS
        return start <= second < end if start <= end else second >= start or second < end


class Price(msgspec.Struct, frozen=True, gc=False):
    """What one model costs, over time."""

    periods: tuple[Period, ...]
    """The last that holds counts; the first where none does."""

    def cost(self, usage: Usage, at_ns: int) -> int:
        """Nano-dollars for `usage` by a request started at `at_ns`; rounded once, half up. Never negative.

        Every token is charged once: parts that together exceed their whole are cut, cache before audio, reasoning before audio.
        """
        rate = self._rate(usage.input, at_ns)
        rest = usage.input
        total = rate.request
        for count, part_rate in (
            (usage.cache_read, rate.cache_read),
            (usage.cache_write_5m, rate.cache_write_5m),
            (usage.cache_write_1h, rate.cache_write_1h),
            (usage.audio_input, rate.audio_input),
        ):
            if count:
                taken = min(count, rest)
                rest -= taken
                total += taken * part_rate
        total += rest * rate.input
        rest = usage.output
        for count, part_rate in ((usage.reasoning, rate.reasoning), (usage.audio_output, rate.audio_output)):
            if count:
                taken = min(count, rest)
                rest -= taken
                total += taken * part_rate
        return (total + rest * rate.output + _PER // 2) // _PER

    def per_token(self, at_ns: int) -> tuple[float, float]:
        """Nano-dollars of a token in and of one out, for a short prompt: to compare models, not to charge."""
        rate = self._rate(0, at_ns)
        return rate.input / _PER, rate.output / _PER

    def _rate(self, prompt: int, at_ns: int) -> Rate:
        """The rate for a prompt of this many tokens at this time."""
        periods = self.periods
        period = periods[0]
        if len(periods) > 1:
            period = next((later for later in reversed(periods) if later.holds(at_ns)), period)
        rates = period.rates
        if len(rates) > 1:
            return next((rate for rate in reversed(rates) if prompt > rate.above), rates[0])
        return rates[0]


FREE = Price((Period((Rate(),)),))


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


def _dashed(name: str) -> str:
    """Some write a date as 20260131 where the list has 2026-01-31."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


class Prices:
    """The price list, for look-ups."""

    def __init__(self, bundled: PriceList) -> None:
        self.version = bundled.version
        self._kinds = bundled.kinds
        self._found: dict[tuple[str, str], Price | None] = {}

    @classmethod
    def load(cls) -> Prices:
        """The bundled list."""
        return cls(msgspec.json.decode(Path(__file__).with_name("prices.json").read_bytes(), type=PriceList))

    def find(self, kind: str, model: str) -> Price | None:
        """The price of a model at a kind of provider (`openai`, `groq`, …); None where it is not known."""
        try:
            return self._found[kind, model]
        except KeyError:
            pass
        price = self._look_up(kind, model) if len(model) <= MAX_NAME else None
        if len(self._found) >= MAX_REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[kind, model[: MAX_NAME + 1]] = price
        return price

    def per_token(self, kind: str, model: str, at_ns: int) -> tuple[float, float] | None:
        """Nano-dollars of a token in and of one out, to compare models; None where the price is not known."""
        found = self.find(kind, model)
        return None if found is None else found.per_token(at_ns)

    def _look_up(self, kind: str, model: str) -> Price | None:
        if kind in FREE_KINDS:
            return FREE
        name, kind = model.lower(), _PRICED_AS.get(kind, kind)
        entries = self._kinds.get(kind, ())
        names = (name, name.rpartition("/")[2]) if kind in _SOLE_OWNERS else (name,)
        for spelling in (dated for known in names for dated in (known, _dashed(known))):
            for entry in entries:
                if entry.match.matches(spelling):
                    return Price(entry.periods) if entry.periods else None
        return None
