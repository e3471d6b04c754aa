"""The arithmetic of money: every token once, integers only, rounded once."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.usage import Told, Usage
from trunkline.ledger.price import FREE, WHOLE, Period, Price, Rate

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("daily", "hour", "holds"),
    [
        (None, 5, True),
        ((3600, 7200), 1, True),
        ((3600, 7200), 2, False),
        ((79200, 3600), 23, True),
        ((79200, 3600), 0, True),
        ((79200, 3600), 1, False),
        ((79200, 3600), 12, False),
    ],
)
def test_hours_may_span_midnight(daily, hour, holds):
    """An off-peak rate from 22:00 to 01:00 is one rate."""
    assert Period((Rate(),), 0, daily).holds(hour * 3600 * 10**9) is holds


def test_the_first_period_counts_where_none_holds():
    """A request from before the list began has a price too."""
    price = Price((Period((Rate(input=MILLION),), since_ns=100), Period((Rate(input=2 * MILLION),), since_ns=200)))
    assert [price.at(at).cost(Usage(input=1)) for at in (50, 150, 250)] == [1, 1, 2]


@pytest.mark.parametrize(("rate", "nano"), [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)])
def test_cost_is_rounded_once_half_up(rate, nano):
    """Cents that vanish by rounding add up over a million requests."""
    assert Period((Rate(input=rate),)).cost(Usage(input=1)) == nano


def test_rounding_is_of_the_sum():
    """Three thirds are one."""
    price = Period((Rate(input=400_000, cache_read=400_000, output=400_000),))
    assert price.cost(Usage(input=2, cache_read=1, output=1)) == 1


COUNT = st.integers(0, 10**6)
PRICE = st.integers(0, 10**12)


@st.composite
def usages(draw):
    """Whatever a provider may claim."""
    return Usage(*(draw(COUNT) for _ in range(9)), basis="reported")


@st.composite
def periods(draw):
    """Whatever may be set."""
    some = st.one_of(st.none(), PRICE)
    rates = [
        Rate(above, *(draw(PRICE) for _ in range(9)), draw(some), draw(some), draw(some))
        for above in sorted({0, *draw(st.lists(COUNT, max_size=2))})
    ]
    return Period(tuple(rates), tiers=(("batch", draw(st.integers(0, 10 * WHOLE))),))


TOLD = st.builds(Told, tier=st.sampled_from(["", "batch", "odd"]), image_input=COUNT, image_output=COUNT)


@given(usages(), TOLD.filter(lambda told: not told.tier), PRICE)
def test_every_token_is_charged_once(usage, told, rate):
    """Where all parts cost the same, the parts change nothing, however a provider overlaps them; never negative."""
    flat = Period((Rate(0, rate, rate, rate, rate, rate, rate, rate, rate, 0, rate, rate),))
    assert flat.cost(usage, told) == ((usage.input + usage.output) * rate + 500_000) // MILLION >= 0


@given(periods(), usages(), TOLD)
def test_no_request_costs_more_than_was_reserved(period, usage, told):
    """A budget holds only if what is set aside before is enough after, whatever the tokens turn out to be; pictures aside."""
    usage = msgspec.structs.replace(usage, images=0)
    cost, dearest = period.cost(usage, told), max(WHOLE, period.tiers[0][1])
    most = max(rate.most(usage.input, usage.output) for rate in period.rates)
    assert type(cost) is int
    assert 0 <= cost <= -(-most * dearest // (MILLION * WHOLE))


@given(periods(), usages(), TOLD)
def test_a_part_more_never_costs_less_than_nothing(period, usage, told):
    """The cost is that of all parts alone, added up before it is rounded: nothing is charged for being together."""
    rate = period.rate(usage.input)
    alone = [
        msgspec.structs.replace(usage, output=0, reasoning=0, audio_output=0, images=0),
        msgspec.structs.replace(usage, input=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, audio_input=0),
    ]
    quiet = msgspec.structs.replace(told, tier="")
    assert rate.sum(usage, quiet) + rate.request == sum(rate.sum(one, quiet) for one in alone)


def test_tiers_of_long_prompts_are_the_prompts():
    """A prompt of 200,001 tokens is charged as one of that size, its answer too."""
    period = Period((Rate(input=MILLION, output=MILLION), Rate(above=200, input=2 * MILLION, output=3 * MILLION)))
    assert period.cost(Usage(input=200, output=10)) == 210
    assert period.cost(Usage(input=201, output=10)) == 432


def test_what_is_charged_by_the_piece():
    """A fee for each request and a price for each picture count beside tokens; pictures that neither pays for are unknown."""
    fee = Period((Rate(input=MILLION, request=7 * MILLION),))
    assert fee.cost(Usage(input=3)) == 10
    piece = Period((Rate(request=MILLION, image=40_000_000 * MILLION),))
    assert piece.cost(Usage(images=2)) == 80_000_001
    assert piece.counts(Usage(images=2))
    assert not fee.counts(Usage(images=2))
    assert fee.counts(Usage(images=2, output=5))
    assert fee.counts(Usage(input=2))


def test_the_share_of_a_batch_is_taken_before_rounding():
    """Half of three thirds is half of one, not of what was rounded."""
    period = Period((Rate(input=999_999),), tiers=(("batch", WHOLE // 2),))
    assert [period.cost(Usage(input=1), Told(tier=tier)) for tier in ("", "batch", "flex")] == [1, 0, 1]
    assert period.cost(Usage(input=3), Told(tier="batch")) == 1


def test_ones_own_periods_come_first():
    """What a person sets counts as soon as it holds; where nothing does, there is no price rather than a wrong one."""
    old, new = Period((Rate(input=1),), since_ns=100, mark="a"), Period((Rate(input=2),), since_ns=200, mark="b")
    assert [getattr(Price((), (old, new)).at(at), "mark", None) for at in (50, 150, 250)] == [None, "a", "b"]
    assert Price((Period((Rate(),)),), (old,)).at(50).mark == ""
    assert FREE.at(0).cost(Usage(input=MILLION, output=MILLION)) == 0
