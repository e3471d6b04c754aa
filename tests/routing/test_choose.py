"""Who is tried first."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.choose import order
from trunkline.routing.route import Route

PROVIDER = Provider("lab", "openai", Origin("http", "h", 1), {"openai_chat": ""})


def WELL(_: Target) -> bool:  # noqa: N802 - a constant answer
    return True


def target(name: str, weight: int = 1) -> Target:
    return Target(PROVIDER, name, weight)


def names(targets: tuple[Target, ...]) -> list[str]:
    return [one.model for one in targets]


def test_as_it_is_written() -> None:
    """An operator's first choice would be asked only sometimes."""
    route = Route("m", (target("a", 5), target("b", 9)), Deadlines(), fallbacks=(target("c"),))
    assert names(order(route, random.random, WELL)) == ["a", "b", "c"]


@pytest.mark.parametrize("weights", [(3, 1), (1, 1, 1), (98, 1, 1)])
def test_shares_are_those_of_the_weights(weights: tuple[int, ...]) -> None:
    """A provider with a tenth of the quota would be sent half of the requests."""
    route = Route("m", tuple(target(str(weight), weight) for weight in weights), Deadlines(), strategy="weighted")
    named = {id(one): at for at, one in enumerate(route.targets)}
    dice = random.Random(7).random
    rounds = 20_000
    first = Counter(named[id(order(route, dice, WELL)[0])] for _ in range(rounds))
    for at, weight in enumerate(weights):
        share = weight / sum(weights)
        spread = (share * (1 - share) / rounds) ** 0.5
        assert abs(first[at] / rounds - share) < 5 * spread


def test_the_rest_follows_and_fallbacks_come_last() -> None:
    """A target that was not drawn would never be tried, or a fallback would be asked before its time."""
    route = Route("m", (target("a"), target("b", 8)), Deadlines(), fallbacks=(target("c"), target("d")), strategy="weighted")
    seen = {tuple(names(order(route, random.Random(at).random, WELL))) for at in range(50)}
    assert seen == {("a", "b", "c", "d"), ("b", "a", "c", "d")}


def test_dice_of_zero_and_one() -> None:
    """The edges of chance must not end a request."""
    route = Route("m", (target("a"), target("b")), Deadlines(), strategy="weighted")
    assert names(order(route, lambda: 0.0, WELL)) == names(order(route, lambda: 1.0, WELL)) == ["a", "b"]
    assert names(order(Route("m", (target("a"),), Deadlines(), strategy="weighted"), random.random, WELL)) == ["a"]


def test_who_is_not_well_comes_last() -> None:
    """A request would wait for a provider that is down before it goes to one that is not."""
    route = Route("m", (target("a"), target("b")), Deadlines(), fallbacks=(target("c"), target("d")))
    assert names(order(route, random.random, lambda one: one.model not in {"a", "c"})) == ["b", "d", "a", "c"]
    assert names(order(route, random.random, lambda _: False)) == ["a", "b", "c", "d"], "better asked than nobody"
