"""What a request's way depends on: rules, and what a target can take."""

from __future__ import annotations

import time
from typing import Any

import pytest

from trunkline.canon.facts import Facts
from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing.route import Route, Rule, When
from trunkline.routing.traits import Traits, asked_of, distinguishing, follow, holds, misfit, pattern

LAB = Provider("lab", "openai", Origin("http", "h", 1), {"openai_chat": ""})
PICTURE = frozenset({"image"})


def target(**facts: Any) -> Target:
    return Target(LAB, "x", facts=Facts(**facts))


def route(name: str, *rules: Rule) -> Route:
    return Route(name, (target(),), Deadlines(), rules=rules)


def sent(name: str, glob: str) -> When:
    return When(headers=((name.encode(), pattern(glob)),))


@pytest.mark.parametrize(
    ("when", "traits", "expected"),
    [
        (When(images=True), Traits(media=PICTURE), True),
        (When(images=True), Traits(media=frozenset({"audio"})), False),
        (When(images=False), Traits(), True),
        (When(images=False), Traits(media=PICTURE), False),
        (When(tools=True), Traits(tools=True), True),
        (When(tools=False), Traits(tools=True), False),
        (When(stream=True), Traits(stream=True), True),
        (When(stream=True), Traits(), False),
        (When(tokens_over=10), Traits(tokens=11), True),
        (When(tokens_over=10), Traits(tokens=10), False),
        (When(tokens_under=10), Traits(tokens=9), True),
        (When(tokens_under=10), Traits(tokens=10), False),
        (When(tags=frozenset({"a", "b"})), Traits(tags=frozenset({"b", "c"})), True),
        (When(tags=frozenset({"a"})), Traits(), False),
        (sent("x-team", "research-*"), Traits(headers={b"x-team": b"research-1"}), True),
        (sent("x-team", "research-*"), Traits(headers={b"x-team": b"a research-1"}), False),
        (sent("x-team", "research-*"), Traits(headers={b"x-team": b"Research-1"}), False),
        (sent("x-team", "*"), Traits(headers={b"x-team": b""}), True),
        (sent("x-team", "*"), Traits(), False),
        (sent("x-team", "a?c"), Traits(headers={b"x-team": b"a\xffc"}), True),
        (sent("x-team", "[ab]"), Traits(headers={b"x-team": b"a"}), False),
        (sent("x-team", "[ab]"), Traits(headers={b"x-team": b"[ab]"}), True),
        (sent("x-team", "a.c"), Traits(headers={b"x-team": b"abc"}), False),
        (When(tools=True, stream=True), Traits(tools=True), False),
        (When(tools=True, stream=True), Traits(tools=True, stream=True), True),
    ],
)
def test_when_a_rule_holds(when: When, traits: Traits, expected: bool) -> None:
    """A request would go another way than its operator wrote."""
    assert holds(when, traits) is expected


def test_a_pattern_takes_no_long_time() -> None:
    """A header made for it would stop the gateway for everyone."""
    glob = pattern("*a*a*a*a*a*a*a*a*b")
    begun = time.process_time()
    assert not glob.match(b"a" * 50_000)
    assert time.process_time() - begun < 2.0


def test_rules_are_followed_in_their_order_and_on() -> None:
    """The wrong one of two rules would hold, or one behind another would be passed over."""
    end = route("end")
    middle = route("middle", Rule(When(tools=True), route("no")), Rule(When(stream=True), end))
    begin = route("begin", Rule(When(images=True), end), Rule(When(), middle), Rule(When(), route("never")))
    assert follow(begin, Traits(media=PICTURE)) == (end, (1,))
    assert follow(begin, Traits(stream=True)) == (end, (2, 2))
    assert follow(begin, Traits()) == (middle, (2,))
    assert follow(end, Traits(stream=True)) == (end, ())


@pytest.mark.parametrize(
    ("facts", "traits", "why"),
    [
        ({}, Traits(tools=True, media=PICTURE, schema=True, tokens=10**9), ""),
        ({"tools": False}, Traits(tools=True), "takes no tools"),
        ({"tools": False}, Traits(), ""),
        ({"media": frozenset()}, Traits(media=frozenset({"video", "audio"})), "takes no audio"),
        ({"media": PICTURE}, Traits(media=PICTURE), ""),
        ({"schema": False}, Traits(schema=True), "takes no JSON Schema for its output"),
        ({"context": 100}, Traits(tokens=101), "has room for 100 tokens, this request has about 101"),
        ({"context": 100}, Traits(tokens=100), ""),
        ({"context": 100}, Traits(tokens=60, output=50), "has room for 100 tokens, this request has about 60"),
        ({"context": 100, "max_output": 40}, Traits(tokens=60, output=50), ""),
    ],
)
def test_who_cannot_take_it(facts: dict[str, Any], traits: Traits, why: str) -> None:
    """A request would be sent where it must fail, or kept from where it would not; and nobody would know why."""
    assert misfit(target(**facts), traits) == why


def test_only_what_matters_is_looked_for() -> None:
    """Each request would be read whole for the sake of a difference that no target has."""
    same = (target(context=5, tools=False), target(context=5, tools=False))
    assert distinguishing(same) == frozenset()
    assert distinguishing((*same, target(context=6, media=PICTURE, schema=False))) == {"size", "tools", "media", "schema"}
    assert asked_of(When(stream=True, tags=frozenset({"a"}))) == frozenset()
    assert asked_of(When(images=False, tools=True, tokens_under=5)) == {"media", "tools", "size"}
    assert asked_of(When(tokens_over=5)) == {"size"}
