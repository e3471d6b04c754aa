"""What a stored row would cost by other prices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.canon.usage import NO_USAGE, NOTHING_TOLD, Told, Usage
from trunkline.ledger.overrides import Override, marked
from trunkline.ledger.price import Period, Rate
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import row
from trunkline.ledger.reprice import Renewed, Tally, day_of, renewed, usage_of

MILLION = 1_000_000
KINDS = {"openai": "openai", "mine": "openai"}
DAY = 86_400_000_000_000


def one(n=0, *, reported=None, **given):
    model, provider = given.pop("model", "gpt-4.1"), given.pop("provider", "openai")
    told = settled(opened(n, model=model, provider=provider, started_ns=given.pop("at", None)), **given)
    return row(told) | {"reported_nano": reported}


def own(cost, *, since=0, model="gpt-4.1"):
    return marked(Override("", model, Period((Rate(0, *[cost * MILLION] * 8),), since)))


@given(st.tuples(*[st.integers(0, 10**6)] * 9, st.sampled_from(["reported", "estimated"])))
def test_a_row_keeps_all_that_a_price_is_for(parts):
    """What the gateway charged at once and what it charges later from the row are the same, to the nano-dollar."""
    usage = Usage(*parts)
    stored = one(usage=usage)
    assert usage_of(stored) == usage
    found = Prices.load().find("openai", "openai", "gpt-4.1", START_NS)
    assert found is not None
    if found.counts(usage):
        assert renewed(stored, NOTHING_TOLD, Prices.load(), KINDS, mixed=False).cost_nano == found.cost(usage)


def test_the_price_that_held_then():
    """A price that begins tomorrow does not change yesterday."""
    price = own(7, since=START_NS + DAY)
    prices = Prices.load([price])
    before = renewed(one(), NOTHING_TOLD, prices, KINDS, mixed=False)
    after = renewed(one(at=START_NS + DAY), NOTHING_TOLD, prices, KINDS, mixed=False)
    assert before == Renewed(6 * 2000 + 4 * 500 + 20 * 8000, prices.listed)
    assert after == Renewed(30 * 7, f"{prices.listed} + {price.period.mark}")


@pytest.mark.parametrize(
    ("given", "mixed", "why"),
    [
        ({"usage": NO_USAGE}, False, "unused"),
        ({}, True, "mixed"),
        ({"provider": "gone"}, False, "provider"),
        ({"model": "nobody-knows"}, False, "unknown"),
        ({"usage": Usage(images=2, basis="reported")}, False, "pieces"),
    ],
)
def test_what_stays_as_it_is(given, mixed, why):
    """Where nothing better is known, the record keeps what it has, and it is said how many do."""
    stored = one(**given)
    assert renewed(stored, NOTHING_TOLD, Prices.load(), KINDS, mixed=mixed) == Renewed(1500, "test 1", why)


def test_what_the_provider_said_counts_where_no_list_does():
    """As when the request was made; a price that was set since then comes before it."""
    stored = one(model="nobody-knows", reported=77)
    assert renewed(stored, NOTHING_TOLD, Prices.load(), KINDS, mixed=False) == Renewed(77, "reported")
    assert renewed(stored, NOTHING_TOLD, Prices.load([own(1, model="no*")]), KINDS, mixed=False).cost_nano == 30


def test_an_estimate_has_no_tier():
    """What the provider told of a broken answer is no account of it."""
    half = Told(tier="batch")
    costs = [
        renewed(one(usage=Usage(input=10, basis=basis)), half, Prices.load(), KINDS, mixed=False).cost_nano
        for basis in ("reported", "estimated")
    ]
    assert costs == [10_000, 20_000]


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_a_tally_is_the_sum_of_its_rows(changes):
    """The table that a person says yes to is what then happens."""
    tally = Tally()
    rows = [(one(n, at=START_NS + day * DAY, cost_nano=old), Renewed(new, "v")) for n, (day, old, new) in enumerate(changes)]
    changed = [tally.add(stored, new) for stored, new in rows]
    assert changed == [old != new for _, old, new in changes]
    lines = tally.lines()
    assert sum(line.requests for line in lines) == sum(changed) == tally.rows - tally.kept.get("same", 0)
    assert sum(line.new_nano - line.old_nano for line in lines) == sum(new - (old or 0) for _, old, new in changes)
    assert sum(line.priced for line in lines) == sum(old is None for _, old, _ in changes)
    assert [line.day for line in lines] == sorted({day_of(START_NS + day * DAY) for day, old, new in changes if old != new})


def test_what_is_kept_is_counted():
    """By why it is."""
    tally = Tally()
    assert not tally.add(one(), Renewed(1500, "v", "unknown"))
    assert not tally.add(one(), Renewed(1500, "v"))
    assert tally.kept == {"unknown": 1, "same": 1}
