"""The arithmetic that turns usage into nano-dollars. Integers only, rounded once.

Which price a model has belongs in `prices`, those a person sets in `overrides`; who may spend how much in `policy`.
"""

from __future__ import annotations

import msgspec

from trunkline.canon.usage import NOTHING_TOLD, Told, Usage

WHOLE = 1_000_000
"""A share of all: shares are counted in millionths."""
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
    image_input: int | None = None
    """Tokens of pictures; None: as `input`."""
    image_output: int | None = None
    """Tokens of pictures made; None: as `output`."""
    image: int | None = None
    """Nano-dollars per million pictures made; None: they are not paid by the piece."""

    def sum(self, usage: Usage, told: Told) -> int:
        """Nano-dollars times a million.

        Every token is charged once: parts that together exceed their whole are cut, cache before audio before pictures,
        reasoning before audio.
        """
        rest = usage.input
        total = self.request
        if usage.cache_read or usage.cache_write_5m or usage.cache_write_1h or usage.audio_input:  # mostly there is none
            for count, part_rate in (
                (usage.cache_read, self.cache_read),
                (usage.cache_write_5m, self.cache_write_5m),
                (usage.cache_write_1h, self.cache_write_1h),
                (usage.audio_input, self.audio_input),
            ):
                taken = min(count, rest)
                rest -= taken
                total += taken * part_rate
        if told.image_input and self.image_input is not None:
            taken = min(told.image_input, rest)
            rest -= taken
            total += taken * self.image_input
        return total + rest * self.input + self._output(usage, told)

    def _output(self, usage: Usage, told: Told) -> int:
        total, rest = 0, usage.output
        if usage.reasoning or usage.audio_output:
            for count, part_rate in ((usage.reasoning, self.reasoning), (usage.audio_output, self.audio_output)):
                taken = min(count, rest)
                rest -= taken
                total += taken * part_rate
        if usage.images and self.image is not None:
            total += usage.images * self.image
        if self.image_output is not None and (usage.images or told.image_output):
            taken = min(told.image_output, rest) if told.image_output else rest  # an untold answer of pictures is all pictures
            rest -= taken
            total += taken * self.image_output
        return total + rest * self.output

    def most(self, tokens_in: int, tokens_out: int) -> int:
        """As `sum`, whatever those tokens turn out to be."""
        dearest_in = max(
            self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_input, self.image_input or 0
        )
        dearest_out = max(self.output, self.reasoning, self.audio_output, self.image_output or 0)
        return self.request + tokens_in * dearest_in + tokens_out * dearest_out


class Period(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Rates and when they hold."""

    rates: tuple[Rate, ...]
    """By `above`, ascending; the first is for all prompts."""
    since_ns: int = 0
    """From this time on, nanoseconds since the epoch."""
    daily: tuple[int, int] | None = None
    """Only from the first up to the second, in seconds of the day (UTC); over midnight where the second is smaller."""
    tiers: tuple[tuple[str, int], ...] = ()
    """What a way of being served costs, in millionths of the usual: `("batch", 500_000)`."""
    mark: str = ""
    """Which of the prices set by a person this is; empty for the bundled ones."""

    def holds(self, at_ns: int) -> bool:
        """Whether these rates are in force at a time."""
        if at_ns < self.since_ns:
            return False
        if self.daily is None:
            return True
        start, end = self.daily
        second = at_ns // _SECOND_NS % _DAY_SECONDS
        return start <= second < end if start <= end else second >= start or second < end

    def cost(self, usage: Usage, told: Told = NOTHING_TOLD) -> int:
        """Nano-dollars for `usage`; rounded once, half up. Never negative. Only where it `counts`."""
        rates = self.rates
        total = (rates[0] if len(rates) == 1 else self.rate(usage.input)).sum(usage, told)
        if told.tier:
            for name, share in self.tiers:
                if name == told.tier:
                    return (total * share + _PER * WHOLE // 2) // (_PER * WHOLE)
        return (total + _PER // 2) // _PER

    def counts(self, usage: Usage) -> bool:
        """Whether `usage` tells what it costs: pictures are paid for by tokens, which may not be told, or by the piece."""
        return not usage.images or bool(usage.output) or self.rates[0].image is not None

    def per_token(self) -> tuple[float, float]:
        """Nano-dollars of a token in and of one out, for a short prompt: to compare models, not to charge."""
        rate = self.rates[0]
        return rate.input / _PER, rate.output / _PER

    def rate(self, prompt: int) -> Rate:
        """The rate for a prompt of this many tokens."""
        return next((rate for rate in reversed(self.rates) if prompt > rate.above), self.rates[0])


class Price(msgspec.Struct, frozen=True, gc=False):
    """What one model costs, over time."""

    periods: tuple[Period, ...]
    """The bundled ones. The last that holds counts; the first where none does."""
    own: tuple[Period, ...] = ()
    """Those set by a person, which come before: the last that holds counts."""

    def at(self, at_ns: int) -> Period | None:
        """The one in force at a time; None where there is none."""
        for period in reversed(self.own):
            if period.holds(at_ns):
                return period
        periods = self.periods
        if len(periods) < 2:
            return periods[0] if periods else None
        return next((later for later in reversed(periods) if later.holds(at_ns)), periods[0])


FREE = Price((Period((Rate(),)),))
