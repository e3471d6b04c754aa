"""The way to Redis: one pipeline at a time, nobody waits too long, and a lost connection is tried for again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvloop

from harness.meters import until
from harness.redis import Impostor, Redis
from harness.shim import Shim
from trunkline.meters.link import Link, RedisError, pack
from trunkline.meters.url import parse
from trunkline.meters.wire import Entry, Wire


class Talk:
    """Says nothing, and remembers what it is told."""

    def __init__(self) -> None:
        self.greeted = self.beats = 0
        self.reasons: list[str] = []
        self.debt: Entry | None = None
        self.owing = False

    async def greet(self, link: Link) -> None:
        """Says hello."""
        await link.ask(("PING",))
        self.greeted += 1

    def settlement(self) -> Entry | None:
        """What is owed, once."""
        debt, self.debt = self.debt, None
        return debt

    def more(self) -> bool:
        """As it was set."""
        return self.owing

    def beat(self) -> None:
        """Counts."""
        self.beats += 1

    def lost(self, reason: str) -> None:
        """Remembers."""
        self.reasons.append(reason)


async def wired(url: str, talk: Talk, timeout: float = 5.0) -> Wire:
    wire = Wire(parse(url), timeout, lambda: 0.5, talk)
    wire.start()
    await until(wire.tried.is_set)
    return wire


def same(reply: Any) -> Any:
    return reply


def test_what_is_asked_meanwhile_goes_together(redis: Redis) -> None:
    """A hundred requests at once are three pipelines, not a hundred; what is owed is told before anything is asked."""

    async def main() -> None:
        redis.run("SET", "n", 0)
        talk = Talk()
        wire = await wired(redis.url, talk)
        told: list[int] = []
        talk.debt = Entry(pack(("INCR", "n")), 0.0, told.append, None)
        answers = await asyncio.gather(*(wire.ask(pack(("INCR", "n")), same) for _ in range(100)))
        assert (told, answers) == ([1], list(range(2, 102)))
        assert wire.round_trips == 3, "one alone, fifty, and the rest"
        talk.debt, talk.owing = Entry(pack(("INCR", "n")), 0.0, told.append, None), True
        waiting = wire.ask(pack(("INCR", "n")), same)
        assert len(wire._flight) == 1, "what is owed goes alone where more is owed"
        assert await waiting == 103
        await wire.close(pack(("SET", "n", "bye")))
        assert redis.run("GET", "n") == "bye"

    uvloop.run(main())


def test_replies_that_come_late_are_taken_all_the_same(redis: Redis) -> None:
    """Whoever waited long enough goes on without; what Redis did meanwhile must still be heard of."""

    async def main() -> None:
        with Shim(("127.0.0.1", redis.port)) as shim:
            wire = await wired(f"redis://127.0.0.1:{shim.port}", Talk(), 0.2)
            shim.delay = 0.06
            taken: list[Any] = []
            first = wire.ask(pack(("PING",)), taken.append)
            await asyncio.sleep(0.05)
            entries = [wire.ask(pack(("ECHO", number)), taken.append) for number in range(3)]
            wire._waiting[0].asked -= 0.2  # somebody who has waited long before
            assert await first is None
            await asyncio.gather(*entries)
            await until(lambda: len(taken) == 4)
            assert taken == [b"PONG", b"0", b"1", b"2"]
            assert wire.up
            shim.delay = 0.0
            await wire.close(pack(("PING",)))

    uvloop.run(main())


@pytest.mark.parametrize(
    "answer", [b"-LOADING Redis is loading the dataset in memory\r\n", b"-OOM command not allowed\r\n", b"nonsense\r\n", None]
)
def test_what_cannot_be_greeted_is_tried_again(monkeypatch: pytest.MonkeyPatch, answer: bytes | None) -> None:
    """A server that loads its data, is full, or is none: nobody waits for it, and it is used when it is well."""
    monkeypatch.setattr("trunkline.meters.wire._CONNECT", 0.05)
    with Impostor(answer) as impostor:

        async def main() -> None:
            talk = Talk()
            wire = await wired(f"redis://127.0.0.1:{impostor.port}", talk)
            assert not wire.up
            begun = time.monotonic()
            assert await wire.ask(pack(("PING",)), same) is None
            assert not await wire.settled(wire.now() + 1)
            assert time.monotonic() - begun < 0.05
            await until(lambda: len(talk.reasons) >= 3)
            impostor.answer = b"+PONG\r\n"
            await until(lambda: wire.up)
            assert await wire.ask(pack(("PING",)), same) == b"PONG"
            await wire.close(pack(("PING",)))

        uvloop.run(main())


def test_an_answer_that_nobody_can_read_leaves_nobody_waiting() -> None:
    """A reply of another shape must not leave requests hanging, nor the connection in use."""
    with Impostor(b"+PONG\r\n") as impostor:

        async def main() -> None:
            talk = Talk()
            wire = await wired(f"redis://127.0.0.1:{impostor.port}", talk)

            def cannot(reply: Any) -> None:
                raise IndexError(reply)

            assert await asyncio.gather(*(wire.ask(pack(("PING",)), cannot) for _ in range(5))) == [None] * 5
            assert talk.reasons == ["IndexError"]

            def refuses(reply: Any) -> None:
                raise RedisError("forgotten")

            await until(lambda: wire.up)
            assert await wire.ask(pack(("PING",)), refuses) is None
            assert talk.reasons[-1] == "forgotten"
            await wire.close(pack(("PING",)))

        uvloop.run(main())


def test_silence_is_noticed_and_waited_for_once(redis: Redis) -> None:
    """A connection that swallows everything is given up after the timeout; until another is there nobody waits at all."""

    async def main() -> None:
        talk = Talk()
        with Shim(("127.0.0.1", redis.port)) as shim:
            wire = await wired(f"redis://127.0.0.1:{shim.port}", talk, 0.05)
            shim.blackhole = True
            begun = time.monotonic()
            assert await wire.ask(pack(("PING",)), same) is None
            assert 0.04 < time.monotonic() - begun < 0.5
            assert not wire.up
            assert wire.tried.is_set()
            assert talk.reasons == ["no answer within 50 ms"]
            shim.blackhole = False
            await until(lambda: wire.up)
            await wire.close(pack(("PING",)))

    uvloop.run(main())


def test_a_loop_that_was_late_blames_nobody(redis: Redis) -> None:
    """Where our own loop stood still, Redis's answer is there: it is read before anything is given up."""

    async def main() -> None:
        talk = Talk()
        wire = await wired(redis.url, talk, 0.03)
        for _ in range(3):
            waiting = wire.ask(pack(("PING",)), same)
            time.sleep(0.1)  # noqa: ASYNC251 - this is the case
            assert await waiting == b"PONG"
        assert (talk.reasons, talk.greeted) == ([], 1)
        await wire.close(pack(("PING",)))

    uvloop.run(main())


def test_a_crowd_is_no_reason_to_give_up_redis(redis: Redis) -> None:
    """More questions at once than Redis answers in the time: each waits for itself, and the connection is kept."""

    async def main() -> None:
        talk = Talk()
        wire = await wired(redis.url, talk, 0.05)
        slow = pack(("EVAL", "local n = 0 for i = 1, 20000 do n = n + i end return 1", 0))
        answers = await asyncio.gather(*(wire.ask(slow, same) for _ in range(2000)))
        assert 50 < answers.count(1) < 2000
        await until(lambda: not wire._flight)
        assert (talk.reasons, talk.greeted) == ([], 1)
        await wire.close(pack(("PING",)))

    uvloop.run(main())


def test_a_connection_that_ends_again_and_again_is_not_hammered(redis: Redis) -> None:
    """Once is no reason to wait; a server that hangs up each time is asked less and less often."""

    async def main() -> None:
        talk = Talk()
        wire = await wired(redis.url, talk)
        begun = time.monotonic()
        for _ in range(5):
            redis.run("CLIENT", "KILL", "TYPE", "normal")
            await until(lambda: not wire.up or talk.reasons)
            talk.reasons.clear()
            await until(lambda: wire.up)
        assert 0.2 < time.monotonic() - begun < 5
        await wire.close(pack(("PING",)))

    uvloop.run(main())
