"""One sweep for all deadlines."""

from __future__ import annotations

import asyncio
from typing import Any

from trunkline.edge.timers import NEVER, TICK, Sweep


class Item:
    """Something with a deadline; `expire` runs `then`."""

    def __init__(self, sweep: Sweep, deadline: float, then: Any = None) -> None:
        self.deadline = deadline
        self.fired: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._sweep = sweep
        self._then = then

    def expire(self, now: float) -> None:
        """Once."""
        if not self.fired.done():
            self.fired.set_result(now)
        self.deadline = NEVER
        self._sweep.leave(self)
        if self._then is not None:
            self._then()


async def test_a_deadline_fires_after_it_passed_and_within_two_ticks() -> None:
    """A deadline that fires early cuts off good clients; one that fires late lets bad ones stay."""
    loop = asyncio.get_running_loop()
    sweep = Sweep(loop)
    due = loop.time() + 0.15
    item = Item(sweep, due)
    sweep.watch(item)
    fired = await item.fired
    assert due <= fired <= due + 2 * TICK + 0.1


async def test_who_left_is_not_called() -> None:
    """A closed connection whose deadline fires would be refused after its end."""
    loop = asyncio.get_running_loop()
    sweep = Sweep(loop)
    gone, stays = Item(sweep, loop.time()), Item(sweep, loop.time())
    sweep.watch(gone)
    sweep.watch(stays)
    sweep.leave(gone)
    sweep.leave(gone)
    await stays.fired
    assert not gone.fired.done()


async def test_one_that_raises_does_not_end_the_others_deadlines() -> None:
    """Without the next tick, one error would take every timeout out of the whole process, in silence."""
    loop = asyncio.get_running_loop()
    raised: list[object] = []
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    sweep = Sweep(loop)

    def fail() -> None:
        raise ValueError

    bad = Item(sweep, loop.time(), fail)
    sweep.watch(bad)
    await bad.fired
    later = Item(sweep, loop.time())
    sweep.watch(later)
    await later.fired
    assert len(raised) == 1


async def test_it_rests_while_nothing_is_watched_and_wakes_again(rig: Any) -> None:
    """An idle gateway must not burn CPU; one that woke must keep its deadlines."""
    loop = asyncio.get_running_loop()
    sweep = Sweep(loop)
    first = Item(sweep, loop.time())
    sweep.watch(first)
    await first.fired
    await rig.until(lambda: sweep._handle is None)
    second = Item(sweep, loop.time())
    sweep.watch(second)
    sweep.watch(second)
    await second.fired
