"""A provider's account against ours: what differs, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import START_NS, opened, settled
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.ledger.exports import Charge
from trunkline.ledger.reconcile import CENT, Books, beyond, plain, reconcile, totals
from trunkline.ledger.record import interrupted, row

DAY = "2026-01-01"
DOLLAR = 10**9


def books(*rows, one_model=False):
    made = Books()
    for one in rows:
        made.add(one, one_model=one_model)
    return made


def request(n=0, *, nano=DOLLAR, model="gpt-4.1", tokens=1000, basis="reported"):
    usage = Usage(input=tokens, basis=basis)
    return row(settled(opened(n, model=model), usage=usage, cost_nano=nano))


def causes(ours, *theirs):
    return [(line.model, line.causes) for line in reconcile(ours, theirs) if line.causes]


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ([request()], Charge(DAY, "gpt-4.1-2025-04-14", DOLLAR, 1000, 0, 1), []),
        ([request()], Charge(DAY, "gpt-4.1", 2 * DOLLAR, 1000, 0, 1), [("price", -DOLLAR)]),
        ([request()], Charge(DAY, "gpt-4.1", 2 * DOLLAR, 2000, 0, 1), [("tokens", -DOLLAR)]),
        ([request()], Charge(DAY, "gpt-4.1", 2 * DOLLAR, 2000, 0, 2), [("requests", -DOLLAR)]),
        ([request(), request(1)], Charge(DAY, "gpt-4.1", DOLLAR, 1000, 0, 1), [("requests", DOLLAR)]),
        ([request()], Charge(DAY, "gpt-4.1", 2 * DOLLAR), [("unexplained", -DOLLAR)]),
        ([request()], Charge(DAY, "gpt-4.1", 4 * DOLLAR, requests=2), [("requests", -2 * DOLLAR), ("unexplained", -DOLLAR)]),
        ([request()], Charge(DAY, "gpt-4.1", None, 1500, 0), [("tokens", -500)]),
        ([request()], Charge(DAY, "gpt-4.1", None, 2000, 0, 2), [("requests", -1000)]),
        ([request()], Charge(DAY, "gpt-4.1", -DOLLAR, 2000, 0), [("tokens", DOLLAR // 2), ("price", 3 * DOLLAR // 2)]),
    ],
)
def test_why_it_differs(ours, theirs, found):
    """Who looks for a dollar must know where to look: at traffic past the gateway, at tokens, or at prices."""
    (line,) = reconcile(books(*ours), [theirs])
    assert line.causes == found


def test_what_only_one_side_has():
    """Traffic past the gateway, and requests that nobody charged, are told apart from wrong sums."""
    ours = books(request(), request(1, model="mine"))
    charges = [Charge(DAY, "gpt-4.1", DOLLAR), Charge(DAY, "web search", 5), Charge("2026-01-02", "gpt-4.1", 7)]
    assert causes(ours, *charges) == [("mine", [("uncharged", DOLLAR)]), ("web search", [("unaccounted", -5)]),
                                      ("gpt-4.1", [("unaccounted", -7)])]  # fmt: skip


def test_what_of_ours_is_no_full_account():
    """Guessed, cut off or without a price: said, because the drift may be theirs."""
    cut = row(interrupted(opened(3)))
    ours = books(request(), request(1, nano=None), request(2, basis="estimated"), cut)
    (line,) = reconcile(ours, [Charge(DAY, "gpt-4.1", DOLLAR)])
    mine = line.ours
    assert (mine.requests, mine.unpriced, mine.estimated, mine.estimated_nano, mine.interrupted) == (4, 1, 1, DOLLAR, 1)
    assert NO_USAGE.basis == "none"


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("openai/gpt-4.1-2025-04-14:batch", "openai/gpt-4.1:batch"),
    ],
)
def test_names_are_compared_plainly(name, same):
    """Exports name a model's snapshot, requests its alias; consoles write for people."""
    assert plain(name) == plain(same)


def test_names_that_differ_stay_apart():
    """A mini is not its big brother."""
    assert len({plain(name) for name in ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-41")}) == 4


def test_an_export_that_tells_no_models_apart():
    """A cost export that is not grouped by line item has days only; ours are added up to compare."""
    ours = books(request(), request(1, model="other"), one_model=True)
    (line,) = reconcile(ours, [Charge(DAY, "", 2 * DOLLAR)])
    assert (line.drift, line.model) == (0, "")


LINES = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["a", "b", "c"]), st.integers(0, 10**12), st.integers(0, 10**6), st.booleans()
    ),
    min_size=1, max_size=12,
)  # fmt: skip
CHARGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["a", "b", "d"]), st.integers(-(10**9), 10**12),
              st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 9)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(LINES, CHARGES)
def test_the_parts_are_the_whole(ours, theirs):
    """Nothing of a drift is lost or told twice: causes add up to lines, lines to models, models to the total."""
    rows = [
        row(settled(opened(n, model=model, started_ns=START_NS + day * 86_400 * 10**9), cost_nano=nano,
                    usage=Usage(input=tokens, basis="estimated" if guess else "reported")))
        for n, (day, model, nano, tokens, guess) in enumerate(ours)
    ]  # fmt: skip
    charges = [Charge(f"2026-01-0{day + 1}", *rest[:2], rest[2], None, rest[3]) for day, *rest in theirs]
    lines = reconcile(books(*rows), charges)
    assert len({(line.day, line.model) for line in lines}) == len(lines)
    for line in lines:
        assert sum(part for _, part in line.causes) == line.drift
    *models, everything = totals(lines)
    assert everything.drift == sum(line.drift for line in lines) == sum(line.drift for line in models)
    assert everything.drift == sum(nano for _, _, nano, _, _ in ours) - sum(charge.nano or 0 for charge in charges)
    assert sum(part for _, part in everything.causes) == everything.drift
    assert everything.ours.requests == len(ours)


def test_what_is_tolerated():
    """Half a percent of all and of each model that is more than a cent; errors that cancel out are seen."""
    ours = books(request(0, nano=1005 * CENT, model="a"), request(1, nano=995 * CENT, model="b"))
    lines = totals(reconcile(ours, [Charge(DAY, "a", 1000 * CENT), Charge(DAY, "b", 1000 * CENT)]))
    assert beyond(lines, 5000) == []
    assert [line.model for line in beyond(lines, 4999)] == ["a", "b"]
    small = totals(reconcile(books(request(nano=2)), [Charge(DAY, "gpt-4.1", 1)]))
    assert [line.model for line in beyond(small, 5000)] == [""]
    tokens = totals(reconcile(books(request(tokens=11)), [Charge(DAY, "gpt-4.1", None, 10)]))
    assert [line.model for line in beyond(tokens, 5000)] == ["gpt-4.1", ""]
