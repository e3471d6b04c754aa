"""A route's targets ready to choose from, and how long what is known of each is remembered."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import msgspec
import pytest

from routing.known import NOW, failed, provider, route, standings
from trunkline.canon.wire import Origin
from trunkline.credentials.credential import Spec
from trunkline.providers.provider import Target
from trunkline.routing import course as module
from trunkline.routing.course import Course


class Elsewhere(Spec, frozen=True):
    """A credential that is no header."""

    key: str


def test_one_standing_for_all_routes_that_lead_there() -> None:
    """Each model name would have to find out for itself that a provider is down."""
    known = standings()
    one, other = known.along(route(Target(provider(), "x"))), known.along(route(Target(provider(), "x", 3.0), name="n"))
    assert one.standings[0] is other.standings[0]
    assert known.along(one.route) is one, "a course is made once"
    assert set(known.all()) == {("lab", 0, "x")}


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({}, False),
        ({"strict": True}, False),
        ({"head": b"authorization: Bearer other\r\n"}, True),
        ({"origin": Origin("https", "elsewhere", 443)}, True),
        ({"slow": 3.0}, True),
        ({"credential": Elsewhere("other")}, True),
    ],
)
def test_a_reload_keeps_what_still_holds(changed: dict[str, Any], anew: bool) -> None:
    """A key that was mended in the file would rest on for its old self's refusals; a changed comment would forget an outage."""
    known = standings()
    old = known.along(route(Target(provider(), "x")))
    failed(old.standings[0])
    new = known.along(route(Target(msgspec.structs.replace(provider(), **changed), "x")))
    assert new is not old
    assert new.standings[0].well(0, NOW) is anew
    assert known.unwell(NOW) == ([] if anew else ["lab"])


def test_what_clients_make_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new names of models would fill the memory, or make us forget who is down."""
    monkeypatch.setattr(module, "MOST_MADE", 3)
    known = standings()
    written = known.along(route(Target(provider(), "x")))
    failed(written.standings[0])
    for number in range(9):
        known.along(route(Target(provider(), f"made-{number}"), name=f"lab/made-{number}", made=True))
    gc.collect()
    assert set(known.all()) == {("lab", 0, "x"), *(("lab", 0, f"made-{number}") for number in (6, 7, 8))}
    assert known.along(written.route) is written
    large = route(*(Target(provider(), f"y{number}") for number in range(9)), name="star", made=True)
    for _ in range(2):
        known.along(large)
        known.along(msgspec.structs.replace(large))
    gc.collect()
    assert len(known.all()) == 10, "one alone may be larger; it counts once"
    known.along(route(Target(provider(), "z"), name="lab/z", made=True))
    known.along(route(Target(provider(), "y"), name="lab/y", made=True))
    gc.collect()
    assert set(known.all()) == {("lab", 0, "x"), ("lab", 0, "y"), ("lab", 0, "z")}
    same = known.along(route(Target(provider(), "x"), name="lab/x", made=True))
    assert same.standings[0] is written.standings[0]


def test_what_a_reload_removed_is_forgotten() -> None:
    """Models that were taken out of the file would be counted as ill, and kept in memory, for ever."""
    known = standings()
    lab, gone = provider("lab"), provider("gone")
    for made in (
        route(Target(lab, "x"), name="kept", entry="kept"),
        route(Target(lab, "y"), name="removed", entry="removed"),
        route(Target(lab, "z"), name="lab/z"),
        route(Target(gone, "z"), name="gone/z"),
        route(Target(lab, "a"), name="lab/a", made=True),
        route(Target(lab, "b"), Target(gone, "b"), name="star-b", entry="star-*", made=True),
        route(Target(lab, "c"), name="star-c", entry="star-*", made=True),
    ):
        failed(known.along(made).standings[-1])
    del made
    known.keep({"kept"}, {"lab"})
    gc.collect()
    assert {model for _, _, model in known.all()} == {"x", "z", "a", "c"}
    assert known.unwell(NOW) == ["lab"] * 4


def test_a_part_of_a_route_is_remembered_by_nobody() -> None:
    """What has only some of a route's targets would be taken for the route."""
    known = standings()
    whole = known.along(route(Target(provider(), "x"), Target(provider(), "y")))
    part = known.part(route(Target(provider(), "y")))
    assert part.standings == whole.standings[1:]
    assert known.along(whole.route) is whole


def test_seats_are_those_that_differ_by_the_credential_alone() -> None:
    """Rotation would go to another model, or stop at the second of three keys."""
    a, b = provider("a"), provider("b")
    targets = [Target(a, "x"), Target(msgspec.structs.replace(a, seat=1), "x"), Target(a, "y"), Target(b, "y")]
    course = standings().along(route(*targets, fallbacks=(Target(b, "z"),)))
    assert course.seats == (range(2), range(2), range(2, 3), range(3, 4), range(4, 5))


@pytest.mark.parametrize("weights", [(1,) * 5, (1, 2, 3), (1,) * 20, (1, 99)])
def test_the_ring_prefers_each_as_often_as_its_weight(weights: tuple[int, ...]) -> None:
    """Sessions would crowd at one target."""
    course = standings().along(route(*(Target(provider(f"p{at}"), "x", weight) for at, weight in enumerate(weights))))
    keys = range(0, 2**64, 2**64 // 5000)
    everyone = range(len(weights))
    first = Counter(course.nearest(key, everyone) for key in keys)
    for at, weight in enumerate(weights):
        assert first[at] / len(keys) == pytest.approx(weight / sum(weights), rel=0.4, abs=0.01)
    assert [course.nearest(2**64 - 1, [at]) for at in everyone] == list(everyone), "round the ring's end"
    again = standings().along(course.route)
    assert [again.nearest(key, everyone) for key in keys[:50]] == [course.nearest(key, everyone) for key in keys[:50]]


def test_the_dice_draw_by_weight() -> None:
    """The edges of chance would be nobody's."""
    course = standings().along(route(Target(provider("a"), "x", 1.0), Target(provider("b"), "x", 3.0)))
    assert [course.drawn(dice) for dice in (0.0, 0.2499, 0.25, 0.999, 1.0)] == [0, 0, 1, 1, 1]


def test_prices_are_asked_for_now_and_then() -> None:
    """A night's price would hold through the day; or each request would look all of them up."""
    asked: list[str] = []
    price: dict[str, tuple[float, float] | None] = {
        "a": (1.0, 9.0),
        "b": (2.0, 8.0),
        "c": (2.0, 9.0),
        "d": None,
        "e": (1.0, 9.0),
    }

    def unit(target: Target) -> tuple[float, float] | None:
        asked.append(target.provider.name)
        return price[target.provider.name]

    course = Course(route(*(Target(provider(name), "x") for name in price)), standings().of, unit)
    units, front = course.prices(NOW)
    assert units[3] == (float("inf"), float("inf"))
    assert front == (0, 1, 4), "whom another beats whatever is asked is never the cheapest"
    price["c"] = (0.1, 0.1)
    assert course.prices(NOW + 60)[1] == (0, 1, 4)
    assert len(asked) == 5
    assert course.prices(NOW + 61)[1] == (2,)
