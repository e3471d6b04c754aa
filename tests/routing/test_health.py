"""A target that fails again and again, and comes back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.canon.errors import GatewayError, Kind
from trunkline.routing.health import (
    FIRST_REST,
    LAST_RESORT,
    LONGEST_REST,
    OPENS_AFTER,
    PROBE,
    PROBES,
    RECOVERY,
    SILENCE,
    WINDOW,
    Circuit,
    counts,
)

DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "x")


def busy(after: float) -> GatewayError:
    return GatewayError(Kind.UPSTREAM_FAILED, "x", status=429, retry_after=after)


def down(times: int = OPENS_AFTER, now: float = 100.0) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit.failed(now, DOWN)
    return circuit


def back(now: float = 100.0) -> Circuit:
    """One that was down and answers its probe at `now`."""
    circuit = down(now=now - FIRST_REST)
    circuit.asked(now)
    circuit.succeeded(now, None)
    return circuit


def let_in(circuit: Circuit, now: float, want: int = 1000) -> int:
    """How many of so many requests may go there at once."""
    went = 0
    for _ in range(want):
        if circuit.may(now):
            circuit.asked(now)
            went += 1
    return went


def lets(circuit: Circuit, now: float, most: int) -> int:
    """How many of so many requests may go there as a last resort."""
    for went in range(most):
        if not circuit.last_resort(now):
            return went
        circuit.asked(now)
    return most


def test_a_few_failures_are_nothing() -> None:
    """One bad moment would turn all traffic away."""
    circuit = down(OPENS_AFTER - 1)
    assert (circuit.state(100.0), circuit.may(100.0), circuit.rests(100.0)) == ("closed", True, 0.0)
    circuit.succeeded(100.0, None)
    circuit.failed(100.0, DOWN)
    assert circuit.state(100.0) == "closed", "failures in a row are counted"


def test_it_is_left_alone_and_then_tried_by_one_at_a_time() -> None:
    """All clients at once would bring a provider down again that has just come back."""
    circuit, then = down(), 100.0 + FIRST_REST
    assert (circuit.state(100.0), circuit.may(then - 0.1), circuit.rests(then - 4)) == ("open", False, 4.0)
    assert (circuit.state(then), circuit.rests(then)) == ("half_open", 0.0)
    assert let_in(circuit, then) == 1
    assert not circuit.may(then + 1)
    assert 0 < circuit.rests(then + 1) <= 1, "the probe ends at some time, and one second has room for a last resort again"
    assert circuit.may(then + PROBE), "a try that is never heard of again keeps nobody from it for ever"


@pytest.mark.parametrize("error", [None, GatewayError(Kind.CLIENT_GONE, "x")])
def test_a_probe_that_told_nothing_is_made_again(error: GatewayError | None) -> None:
    """A client that leaves would keep the target away from all others for a minute."""
    circuit, then = down(), 100.0 + FIRST_REST
    circuit.asked(then)
    if error:
        circuit.failed(then + 1, error)
    else:
        circuit.left(then + 1)
    assert (circuit.state(then + 1), let_in(circuit, then + 1)) == ("half_open", 1)


def test_it_rests_longer_each_time_it_fails_again() -> None:
    """A provider that is down for an hour would be tried hundreds of times."""
    circuit, now, rests = down(), 100.0, []
    for _ in range(12):
        rest = next(second for second in range(1, 100) if circuit.state(now + second) == "half_open")
        rests.append(rest)
        now += rest
        circuit.asked(now)
        circuit.failed(now, DOWN)
    assert rests[:4] == [10, 20, 40, 60]
    assert set(rests[4:]) == {LONGEST_REST}


def test_once_back_it_gets_more_each_second_and_then_all() -> None:
    """Everybody who waited would come in the same moment, and bring it down again."""
    circuit = back(100.0)
    assert circuit.state(100.0) == "recovering"
    assert [let_in(circuit, 100.0 + second) for second in range(RECOVERY + 1)] == [5, 10, 20, 40, 80, 1000]
    assert circuit.state(100.0 + RECOVERY) == "closed"
    circuit = back(100.0)
    assert (let_in(circuit, 100.2), let_in(circuit, 100.9), circuit.last_resort(100.9)) == (PROBES, 0, True)
    assert circuit.rests(100.9) == pytest.approx(0.1)


def test_a_failure_while_it_recovers_opens_it_for_longer_and_one_afterwards_does_not() -> None:
    """It would be called well while it still fails; or a single failure much later would take it away for a minute."""
    circuit = back(100.0)
    circuit.failed(101.0, DOWN)
    assert (circuit.state(101.0), circuit.rests(101.0)) == ("open", 2 * FIRST_REST)
    for answered in (True, False):
        circuit = back(100.0)
        if answered:
            circuit.succeeded(103.0, None)
            circuit.succeeded(100.0 + RECOVERY, None)
        circuit.failed(100.0 + RECOVERY, DOWN)
        assert circuit.state(100.0 + RECOVERY) == "closed"
        for _ in range(OPENS_AFTER):
            circuit.failed(106.0, DOWN)
        assert circuit.rests(106.0) == FIRST_REST, "it was well in between"


def test_requests_that_die_together_open_it_once() -> None:
    """200 in flight would mean the longest rest after a hiccup."""
    circuit = Circuit()
    for _ in range(200):
        circuit.failed(100.0, DOWN)
    assert circuit.rests(100.0) == FIRST_REST
    circuit.failed(100.0 + FIRST_REST, DOWN)
    assert circuit.may(100.0 + FIRST_REST), "nor does one that comes late, while no probe is under way"


def test_what_was_sent_before_tells_nothing_of_now() -> None:
    """Requests that time out long after the outage would be taken for failures of the target that is back."""
    circuit, then = down(), 100.0 + FIRST_REST
    circuit.asked(then)
    circuit.failed(then + 1, DOWN, sent=99.0)
    circuit.left(then + 1, sent=99.0)
    circuit.succeeded(then + 1, None, sent=99.0)
    assert (circuit.state(then + 1), circuit.may(then + 1)) == ("half_open", False), "the probe is still under way"
    circuit.succeeded(then + 2, None, sent=then)
    circuit.failed(then + 3, DOWN, sent=then - 1)
    assert circuit.state(then + 3) == "recovering"
    circuit.failed(then + 3, DOWN, sent=then + 2.5)
    assert circuit.state(then + 3) == "open"


def test_where_nobody_else_is_left_a_few_a_second_may() -> None:
    """Clients with a single provider would get nothing at all for a minute."""
    circuit = down()

    def resorts(now: float) -> int:
        went = 0
        while circuit.last_resort(now):
            circuit.asked(now)
            went += 1
        return went

    assert [resorts(now) for now in (103.0, 103.9, 104.0, 105.5)] == [LAST_RESORT, 0, LAST_RESORT, LAST_RESORT]
    assert resorts(100.0 + FIRST_REST) == 1 + LAST_RESORT, "the probe, and those besides"
    assert Circuit().last_resort(0.0)


def test_one_that_still_answers_some_is_asked_by_all_who_have_nobody_else() -> None:
    """A provider that refuses every second request in its rush hour would serve ten a second instead of half of all."""
    circuit = Circuit()
    for n in range(100):
        circuit.succeeded(90.0 + n / 10, None)
    for _ in range(OPENS_AFTER):
        circuit.failed(100.0, DOWN)
    assert (circuit.state(100.5), circuit.may(100.5)) == ("open", False)
    assert lets(circuit, 100.5, 1000) == 1000
    assert lets(circuit, 100.5 + SILENCE, 1000) == LAST_RESORT, "until it is silent"
    assert lets(down(now=100.0), 100.0 + SILENCE, 1000) == 1000, "nor is one that failed for a moment only"


def test_a_dead_one_that_answers_again_gets_more_each_second() -> None:
    """All who waited with nobody else to ask would come in the moment it is back."""
    circuit = down()
    assert lets(circuit, 105.0, 1000) == LAST_RESORT
    went = []
    for second in range(RECOVERY + 1):
        circuit.succeeded(105.5 + second, None)
        went.append(lets(circuit, 106.0 + second, 10_000))
    assert went == [10, 20, 40, 80, 1 + 160, 10_000], "and one probe, when its rest is over"


def test_an_answer_to_a_last_resort_makes_a_long_rest_a_short_one() -> None:
    """A provider that is back would be kept from its clients for up to a minute."""
    circuit, now = down(), 100.0
    for rest in (10, 20):
        now += rest
        circuit.asked(now)
        circuit.failed(now, DOWN)
    assert circuit.rests(now) == 40
    circuit.succeeded(now + 2, None)
    assert circuit.state(now + 2) == "open"
    assert circuit.rests(now + 2) == pytest.approx(FIRST_REST - 2, abs=0.01)
    circuit.succeeded(now + FIRST_REST, None)
    assert circuit.state(now + FIRST_REST) == "recovering"


@pytest.mark.parametrize(("after", "rest"), [(3.0, 3.0), (3600.0, LONGEST_REST)])
def test_a_provider_that_says_when_is_left_alone_until_then(after: float, rest: float) -> None:
    """Each request until then would be refused as well; and one that is only busy would be treated like one that was down."""
    circuit = Circuit()
    for _ in range(20):
        circuit.failed(100.0, busy(after))
    assert (circuit.may(100.0 + rest - 0.1), circuit.rests(100.0), circuit.state(100.0)) == (False, rest, "open")
    assert circuit.last_resort(100.0)
    for _ in range(LAST_RESORT):
        circuit.asked(100.0)
    assert not circuit.last_resort(100.0)
    assert (circuit.state(100.0 + rest), let_in(circuit, 100.0 + rest)) == ("closed", 1000)
    assert circuit.share_failed(100.0) == 0.0


def test_a_probe_that_is_told_when_to_come_again_comes_then() -> None:
    """The rest would double although the provider is there and says what it wants."""
    circuit, then = down(), 100.0 + FIRST_REST
    circuit.asked(then)
    circuit.failed(then, busy(2.0))
    assert (circuit.rests(then), circuit.state(then + 2), let_in(circuit, then + 2)) == (2.0, "half_open", 1)
    circuit = back(100.0)
    circuit.failed(100.5, busy(1.0))
    assert (circuit.state(100.6), circuit.state(101.5), let_in(circuit, 101.5)) == ("open", "recovering", 2 * PROBES)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_cools_down(status: int) -> None:
    """A revoked key would be tried every few seconds, and its provider would block the address."""
    circuit = Circuit()
    refused = GatewayError(Kind.UPSTREAM_REFUSED, "x", status=status)
    for error in (refused, DOWN, refused):
        circuit.failed(100.0, error)
    assert circuit.state(100.0) == "closed", "in a row"
    circuit.failed(100.0, refused)
    assert circuit.rests(100.0) == LONGEST_REST
    circuit.asked(160.0)
    circuit.failed(160.0, refused)
    assert circuit.rests(160.0) == LONGEST_REST


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ("-+" * 4 + "-", "closed"),
        ("-+" * 5, "closed"),  # the tenth is the first that can tell, and it is an answer
        ("-+" * 5 + "-", "open"),
        ("-++" * 10, "closed"),
        ("s" * 9, "closed"),
        ("s" * 10, "open"),
        ("s+" * 5 + "s", "open"),
        ("s----s----s", "open"),
        ("s----s", "closed"),
    ],
)
def test_a_target_that_fails_or_dawdles_half_of_the_time(answers: str, state: str) -> None:
    """Failures that never come in a row, or answers that take a minute to begin, would go on for ever."""
    circuit = Circuit(slow=2.0)
    for answer in answers:
        if answer == "-":
            circuit.failed(100.0, DOWN)
        else:
            circuit.succeeded(100.0, 2.5 if answer == "s" else 2.0)
    assert circuit.state(100.0) == state
    bad = len(answers) - answers.count("+")
    assert circuit.share_failed(100.0) == pytest.approx(bad / len(answers))


@pytest.mark.parametrize(
    ("later", "share", "state"),
    [(0.0, 9 / 14, "open"), (WINDOW / 2, 9 / 14, "open"), (WINDOW, 0.0, "closed")],
)
def test_what_is_long_past_is_no_longer_held_against_it(later: float, share: float, state: str) -> None:
    """Failures of this morning would open it this evening."""
    circuit = Circuit(slow=2.0)
    assert circuit.share_failed(0.0) == 0.0
    for answer in [3.0] * 9:
        circuit.succeeded(100.0, answer)
    for answer in [1.0] * 5:
        circuit.succeeded(100.0 + later, answer)
    assert circuit.share_failed(100.0 + later) == pytest.approx(share)
    circuit.failed(100.0 + later, DOWN)
    assert circuit.state(100.0 + later) == state


def test_a_slow_answer_to_a_probe_is_an_answer() -> None:
    """A model that loads when it is first asked would never come back."""
    circuit = Circuit(slow=1.0)
    for _ in range(OPENS_AFTER):
        circuit.failed(100.0, DOWN)
    circuit.asked(110.0)
    circuit.succeeded(110.0, 30.0)
    assert circuit.state(110.0) == "recovering"
    for _ in range(9):
        circuit.succeeded(111.0, 30.0)
    assert (circuit.state(111.0), circuit.rests(111.0)) == ("open", 2 * FIRST_REST)


@pytest.mark.parametrize(
    ("kind", "more", "counted"),
    [
        (Kind.UPSTREAM_UNREACHABLE, {}, True),
        (Kind.UPSTREAM_TIMEOUT, {}, True),
        (Kind.UPSTREAM_FAILED, {"status": 500}, True),
        (Kind.UPSTREAM_REFUSED, {"status": 401}, True),
        (Kind.UPSTREAM_REFUSED, {"status": 400}, False),
        (Kind.BAD_REQUEST, {}, False),
        (Kind.CLIENT_GONE, {}, False),
        (Kind.OVERLOADED, {}, False),
        (Kind.INTERNAL, {}, False),
    ],
)
def test_what_is_the_targets_fault(kind: Kind, more: dict[str, Any], counted: bool) -> None:
    """One client's bad requests would close a provider to all others."""
    error = GatewayError(kind, "x", **more)
    assert counts(error) is counted
    circuit = Circuit()
    for _ in range(20):
        circuit.failed(100.0, error)
    assert (circuit.state(100.0) == "open") is counted


EVENTS = st.lists(
    st.tuples(st.sampled_from(["fail", "busy", "refuse", "answer", "slow", "ask", "leave"]), st.floats(0, 30)), max_size=80
)


def happen(circuit: Circuit, what: str, now: float) -> None:
    if what == "fail":
        circuit.failed(now, DOWN)
    elif what == "busy":
        circuit.failed(now, busy(5.0))
    elif what == "refuse":
        circuit.failed(now, GatewayError(Kind.UPSTREAM_REFUSED, "x", status=401))
    elif what == "ask":
        circuit.asked(now)
    elif what == "leave":
        circuit.left(now)
    else:
        circuit.succeeded(now, 9.0 if what == "slow" else 0.1)


@given(EVENTS)
def test_whatever_happens_it_is_tried_again(events: list[tuple[str, float]]) -> None:
    """A target must never be lost for good."""
    circuit, now = Circuit(slow=5.0), 0.0
    for what, later in events:
        now += later
        happen(circuit, what, now)
        rests = circuit.rests(now)
        assert 0 <= rests <= LONGEST_REST + 1e-6
        assert (rests == 0) is circuit.may(now)
        assert circuit.last_resort(now) or not circuit.may(now)
        assert 0 <= circuit.share_failed(now) <= 1
        assert (circuit.state(now) == "closed") <= circuit.may(now)
    assert circuit.may(now + LONGEST_REST + PROBE)


@given(
    st.lists(st.tuples(st.sampled_from(["fail", "busy", "answer", "slow", "leave", "want"]), st.floats(0, 0.5)), max_size=300)
)
def test_no_second_of_a_recovery_sees_more_than_its_cap(events: list[tuple[str, float]]) -> None:
    """Whatever ends how and when, those who come back together would be the next outage."""
    circuit, now, began, seconds = back(100.0), 100.0, 100.0, Counter[int]()
    for what, later in events:
        now += later
        if circuit.state(now) != "recovering" and what != "busy":
            break
        if what == "want" and circuit.last_resort(now):
            seconds[int(now - began)] += let_in(circuit, now, 3)
        elif what != "want":
            happen(circuit, what, now)
    assert all(went <= PROBES * 2**second for second, went in seconds.items() if second < RECOVERY)


@given(st.lists(st.tuples(st.sampled_from(["fail", "busy", "leave", "resort"]), st.floats(0, 3)), max_size=100))
def test_a_dead_target_sees_little_whatever_happens(events: list[tuple[str, float]]) -> None:
    """Everything would go to where nobody is, and all at once when it is back."""
    circuit, now, sent = down(now=100.0), 100.1 + SILENCE, [0.0]
    for what, later in events:
        now += later
        if circuit.state(now) not in {"open", "half_open"}:
            break
        if what != "resort":
            happen(circuit, what, now)
            continue
        for _ in range(30):
            if circuit.last_resort(now):
                circuit.asked(now)
                sent.append(now)
    within = max(sum(1 for other in sent if time <= other < time + 1) for time in sent)
    probes = 1 + sum(what != "resort" for what, _ in events)
    assert within <= 2 * LAST_RESORT + probes


def test_one_whose_circuit_never_opens_is_asked_as_ever() -> None:
    """Who prefers the provider's own errors to ours would still be given ours."""
    circuit = Circuit(slow=1.0, breaks=False)
    for error in (DOWN, busy(30.0)):
        for _ in range(100):
            circuit.failed(100.0, error)
    circuit.succeeded(100.0, 5.0)
    assert (circuit.state(100.0), circuit.may(100.0)) == ("closed", True)
    assert circuit.share_failed(100.0) > 0.99
