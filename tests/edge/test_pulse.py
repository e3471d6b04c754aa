"""The timer that measures itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from trunkline.edge import pulse as module
from trunkline.edge.pulse import Pulse


class Clock:
    """A loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        """As a loop's."""
        return self.now

    def call_at(self, when: float, callback: Any) -> asyncio.Handle:
        """As a loop's."""
        self.timers.append((when, callback))
        return Handle(self, (when, callback))  # type: ignore[return-value]

    def go(self, seconds: float) -> None:
        """Time passes, then what is due is called."""
        self.now += seconds
        for timer in [timer for timer in self.timers if timer[0] <= self.now]:
            self.timers.remove(timer)
            timer[1]()


class Handle:
    """Of one timer."""

    def __init__(self, clock: Clock, timer: tuple[float, Any]) -> None:
        self._clock = clock
        self._timer = timer

    def cancel(self) -> None:
        """As a timer handle's."""
        if self._timer in self._clock.timers:
            self._clock.timers.remove(self._timer)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """At the end no timer is left."""
    made = Clock()
    yield made
    assert made.timers == []


def test_it_tells_how_late_and_how_busy_it_is(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load would be shed where there is none, or not where there is."""
    told: list[tuple[float, float]] = []
    worked = iter([7.0, 7.0, 7.6, 7.625])
    monkeypatch.setattr(module.time, "thread_time", lambda: next(worked))
    pulse = Pulse(clock, 0.25, lambda *both: told.append(both))  # type: ignore[arg-type]
    pulse.start()
    for seconds in (0.25, 0.75, 0.25):
        clock.go(seconds)
    assert told == [(0.0, 0.0), (0.5, pytest.approx(0.8)), (0.0, pytest.approx(0.1))]
    pulse.stop()
    pulse.stop()
    clock.go(1.0)
    assert len(told) == 3


def test_one_that_raises_does_not_end_it(clock: Clock) -> None:
    """After one fault the process would have no protection any more, in silence."""
    told: list[float] = []

    def beat(late: float, busy: float) -> None:
        told.append(late)
        raise RuntimeError

    pulse = Pulse(clock, 0.25, beat)  # type: ignore[arg-type]
    pulse.start()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            clock.go(0.25)
    assert told == [0.0, 0.0]
    pulse.stop()


async def test_on_a_real_loop() -> None:
    """The loop's own clock and timers must be what it takes them for."""
    told: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
    pulse = Pulse(asyncio.get_running_loop(), 0.01, lambda *both: None if told.done() else told.set_result(both))
    pulse.start()
    late, busy = await told
    assert 0.0 <= late < 5.0
    assert 0.0 <= busy <= 1.0
    pulse.stop()


def test_stopping_what_never_began(clock: Clock) -> None:
    """A process that ends before it served would end with a traceback."""
    Pulse(clock, 0.25, lambda *_: None).stop()  # type: ignore[arg-type]
