"""What is known of one target, and what a credential's refusal means for all of its models."""

from __future__ import annotations

import pytest

from routing.known import DOWN, NOW, REFUSED, failed, provider, route, standings
from trunkline.canon.errors import GatewayError, Kind
from trunkline.providers.allowances import Told
from trunkline.providers.provider import Target
from trunkline.routing.course import Standings
from trunkline.routing.health import FIRST_REST, LONGEST_REST, PROBES, RECOVERY, SILENCE, WINDOW

LATER = GatewayError(Kind.UPSTREAM_FAILED, "later", status=429, retry_after=7.0)


def test_what_names_no_model_is_never_left_alone() -> None:
    """Whoever asks for files that are gone would take them from everybody else."""
    standing = standings().of(Target(provider(), ""))
    failed(standing, 20, GatewayError(Kind.UPSTREAM_REFUSED, "no such file", status=404))
    assert standing.well(0, NOW)


def test_who_asks_for_what_a_target_is_not_made_for_harms_nobody_else() -> None:
    """A chat model that is asked for plain completions says 404: it would be slow, or ill, for everybody."""
    known = standings()
    (standing,) = known.along(route(Target(provider(), "x"), strategy="latency")).standings
    standing.succeeded(NOW - 1.0, NOW, None)
    failed(standing, 20, GatewayError(Kind.UPSTREAM_REFUSED, "no chat model", status=404))
    assert standing.well(0, NOW)
    assert standing.pace.answer.value == 1.0
    failed(standing, 5, GatewayError(Kind.UPSTREAM_REFUSED, "no such model", status=404), NOW + WINDOW)
    assert not standing.well(0, NOW + WINDOW), "nobody was answered since: it is gone"


def test_a_request_is_counted_wherever_it_counts() -> None:
    """The least busy target, the one whose turn it is, or the limit would be told wrongly."""
    known = standings()
    course = known.along(route(Target(provider(), "x"), Target(provider(), "y"), strategy="latency"))
    first, second = course.standings
    known.asked(first, 10, NOW)
    known.asked(second, 10, NOW)
    assert (first.busy, first.turn, second.turn) == (1, 1, 2)
    first.succeeded(NOW - 0.5, NOW, 0.2)
    second.succeeded(NOW - 0.5, NOW, None)
    second.succeeded(NOW - 9.5, NOW, None, timed=False)
    assert (first.served, first.pace.first_token.value) == pytest.approx((1, 0.2))
    assert (second.served, second.pace.answer.value) == pytest.approx((2, 0.5))
    first.failed(NOW - 0.5, NOW, GatewayError(Kind.BAD_REQUEST, "not its fault"))
    assert first.pace.first_token.value == pytest.approx(0.2)
    first.failed(NOW - 0.5, NOW, DOWN)
    assert first.pace.first_token.value > 1.0
    first.left(NOW - 9.0, NOW, 9.0)
    assert first.pace.first_token.value > 6.0, "its client left, but it had begun"
    second.outrun(NOW - 2.5, NOW, stream=False)
    second.outrun(NOW - 2.5, NOW, stream=True)
    assert second.pace.answer.value == pytest.approx(1.5)
    assert second.pace.first_token.value == pytest.approx(2.5)


def test_answers_pay_for_second_tries() -> None:
    """A target that answers nobody would be asked twice by more and more."""
    standing = standings().of(Target(provider(), "x"))
    for answered, tries in ((0, 10), (19, 1), (1, 1), (5, 0)):
        for _ in range(answered):
            standing.succeeded(NOW, NOW, None)
        failed(standing, 20)
        found = 0
        while standing.budget.may():
            standing.budget.spend()
            found += 1
        assert found == tries


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
    for left in (200, 100):
        standing.told(Told(tokens_left=left, tokens_limit=1000, tokens_reset=30.0), NOW)
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


def test_our_own_limits_hold_everybody_back() -> None:
    """What was agreed with a provider would be broken as soon as nobody else is left; it has not failed."""
    waits = {"lab": 0.0}
    known = Standings(lambda _: None, lambda target: lambda tokens: waits[target.provider.name] * (tokens > 5))
    (standing,) = known.along(route(Target(provider(), "x"))).standings
    assert standing.well(10, NOW)
    assert standing.held(10) == 0.0
    waits["lab"] = 3.0
    assert standing.well(1, NOW), "a small one has room"
    assert not standing.well(10, NOW)
    assert standing.ill(10, NOW) == "is asked as much as its limits here allow, for 3.0 s"
    assert standing.rests(10, NOW) == 3.0
    assert standing.held(10) == 3.0
    assert standing.state(NOW) == "closed"


def test_a_provider_without_limits_has_no_gate() -> None:
    """Nothing is looked at for those who have none."""
    (standing,) = standings().along(route(Target(provider(), "x"))).standings
    assert standing.gate is None
    assert standing.held(10**9) == 0.0
