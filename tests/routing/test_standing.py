"""What is remembered of each target, how long, and what a credential's refusal means for all of its models."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import msgspec
import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin
from trunkline.providers.provider import Provider, Target
from trunkline.routing import standing as module
from trunkline.routing.health import FIRST_REST, LONGEST_REST, PROBES, RECOVERY, SILENCE
from trunkline.routing.route import Route
from trunkline.routing.standing import Course, Standing, Standings

NOW = 1000.0
DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "down")
REFUSED = GatewayError(Kind.UPSTREAM_REFUSED, "wrong key", status=401)
LATER = GatewayError(Kind.UPSTREAM_FAILED, "later", status=429, retry_after=7.0)


def provider(name: str = "lab", **more: Any) -> Provider:
    return Provider(name, "openai", Origin("http", "h", 1), {"openai_chat": ""}, **more)


def route(*targets: Target, name: str = "m", **more: Any) -> Route:
    return Route(name, targets, Deadlines(), **more)


def standings() -> Standings:
    return Standings(lambda _: (1.0, 2.0))


def failed(standing: Standing, times: int = 5, error: GatewayError = DOWN, now: float = NOW) -> None:
    for _ in range(times):
        standing.failed(now, now, error)


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
    same = known.along(route(Target(provider(), "x"), name="lab/x", made=True))
    assert same.standings[0] is written.standings[0]


def test_a_part_of_a_route_is_remembered_by_nobody() -> None:
    """What has only some of a route's targets would be taken for the route."""
    known = standings()
    whole = known.along(route(Target(provider(), "x"), Target(provider(), "y")))
    part = known.part(route(Target(provider(), "y")))
    assert part.standings == whole.standings[1:]
    assert known.along(whole.route) is whole


def test_a_request_is_counted_wherever_it_counts() -> None:
    """The least busy target, the one whose turn it is, or the limit would be told wrongly."""
    known = standings()
    course = known.along(route(Target(provider(), "x"), Target(provider(), "y")))
    first, second = course.standings
    known.asked(first, 10, NOW)
    known.asked(second, 10, NOW)
    assert (first.busy, first.turn, second.turn) == (1, 1, 2)
    first.succeeded(NOW - 0.5, NOW, 0.2)
    second.succeeded(NOW - 0.5, NOW, None)
    second.succeeded(NOW - 9.5, NOW, None, timed=False)
    assert (first.served, first.pace.expected(NOW, stream=True)) == pytest.approx((1, 0.2))
    assert (second.served, second.pace.expected(NOW, stream=False)) == pytest.approx((2, 0.5))
    first.failed(NOW - 0.5, NOW, GatewayError(Kind.BAD_REQUEST, "not its fault"))
    assert first.pace.expected(NOW, stream=True) == pytest.approx(0.2)
    first.failed(NOW - 0.5, NOW, DOWN)
    assert first.pace.expected(NOW, stream=True) > 1.0
    second.outrun(NOW - 2.5, NOW, stream=False)
    second.outrun(NOW - 2.5, NOW, stream=True)
    assert second.pace.expected(NOW, stream=False) == pytest.approx(1.5)
    assert second.pace.expected(NOW, stream=True) == pytest.approx(2.5)


def test_why_a_target_is_not_asked() -> None:
    """Whoever looks for the reason in `explain` or `status` would find none."""
    standing = standings().of(Target(provider(), "x"))
    assert (standing.ill(0, NOW), standing.rests(0, NOW), standing.state(NOW)) == ("", 0.0, "closed")
    failed(standing)
    assert standing.ill(0, NOW) == "failed of late and rests for 10 s"
    assert (standing.rests(0, NOW), standing.state(NOW)) == (FIRST_REST, "open")
    later = NOW + FIRST_REST
    assert standing.ill(0, later) == ""
    standing.circuit.asked(later)
    assert standing.ill(0, later) == "failed of late and is being tried"
    assert standing.rests(0, later) > 0
    limited = standings().of(Target(provider(), "x"))
    failed(limited, 1, LATER)
    assert limited.rests(0, NOW) == 7.0
    assert not limited.well(0, NOW)
    assert "7 s" in limited.ill(0, NOW)


def test_what_its_provider_allows_is_used_up() -> None:
    """Requests would go on to a provider that will refuse each of them."""
    standing = standings().of(Target(provider(), "x"))
    standing.allowance._tokens.told(100, 1000, 30.0, 0.0, NOW, refills=False)
    assert standing.well(100, NOW)
    assert not standing.well(101, NOW)
    assert standing.ill(101, NOW) == "has used up what its provider allows, for 30.0 s"
    assert standing.rests(101, NOW) == 30.0


@pytest.mark.parametrize(("status", "times"), [(401, 2), (402, 5)])
def test_a_refused_credential_rests_for_all_of_its_models(status: int, times: int) -> None:
    """Each of fifty models would have to be refused by itself before the wrong key is left alone."""
    known = standings()
    seats = [provider(head=b"a"), provider(head=b"b", seat=1)]
    course = known.along(route(Target(seats[0], "x"), Target(seats[0], "y"), Target(seats[1], "y")))
    refused, same, other = course.standings
    failed(refused, times, GatewayError(Kind.UPSTREAM_REFUSED, "no", status=status))
    assert not same.well(0, NOW)
    assert same.ill(0, NOW) == f"its credential was refused and rests for {same.rests(0, NOW):.0f} s"
    assert 0 < same.rests(0, NOW) <= LONGEST_REST
    assert same.state(NOW) == "open"
    assert other.well(0, NOW)
    assert other.state(NOW) == "closed"
    assert sorted(known.unwell(NOW)) == ["lab", "lab"]


def test_a_credential_that_is_taken_again_comes_back() -> None:
    """A key that was unblocked at its provider would never be used again, or by everybody at once."""
    known = standings()
    course = known.along(route(Target(provider(), "x"), Target(provider(), "y")))
    refused, same = course.standings
    failed(refused, 2, REFUSED)
    later = NOW + LONGEST_REST
    assert same.well(0, later)
    known.asked(same, 0, later)
    assert not refused.well(0, later), "one request at a time tries it, whatever the model"
    assert same.ill(0, later) == "its credential was refused and is being tried"
    same.left(later, later, None)
    assert same.well(0, later), "its client left: another may try"
    known.asked(same, 0, later)
    same.failed(later, later, DOWN)
    assert same.well(0, later), "what has nothing to do with the credential tells nothing of it"
    known.asked(same, 0, later)
    same.left(later, later + 1, 0.3)
    assert same.state(later + 1) == "recovering", "its stream had begun: it was taken"
    for _ in range(PROBES):
        known.asked(same, 0, later + 1)
    assert not same.well(0, later + 1)
    same.succeeded(later + 1, later + 1 + RECOVERY, None)
    assert same.state(later + 1 + RECOVERY) == "closed"
    assert not same.seat.doubted


def test_a_refusal_between_answers_is_forgotten() -> None:
    """One refusal a day would add up to a credential that rests."""
    standing = standings().of(Target(provider(), "x"))
    for _ in range(4):
        standing.failed(NOW, NOW, REFUSED)
        standing.succeeded(NOW, NOW, None)
    assert standing.well(0, NOW)
    for first in (None, 0.1):
        standing.left(NOW, NOW, first)
        assert standing.well(0, NOW)


def test_the_last_resort_counts_for_the_credential_too() -> None:
    """A wrong key would be tried by every request that has nobody else."""
    known = standings()
    course = known.along(route(*(Target(provider(), f"m{at}") for at in range(30))))
    failed(course.standings[0], 2, REFUSED)
    now, asked = NOW + SILENCE + 0.1, 0
    for standing in course.standings:
        if standing.last_resort(now):
            known.asked(standing, 0, now)
            asked += 1
    assert 0 < asked < 30


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
