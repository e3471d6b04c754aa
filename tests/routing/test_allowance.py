"""What is left at a provider, as far as it told, and what was sent since."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.allowances import Told
from trunkline.routing.allowance import BELIEVED, LONGEST, Allowance


def after(*events: tuple[float, Told | int]) -> Allowance:
    """What is known after so many tokens were sent, and so much was told, at such times."""
    allowance = Allowance()
    for now, event in events:
        if isinstance(event, Told):
            allowance.told(event, now)
        else:
            allowance.asked(event, now)
    return allowance


def window(left: int, reset: float | None = None, **more: Any) -> Told:
    return Told(requests_left=left, requests_reset=reset, **more)


def bucket(left: int, reset: float | None, limit: int | None = 600) -> Told:
    return Told(requests_left=left, requests_reset=reset, requests_limit=limit, refills=True)


@pytest.mark.parametrize("tokens", [0, 1, 10**9])
def test_who_tells_nothing_is_not_waited_for(tokens: int) -> None:
    """Most providers tell nothing: all of them would stand still."""
    allowance = after((100.0, 500), (100.0, Told()), (100.0, Told(refills=True)))
    assert allowance.wait(tokens, 100.0) == 0.0


@pytest.mark.parametrize(
    ("told", "tokens", "later", "wait"),
    [
        (window(1, 30.0), 10, 0.0, 0.0),
        (window(0, 30.0), 10, 0.0, 30.0),
        (window(0, 30.0), 10, 29.0, 1.0),
        (window(0, 30.0), 10, 30.0, 0.0),
        (window(0, 86_400.0), 10, 0.0, LONGEST),
        (window(0), 10, 0.0, LONGEST),
        (window(0), 10, LONGEST, 0.0),
        (window(0, -5.0), 10, 20.0, LONGEST - 20.0),
        (Told(tokens_left=99, tokens_reset=7.0), 99, 0.0, 0.0),
        (Told(tokens_left=99, tokens_reset=7.0), 100, 0.0, 7.0),
        (Told(tokens_left=99, tokens_reset=7.0, tokens_limit=99), 100, 0.0, 0.0),  # all there is: it cannot get better
        (Told(tokens_left=98, tokens_reset=7.0, tokens_limit=99), 100, 0.0, 7.0),
        (Told(0, 3.0, 0, 9.0), 1, 0.0, 9.0),
        (bucket(0, 60.0), 10, 0.0, 0.1),  # ten come back each second
        (bucket(0, 60.0), 10, 0.05, 0.05),
        (bucket(0, 60.0), 10, 0.2, 0.0),
        (bucket(0, 86_400.0, limit=None), 10, 0.0, LONGEST),
        (bucket(0, 86_400.0, limit=10), 10, 0.0, LONGEST),
        (bucket(0, None), 10, 0.0, LONGEST),
        (bucket(0, -2.0), 10, 0.0, 0.0),  # it is full again
        (bucket(600, 0.0), 10, 0.0, 0.0),
        (Told(tokens_left=100, tokens_reset=30.0, tokens_limit=400, refills=True), 150, 0.0, 5.0),
        (Told(tokens_left=100, tokens_reset=30.0, tokens_limit=400, refills=True), 9999, 0.0, 30.0),
    ],
)
def test_how_long_until_there_is_room(told: Told, tokens: int, later: float, wait: float) -> None:
    """A request would be sent only to be refused, or kept back although there is room."""
    assert after((100.0, told)).wait(tokens, 100.0 + later) == pytest.approx(wait)


def test_what_is_sent_between_two_answers_is_taken_off() -> None:
    """A burst would run into the limit that the provider told before."""
    allowance = after((100.0, Told(3, 30.0, 1000, 30.0)), (101.0, 400), (102.0, 400))
    assert (allowance.wait(200, 103.0), allowance.wait(201, 103.0)) == (0.0, 27.0)
    allowance.asked(0, 103.0)
    assert allowance.wait(0, 103.0) == 27.0, "and requests are counted too"


def test_a_bucket_fills_while_it_is_used() -> None:
    """What was sent would count against a minute in which it came back long ago."""
    allowance = after((100.0, bucket(590, 1.0)))
    for n in range(1000):
        allowance.asked(0, 101.0 + n / 20)  # twice as fast as it fills
    assert allowance.wait(0, 151.0) == 0.0
    for _ in range(600):
        allowance.asked(0, 151.0)
    assert allowance.wait(0, 151.0) > 5.0
    assert allowance.wait(0, 100.0 + LONGEST) == 0.0, "nothing was told for a minute"


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        # the same window: an older answer, that knows of fewer requests
        ([(100.0, window(1, 30.0)), (100.5, 0), (103.0, window(9, 27.0))], True),
        ([(100.0, window(1, 30.0)), (100.5, 0), (103.0, window(9, 28.0))], True),
        ([(100.0, window(9, 30.0)), (103.0, window(0, 27.0))], True),
        # the reset moved: the next window
        ([(100.0, window(0, 3.0)), (102.9, window(9, 60.0))], False),
        ([(100.0, window(0, 3.0)), (103.0, window(9, 60.0))], False),
        # no reset is told: less than at the beginning may be older, more is the next window
        ([(100.0, window(5)), (101.0, window(0)), (103.0, window(4))], True),
        ([(100.0, window(5)), (101.0, window(0)), (103.0, window(6))], False),
        ([(100.0, window(5, 1.0)), (100.1, window(0, 0.0)), (100.2, window(4, 0.8))], True),
        ([(100.0, window(5)), (101.0, window(0)), (100.0 + LONGEST, window(1))], False),
        # a bucket: the later it is full, the more is known
        ([(100.0, bucket(0, 60.0)), (100.05, bucket(300, 30.0))], True),
        ([(100.0, bucket(0, 60.0)), (100.05, bucket(2, 59.96))], False),
    ],
)
def test_answers_that_come_out_of_order(events: list[tuple[float, Told | int]], waits: bool) -> None:
    """An older answer would give back what newer requests took, and they would all be refused."""
    assert (after(*events).wait(0, events[-1][0]) > 0) is waits


def test_a_burst_knows_of_itself_before_the_provider_does() -> None:
    """200 requests at once: the first answer tells that all but one are left, and a second 200 would follow them."""
    allowance = after(*[(100.0, 10)] * 200, (100.2, Told(99, 50.0, 5000, 50.0)))
    assert allowance.wait(10, 100.2) > 0
    allowance = after(*[(100.0, 10)] * 3, (100.2, Told(99, 50.0, 5000, 50.0)))
    assert allowance.wait(4950, 100.2) == 0.0


def test_requests_one_after_the_other_are_not_counted_twice() -> None:
    """A limit of three a minute would be one of two."""
    allowance = after((100.0, 50), (100.2, window(2, 59.0)), (100.2, 50), (100.4, window(1, 58.9)))
    assert allowance.wait(50, 100.4) == 0.0


_TOLD = st.builds(
    Told,
    requests_left=st.none() | st.integers(0, 100),
    requests_reset=st.none() | st.floats(-100, 1e6),
    tokens_left=st.none() | st.integers(0, 10**9),
    tokens_reset=st.none() | st.floats(-100, 1e6),
    requests_limit=st.none() | st.integers(0, 100),
    tokens_limit=st.none() | st.integers(0, 10**9),
    refills=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(-0.1, 40), _TOLD | st.integers(0, 10**6)), max_size=40), st.integers(0, 10**6))
def test_a_wait_is_a_time_of_at_most_a_minute(events: list[tuple[float, Told | int]], tokens: int) -> None:
    """Nonsense of a provider would keep its clients away for good."""
    allowance, now = Allowance(), 100.0
    for later, event in events:
        now += later
        allowance.told(event, now) if isinstance(event, Told) else allowance.asked(event, now)
        wait = allowance.wait(tokens, now)
        assert 0.0 <= wait <= LONGEST
        assert allowance.wait(0, now) <= wait
    assert allowance.wait(tokens, now + 1e7) == 0.0


@given(st.permutations(range(10)), st.booleans())
def test_whatever_the_order_the_least_counts(order: list[int], timed: bool) -> None:
    """Ten answers of one window in any order: what is left is what the last of the requests left."""
    allowance, most = Allowance(), order[0]
    for left in order:
        if left <= most:  # without a reset, more than at the beginning is the next window
            allowance.told(window(left, 30.0 if timed else None), 100.0)
    assert allowance.wait(0, 100.0) > 0


def test_nothing_is_believed_for_ever() -> None:
    """A provider whose clock differs, or whose day's limit was raised, would not be asked before the next reload."""
    allowance = Allowance()
    allowance.told(Told(requests_left=0, requests_limit=50, requests_reset=9e8), 100.0)
    assert allowance.wait(0, 100.0 + BELIEVED - 1) == LONGEST
    assert allowance.wait(0, 100.0 + BELIEVED) == 0.0
