"""Which of several prices that a person set counts."""

from __future__ import annotations

import msgspec
import pytest

from trunkline.ledger.overrides import Override, marked, own_periods
from trunkline.ledger.price import Period, Rate


def one(model: str, provider: str = "", *, cost: int = 1, since: int = 0) -> Override:
    return Override(provider, model, Period((Rate(input=cost),), since))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (one("gpt-4.1"), one("gpt-*", "lab", since=9)),
        (one("gpt-4*"), one("gpt-*", "lab")),
        (one("gpt-*", "lab"), one("gpt-*", "openai")),
        (one("gpt-*", "openai"), one("gpt-*")),
        (one("gpt-4.1", since=2), one("gpt-4.1", since=1)),
    ],
)
def test_the_closer_counts_in_either_order(first: Override, second: Override) -> None:
    """A price for one model must not be lost behind one for all, wherever each stands in the file."""
    for given in ([first, second], [second, first]):
        assert own_periods(given, "lab", "openai", ["gpt-4.1"])[-1] is first.period


def test_of_two_that_say_the_same_the_later_counts() -> None:
    """The file comes after the store, so what is written there is what holds."""
    first, second = one("m", cost=1), one("m", cost=2)
    assert own_periods([first, second], "p", "k", ["m"]) == (first.period, second.period)


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        (one("m"), True),
        (one("m", "p"), True),
        (one("m", "k"), True),
        (one("m", "other"), False),
        (one("n"), False),
        (one("*"), True),
        (one("m[1]"), False),
        (one("?"), True),
    ],
)
def test_what_one_is_for(override: Override, meant: bool) -> None:
    """A price charged to a model that it was not set for is a wrong bill."""
    assert bool(own_periods([override], "p", "k", ["m"])) is meant


def test_a_name_with_brackets_is_itself() -> None:
    """What looks like a pattern may be a name."""
    assert own_periods([one("m[1]")], "p", "k", ["m[1]"])


def test_each_has_a_mark_of_its_own() -> None:
    """The mark on a record tells which price it was, also after a restart; another price has another one."""
    made = marked(one("m"))
    assert made.period.mark == marked(made).period.mark == marked(one("m")).period.mark
    assert len(made.period.mark) == 6
    assert (
        len({marked(other).period.mark for other in (one("m"), one("n"), one("m", "p"), one("m", cost=2), one("m", since=1))})
        == 5
    )
    assert msgspec.structs.replace(made.period, mark="") == one("m").period


def test_a_model_with_several_names_is_meant_by_each() -> None:
    """`openai/gpt-4.1` at OpenAI is gpt-4.1: a price for that must not be passed over for the listed one."""
    exact, wide = one("gpt-4.1"), one("openai/*")
    assert own_periods([exact, wide], "p", "openai", ["openai/gpt-4.1", "gpt-4.1"]) == (wide.period, exact.period)
