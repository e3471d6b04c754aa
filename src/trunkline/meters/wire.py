"""The way to Redis, kept and watched: one connection, at most one pipeline on its way, nobody waits longer than the timeout.

What is asked meanwhile goes with the next pipeline, so a busy process makes few of them, and what is known of one answer counts
for the next question. A connection that does not answer in time is given up, and another is tried for in the background.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import hiredis

from trunkline.meters.link import Link, RedisError, Replies, dial
from trunkline.meters.url import RedisUrl

BEAT = 1.0
"""Seconds between the signs of life."""
_CONNECT = 2.0
"""Seconds a connection may take with all that is said first; nobody waits for it."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds between tries."""
_LONG = 0.5
"""Seconds after which a connection has held."""
_SECOND_LOOK = 0.001
"""Seconds until the second look at a pipeline that is late: it may be our own loop that was."""
_LAG = 0.005
"""Seconds that a look may be late: beyond that our own loop stood still, and nobody waited for Redis meanwhile."""
_TOGETHER = 50
"""Questions that go in one pipeline: some milliseconds for Redis, and far less than the timeout."""
_GATHER = 0.002
"""Seconds within which what is settled is told together."""

Sent = list["Entry"]


class Entry:
    """One command, and who waits for its reply."""

    __slots__ = ("asked", "command", "future", "take")

    def __init__(self, command: bytes, asked: float, take: Callable[[Any], Any], future: asyncio.Future[Any] | None) -> None:
        self.command = command
        self.asked = asked
        self.take = take
        """Called with the reply in the order of replies, also where nobody waits any more; what it gives is the result."""
        self.future = future

    @property
    def wanted(self) -> bool:
        """Somebody waits for it, or always would."""
        return self.future is None or not self.future.done()

    def answer(self, reply: Any) -> None:
        """Its reply came."""
        result = self.take(reply)
        if self.future is not None and not self.future.done():
            self.future.set_result(result)

    def give_up(self) -> None:
        """Nobody waits any longer: the result is None."""
        if self.future is not None and not self.future.done():
            self.future.set_result(None)


class Talk(Protocol):
    """What is said on the wire, apart from what somebody asks."""

    async def greet(self, link: Link) -> None:
        """What is said first on a connection. Raises `RedisError` where Redis cannot be used."""
        ...

    def settlement(self) -> Entry | None:
        """What is told before anything is asked; None where nothing is to be told."""
        ...

    def more(self) -> bool:
        """Whether more is to be told before anything may be asked."""
        ...

    def beat(self) -> None:
        """Called now and then while the connection holds."""
        ...

    def lost(self, reason: str) -> None:
        """Told why there is no connection, again and again."""
        ...


class Wire:
    """The connection of a process to Redis."""

    def __init__(self, url: RedisUrl, timeout: float, dice: Callable[[], float], talk: Talk) -> None:
        self.timeout = timeout
        """Seconds that anybody waits."""
        self.tried = asyncio.Event()
        """Whether there is a connection is known; else it is being tried for, and that may be worth waiting for."""
        self.round_trips = 0
        self.seconds = 0.0
        """Of all round trips."""
        self._url = url
        self._dice = dice
        self._talk = talk
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._gone = asyncio.Event()
        self._waiting: Sent = []
        self._flight: Sent = []
        self._sent = 0.0
        self._taking = False
        self._late: Sent | None = None
        self._due = 0.0
        self._look: asyncio.TimerHandle | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Future[None] | None = None

    @property
    def up(self) -> bool:
        """There is a connection, and it answers."""
        return self._link is not None

    def start(self) -> None:
        """Begin to connect."""
        self._keeper = asyncio.ensure_future(self._keep())

    def ask(self, command: bytes, take: Callable[[Any], Any]) -> asyncio.Future[Any]:
        """Send a command with the next pipeline. The result is what `take` makes of the reply; None where none came in time."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._link is None:
            future.set_result(None)
            return future
        self._waiting.append(Entry(command, self._loop.time(), take, future))
        self._pump()
        return future

    def now(self) -> float:
        """The clock by which it is told how long somebody waits, seconds."""
        return self._loop.time()

    async def settled(self, until: float) -> bool:
        """Wait until it is known whether there is a connection, at most until then; whether there is one."""
        if not self.tried.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self.tried.wait()
        return self.up

    def soon(self) -> None:
        """There is something to be told."""
        if self._soon is None and self._link is not None:
            self._soon = self._loop.call_later(_GATHER, self._tell)

    def _tell(self) -> None:
        self._soon = None
        self._pump()

    def _pump(self) -> None:
        """Send what waits, unless something is on its way."""
        link = self._link
        if link is None or self._flight or self._taking:
            return
        self._waiting = [entry for entry in self._waiting if entry.wanted]
        told = self._talk.settlement()
        if told is None and not self._waiting:
            return
        if told is not None and self._talk.more():
            self._flight = [told]
        else:
            self._flight = ([told] if told is not None else []) + self._waiting[:_TOGETHER]
            self._waiting = self._waiting[_TOGETHER:]
        self._sent = self._loop.time()
        link.send([entry.command for entry in self._flight], self._answered)
        if self._look is None:
            self._look_in(self.timeout)

    def _answered(self, replies: Replies) -> None:
        flight, self._flight = self._flight, []
        self.round_trips += 1
        self.seconds += self._loop.time() - self._sent
        refused = None
        self._taking = True
        try:
            for entry, reply in zip(flight, replies, strict=True):
                if isinstance(reply, hiredis.ReplyError):
                    refused = str(reply)
                    entry.give_up()
                else:
                    entry.answer(reply)
        except Exception as error:  # noqa: BLE001 - an answer that nobody can read must leave nobody waiting
            refused = _why(error)
        finally:
            self._taking = False
        for entry in flight if refused else ():
            entry.give_up()
        if refused is not None:
            self._lose(refused)
        self._pump()

    def _look_in(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._look = self._loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Look whether anybody has waited long enough."""
        self._look, now = None, self._loop.time()
        if not self._flight:
            return
        if now - self._due > _LAG:
            for entry in (*self._flight, *self._waiting):
                entry.asked = now
        if now - self._sent >= self.timeout:
            if self._late is self._flight:
                self._lose(f"no answer within {self.timeout * 1000:.0f} ms", hopeful=False)
                return
            self._late = self._flight
            self._look_in(_SECOND_LOOK)
            return
        oldest = now
        for entry in (*self._flight, *self._waiting):
            if now - entry.asked >= self.timeout:
                entry.give_up()
            else:
                oldest = min(oldest, entry.asked)
        self._look_in(max(min(oldest, self._sent) + self.timeout - now, _SECOND_LOOK))

    def _lose(self, reason: str, *, hopeful: bool = True) -> None:
        """`hopeful`: another connection may well do better."""
        link, self._link = self._link, None
        if link is None:
            return
        link.close()
        if hopeful:
            self.tried.clear()
        entries = self._flight + self._waiting
        self._flight, self._waiting, self._late = [], [], None
        self._talk.lost(reason)
        for entry in entries:
            entry.give_up()
        self._gone.set()

    async def _keep(self) -> None:
        """Connect, and connect again: at once where a connection was lost, after a while where that goes on."""
        pause, lost = 0.0, 0
        while True:
            try:
                link = await self._connect()
                begun = self._loop.time()
                await self._hold(link)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may do better
                self._lose(_why(error), hopeful=False)
                self._talk.lost(_why(error))
            else:
                lost = 1 if self._loop.time() - begun >= _LONG else lost + 1
                if lost == 1:
                    pause = 0.0
                    continue
            pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)
            self.tried.set()
            await asyncio.sleep(pause * (0.5 + self._dice() / 2))

    async def _hold(self, link: Link) -> None:
        """Use a connection as long as it holds."""
        self._gone.clear()
        link.on_lost = self._lose
        self._link = link
        self.tried.set()
        if link.ended:
            self._lose("the connection was lost")
        self._pump()
        while self._link is link:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._gone.wait()
            if self._link is link:
                self._talk.beat()

    async def _connect(self) -> Link:
        async with asyncio.timeout(_CONNECT):
            link = await dial(self._url)
            try:
                await self._talk.greet(link)
            except BaseException:
                link.close()
                raise
        return link

    async def close(self, last: bytes) -> None:
        """Tell what is to be told, then a last command, as far as Redis listens; and end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._busy():  # noqa: ASYNC110 - once in a life
                    await asyncio.sleep(_SECOND_LOOK)
                await self.ask(last, lambda reply: reply)
        if self._keeper is not None:
            self._keeper.cancel()
        for handle in (self._look, self._soon):
            if handle is not None:
                handle.cancel()
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _busy(self) -> bool:
        self._pump()
        return bool(self._flight)


def _why(error: Exception) -> str:
    """A failure in words that hold no secret."""
    if isinstance(error, TimeoutError):
        return "it cannot be reached in time"
    if isinstance(error, RedisError):
        return str(error)
    return (getattr(error, "strerror", None) or type(error).__name__) if isinstance(error, OSError) else type(error).__name__
