"""Rules: what their counters are called, and which of them go together."""

from __future__ import annotations

from trunkline.meters.rule import NO_RULES, Rule, Rules


def test_a_counter_keeps_its_name_when_its_amount_changes() -> None:
    """A reload that raises a limit must not begin a new count, and a budget of a week is none of a month."""
    assert Rule("key:a", "requests", 5).ident == Rule("key:a", "requests", 9).ident == "key:a/requests"
    assert Rule("key:a", "money", 5, "day").ident == "key:a/money/day/UTC"
    names = {Rule("key:a", "money", 5, period, zone).ident for period in ("day", "week") for zone in ("UTC", "Asia/Tokyo")}  # type: ignore[arg-type]
    assert len(names) == 4


def test_sets_are_told_apart_by_what_they_are() -> None:
    """They are looked up by every request, so they are compared as objects; two keys with the same limits have two counts."""
    one, other = (Rules((Rule("key:a", "requests", 5), Rule("key:a", "money", 5, hard=False))) for _ in range(2))
    assert one != other
    assert [rule.what for rule in one.of("money")] == ["money"]
    assert not one.has_hard_budget
    assert Rules((Rule("key:a", "money", 5),)).has_hard_budget
    assert not NO_RULES.has_hard_budget
