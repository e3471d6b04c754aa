"""A token that is renewed in time, by a fetch that the test holds in its hand."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Awaitable, Callable

import pytest

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.wire import Deadlines, Origin, WireRequest
from trunkline.credentials import renewed
from trunkline.credentials.renewed import Renewed, Token

REQUEST = WireRequest(Origin("https", "h", 443), "/", b"", b"", Deadlines(), 1)
DOWN = GatewayError(Kind.UPSTREAM_UNREACHABLE, "the token server cannot be reached")


class Source:
    """A fetch that waits until the test says what it brings."""

    def __init__(self) -> None:
        self.calls = 0
        self.drained = threading.Event()
        self._answers: queue.Queue[Token | Exception] = queue.Queue()

    def __call__(self) -> Token:
        """Wait for it."""
        self.calls += 1
        answer = self._answers.get()
        self.drained.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def give(self, answer: Token | Exception) -> None:
        """What the fetch that waits, or the next one, brings."""
        self._answers.put(answer)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Bench:
    """One credential with all that it hangs on."""

    def __init__(self) -> None:
        self.source, self.clock, self.wall = Source(), Clock(), Clock()
        self.credential = Renewed(self.source, clock=lambda: self.wall() + self.clock(), mono=self.clock)

    async def lines(self) -> bytes:
        """What a request gets."""
        return await self.credential.lines(REQUEST)

    async def fetched(self) -> None:
        """Wait until no fetch is under way."""
        running = self.credential._running
        if running is not None:
            await running


def run(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def inside() -> None:
        bench = Bench()
        try:
            await test(bench)
        finally:
            bench.credential.close()
            bench.source.give(DOWN)  # lets a thread that still waits end

    asyncio.run(inside())


def test_the_first_token_is_fetched_unasked():
    """The first request after a start would wait for a token server."""

    async def test(bench: Bench) -> None:
        bench.source.give(Token("abc", 3600, b"x-more: 1\r\n"))
        assert bench.credential.secrets == ()
        await bench.fetched()
        assert bench.source.calls == 1
        assert await bench.lines() == b"Authorization: Bearer abc\r\nx-more: 1\r\n"
        assert bench.credential.secrets == (b"abc",)

    run(test)


def test_many_requests_make_one_fetch():
    """A burst at a start would be a burst at the token server."""

    async def test(bench: Bench) -> None:
        waiting = [asyncio.ensure_future(bench.lines()) for _ in range(200)]
        await asyncio.sleep(0)
        bench.source.give(Token("abc", 3600))
        assert set(await asyncio.gather(*waiting)) == {b"Authorization: Bearer abc\r\n"}
        assert bench.source.calls == 1

    run(test)


@pytest.mark.parametrize(
    ("life", "fresh", "due"), [(3600.0, 3299.0, 3301.0), (100.0, 89.0, 91.0), (86_400.0 * 9, 86_099.0, 86_101.0)]
)
def test_a_token_is_renewed_beside_the_requests(life: float, fresh: float, due: float):
    """A request would wait for a renewal, or the token server be asked again and again."""

    async def test(bench: Bench) -> None:
        bench.source.give(Token("old", life))
        await bench.fetched()
        bench.clock.now += fresh
        assert b"old" in await bench.lines()
        assert bench.source.calls == 1
        bench.clock.now += due - fresh
        assert b"old" in await bench.lines()
        assert b"old" in await bench.lines()
        bench.source.give(Token("new", life))
        await bench.fetched()
        assert bench.source.calls == 2
        assert b"new" in await bench.lines()

    run(test)


def test_a_failed_renewal_costs_nothing_while_the_old_token_holds(caplog: pytest.LogCaptureFixture):
    """A short outage of the token server would be an outage of the provider; or nobody would hear of it."""

    async def test(bench: Bench) -> None:
        bench.source.give(Token("old", 3600))
        await bench.fetched()
        bench.clock.now += 3400
        assert b"old" in await bench.lines()
        bench.source.give(DOWN)
        with caplog.at_level(logging.WARNING):
            await bench.fetched()
        assert b"old" in await bench.lines()
        assert bench.source.calls == 2, "the next try must wait"
        bench.clock.now += 3
        assert b"old" in await bench.lines()
        bench.source.give(Token("new", 3600))
        await bench.fetched()
        assert b"new" in await bench.lines()

    run(test)
    assert "the token server cannot be reached" in caplog.text


def test_who_has_no_token_is_told_why_and_does_not_hammer():
    """Requests would hang, or each would knock at a token server that is down."""

    async def test(bench: Bench) -> None:
        bench.source.give(DOWN)
        first = [asyncio.ensure_future(bench.lines()) for _ in range(200)]
        errors = await asyncio.gather(*first, return_exceptions=True)
        assert {type(error) for error in errors} == {GatewayError}
        assert len({id(error) for error in errors}) == 200, "each its own: tracebacks must not add up"
        for _ in range(3):
            with pytest.raises(GatewayError) as caught:
                await bench.lines()
            assert (caught.value.kind, caught.value.message) == (DOWN.kind, DOWN.message)
            assert caught.value.retry_after == 3.0
        assert bench.source.calls == 1
        bench.clock.now += 3.1
        bench.source.give(Token("abc", 3600))
        assert b"abc" in await bench.lines()
        assert bench.source.calls == 2

    run(test)


def test_tries_come_apart():
    """A token server that is down for an hour would be asked a thousand times."""

    async def test(bench: Bench) -> None:
        bench.source.give(DOWN)
        await bench.fetched()
        waits = []
        for _ in range(6):
            with pytest.raises(GatewayError) as caught:
                await bench.lines()
            waits.append(caught.value.retry_after)
            bench.clock.now += caught.value.retry_after or 0.0
            bench.source.give(DOWN)
            with pytest.raises(GatewayError):
                await bench.lines()
        assert waits == [3.0, 6.0, 12.0, 24.0, 30.0, 30.0]

    run(test)


def test_a_refusal_is_not_promised_to_pass():
    """A client would try for ever with a key that was revoked."""

    async def test(bench: Bench) -> None:
        bench.source.give(GatewayError(Kind.UPSTREAM_REFUSED, "no", status=401, code="invalid_credentials"))
        with pytest.raises(GatewayError) as caught:
            await bench.lines()
        error = caught.value
        assert (error.status, error.code, error.retryable, error.retry_after) == (401, "invalid_credentials", False, None)

    run(test)


def test_an_expired_token_is_never_sent():
    """The provider would answer 401 to a client that did nothing wrong."""

    async def test(bench: Bench) -> None:
        bench.source.give(Token("old", 3600))
        await bench.fetched()
        bench.clock.now += 3591  # a machine that slept
        bench.source.give(Token("new", 3600))
        assert b"new" in await bench.lines()

    run(test)


@pytest.mark.parametrize("jump", [-3600.0, 600.0, 86_400.0])
def test_a_clock_that_is_set_makes_no_token_younger(jump: float):
    """Set back by an hour, the token would be sent for an hour after its end; set on, it is fetched once more, at most."""

    async def test(bench: Bench) -> None:
        bench.source.give(Token("one", 3600))
        await bench.lines()
        bench.source.give(Token("two", 3600))
        bench.wall.now += jump
        assert (b"two" if jump > 3600 else b"one") in await bench.lines()
        assert b"two" in await bench.lines() or jump < 3600, "and not fetched again and again"
        assert bench.source.calls == (2 if jump > 3600 else 1)
        bench.source.give(Token("three", 3600))
        bench.clock.now += 3591
        assert (b"three" if jump > 3600 else b"two") in await bench.lines()

    run(test)


@pytest.mark.parametrize("bad", [ValueError("secret-in-words"), Token("two words", 10), Token("a\r\nb: c", 10), Token("", 10)])
def test_what_is_no_token_is_a_failure(bad: Token | Exception):
    """A library's surprise would hang every request, or a header be smuggled."""

    async def test(bench: Bench) -> None:
        bench.source.give(bad)
        with pytest.raises(GatewayError) as caught:
            await bench.lines()
        assert caught.value.kind is Kind.UPSTREAM_PROTOCOL
        assert "secret-in-words" not in caught.value.message

    run(test)


def test_a_request_waits_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch):
    """A token server that says nothing would hold every request for as long as it likes."""
    monkeypatch.setattr(renewed, "_PATIENCE", 0.01)

    async def test(bench: Bench) -> None:
        with pytest.raises(GatewayError) as caught:
            await bench.lines()
        assert caught.value.kind is Kind.UPSTREAM_TIMEOUT
        bench.source.give(Token("late", 3600))
        await bench.fetched()
        assert b"late" in await bench.lines()

    run(test)


def test_a_fetch_that_never_comes_back_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """One connection that hangs would be the last try of this process; or its late answer would count."""
    monkeypatch.setattr(renewed, "_LONGEST", 0.01)

    async def test(bench: Bench) -> None:
        with pytest.raises(GatewayError) as caught:
            await bench.lines()
        assert caught.value.kind is Kind.UPSTREAM_TIMEOUT
        monkeypatch.setattr(renewed, "_LONGEST", 30.0)
        bench.clock.now += 4
        second = asyncio.ensure_future(bench.lines())
        await asyncio.sleep(0)
        bench.source.drained.clear()
        bench.source.give(Token("of-the-lost-one", 3600))  # the first thread takes it
        await asyncio.to_thread(bench.source.drained.wait, 5)
        bench.source.give(Token("of-the-second", 3600))
        assert b"of-the-second" in await second

    run(test)


def test_who_waits_at_the_end_is_not_left_waiting():
    """A stop would hang on a token server."""

    async def test(bench: Bench) -> None:
        waiting = asyncio.ensure_future(bench.lines())
        await asyncio.sleep(0)
        bench.credential.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(GatewayError) as caught:
            await bench.lines()
        assert caught.value.kind is Kind.SHUTTING_DOWN
        assert bench.source.calls == 1
        bench.credential.close()

    run(test)


def test_a_fetch_that_outlives_the_loop_is_harmless():
    """A stop would end in a traceback of a thread."""
    source = Source()
    seen: list[threading.ExceptHookArgs] = []

    async def inside() -> None:
        Renewed(source)

    before, threading.excepthook = threading.excepthook, seen.append
    try:
        asyncio.run(inside())
        source.give(Token("late", 1))
        for thread in threading.enumerate():
            if thread.name == "token":
                thread.join(5)
    finally:
        threading.excepthook = before
    assert seen == []


def test_the_wall_clock_is_the_usual_one():
    """Tokens would expire by a clock that stands still while the machine sleeps."""
    seen: list[float] = []

    async def inside() -> None:
        source = Source()
        credential = Renewed(source)
        source.give(Token("abc", 3600))
        await credential.lines(REQUEST)
        seen.extend(credential._got)
        credential.close()

    asyncio.run(inside())
    assert seen[0] > 1_700_000_000 > seen[1]


def test_a_token_shows_nothing_of_itself():
    """A traceback would hold it."""
    assert repr(Token("ya29.secret", 60.0)) == "Token(life=60.0)"
