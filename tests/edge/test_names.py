"""Look-ups: bounded, off the loop, never in the way of the gateway's end; and what is remembered of them."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from typing_extensions import override

from trunkline.edge import names as module
from trunkline.edge.names import Lookups, Names, system


async def test_what_the_resolver_says() -> None:
    """Every address once, in its order."""
    names = Lookups(lambda host, port: [host, str(port)])
    assert await names("a.example", 443) == ["a.example", "443"]


async def test_the_systems_resolver_knows_this_machine() -> None:
    """The default: what the operator's machine says, hosts file included."""
    found = await Lookups()("localhost", 80)
    assert set(found) & {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))


async def test_an_unknown_name_is_an_os_error() -> None:
    """The fetcher tells it as a host that is not public."""

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    with pytest.raises(OSError, match="no such name"):
        await Lookups(unknown)("nowhere.example", 443)


@pytest.mark.parametrize("host", ["a..b", "x" * 80, "\u00df" * 70])
def test_a_name_that_cannot_be_one(host: str) -> None:
    """Python's resolver raises another error for these."""
    with pytest.raises(OSError):
        system(host, 443)


async def test_hanging_look_ups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that never answers takes so many threads and no more, abandoned look-ups included."""
    monkeypatch.setattr(module, "_MAX_ALIVE", 2)
    hold = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        assert hold.wait(20)
        return ["8.8.8.8"]

    names = Lookups(hang)
    waiting = [asyncio.ensure_future(names("slow.example", 443)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(OSError, match="too many"):
        await names("slow.example", 443)
    hold.set()
    assert await waiting[1] == ["8.8.8.8"]
    assert await _eventually(names) == ["8.8.8.8"]


async def _eventually(names: Lookups) -> Any:
    """The room of the abandoned look-up comes free when its thread ends."""
    while True:
        try:
            return await names("slow.example", 443)
        except OSError:
            await asyncio.sleep(0.005)


def test_a_look_up_outlives_its_loop() -> None:
    """The gateway stops while a name server hangs: neither may hold up the other."""
    hold, done = threading.Event(), threading.Event()

    def hang(host: str, port: int) -> list[str]:
        assert hold.wait(20)
        done.set()
        return []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Lookups(hang)("slow.example", 443)

    asyncio.run(main())
    hold.set()
    assert done.wait(20)
    for thread in threading.enumerate():
        if thread.name == "look-up":
            assert thread.daemon
            thread.join(20)


async def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that allows few threads: a failed look-up, told as one, and the turn is given back."""

    class Refused(threading.Thread):
        """The system has no more."""

        @override
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_MAX_ALIVE", 1)
        names = Lookups(lambda host, port: [host, str(port)])
        patch.setattr(threading, "Thread", Refused)
        for _ in range(3):
            with pytest.raises(OSError, match="no thread"):
                await names("a.example", 1)
    assert await names("a.example", 1) == ["a.example", "1"]


# what is remembered -----------------------------------------------------------------------------------------------------


class Dns:
    """A name server that says what the test wants, when it wants, and counts."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.answer: list[str] | OSError = ["10.0.0.1"]
        self.gate = asyncio.Event()
        self.gate.set()
        self.names = Names(self.resolve, lambda: self.now)

    async def resolve(self, host: str, port: int) -> list[str]:  # noqa: ARG002 - the resolver's interface
        """What is to be answered when the gate opens."""
        self.asked.append(host)
        await self.gate.wait()
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer

    async def ask(self, host: str = "a.example", port: int = 443) -> list[str]:
        """Through the memory."""
        return await self.names(host, port)

    async def fails(self) -> OSError:
        """The error it ends in."""
        with pytest.raises(OSError) as failed:
            await self.ask()
        return failed.value


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1%lo"])
async def test_an_address_needs_no_look_up(address: str) -> None:
    """A local server by its address: no thread, no wait."""
    dns = Dns()
    assert await dns.ask(address) == [address]
    assert dns.asked == []


async def test_an_answer_is_used_for_a_while_and_then_asked_for_again() -> None:
    """Providers move: what DNS says now counts half a minute later, without a look-up for each connection."""
    dns = Dns()
    assert await dns.ask() == ["10.0.0.1"]
    dns.answer, dns.now = ["10.0.0.2", "10.0.0.3"], dns.now + 29.9
    assert await dns.ask() == ["10.0.0.1"]
    dns.now += 0.1
    assert await dns.ask() == ["10.0.0.2", "10.0.0.3"]
    assert await dns.ask("b.example") == ["10.0.0.2", "10.0.0.3"]
    assert dns.asked == ["a.example", "a.example", "b.example"]


async def test_one_look_up_for_all_who_ask_at_once() -> None:
    """docs/faults.md B13: 200 clients after an outage are one question to the name server; who leaves does not end it."""
    dns = Dns()
    dns.gate.clear()
    waiting = [asyncio.ensure_future(dns.ask()) for _ in range(200)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    dns.gate.set()
    assert await asyncio.gather(*waiting[1:]) == [["10.0.0.1"]] * 199
    assert dns.asked == ["a.example"]
    assert waiting[0].cancelled()


@pytest.mark.parametrize("failure", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError("too many"), []])
async def test_the_last_good_answer_outlives_the_name_server(failure: Any) -> None:
    """docs/faults.md B13: a name server that is down for ten minutes must not take the provider with it; RFC 8767."""
    dns = Dns()
    await dns.ask()
    dns.answer, dns.now = failure, dns.now + 60.0
    assert await dns.ask() == ["10.0.0.1"]
    assert await dns.ask() == ["10.0.0.1"]
    assert len(dns.asked) == 2
    dns.now += 1.0
    assert await dns.ask() == ["10.0.0.1"]
    assert len(dns.asked) == 3
    dns.now += 900.0
    assert isinstance(await dns.fails(), OSError)
    dns.answer, dns.now = ["10.0.0.9"], dns.now + 1.0
    assert await dns.ask() == ["10.0.0.9"]


async def test_a_failure_is_remembered_for_a_second() -> None:
    """A name that was just created, or a network that just came up, must work at once; a flood is one question."""
    dns = Dns()
    dns.answer = socket.gaierror(socket.EAI_NONAME, "no such name")
    for _ in range(50):
        assert await dns.fails() is dns.answer
    assert len(dns.asked) == 1
    dns.answer, dns.now = ["10.0.0.1"], dns.now + 1.0
    assert await dns.ask() == ["10.0.0.1"]


async def test_a_silent_name_server_is_not_waited_for_where_an_answer_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that hangs delays the first ones a little, and then nobody: the last answer is used until it says something."""
    monkeypatch.setattr(module, "_PATIENCE", 0.02)
    dns = Dns()
    await dns.ask()
    dns.gate.clear()
    dns.now += 60.0
    assert await dns.ask() == ["10.0.0.1"]
    dns.now += 5.0
    async with asyncio.timeout(0):  # nothing is waited for at all
        assert await dns.ask() == ["10.0.0.1"]
    dns.answer = ["10.0.0.2"]
    dns.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert await dns.ask() == ["10.0.0.2"]
    assert len(dns.asked) == 2


async def test_a_look_up_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the name would be dead until a restart."""
    monkeypatch.setattr(module, "_GIVE_UP", 0.02)
    dns = Dns()
    dns.gate.clear()
    assert "did not answer" in str(await dns.fails())
    dns.gate.set()
    dns.now += 1.0
    assert await dns.ask() == ["10.0.0.1"]


async def test_an_answer_in_doubt_is_asked_for_again() -> None:
    """A provider that moved is found before the answer is old; but a provider that is down is no reason to ask without end."""
    dns = Dns()
    await dns.ask()
    dns.answer = ["10.0.0.2"]
    dns.names.doubt("a.example")
    dns.names.doubt("never.asked")
    assert await dns.ask() == ["10.0.0.1"]
    dns.now += 1.0
    assert await dns.ask() == ["10.0.0.2"]
    dns.now += 29.0
    dns.names.doubt("a.example")
    dns.answer = OSError("down")
    assert await dns.ask() == ["10.0.0.2"]


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations change over months; what is being looked up stays."""
    monkeypatch.setattr(module, "_MAX_NAMES", 3)
    dns = Dns()
    for host in ("a", "b", "c"):
        await dns.ask(host)
    dns.gate.clear()
    slow = asyncio.ensure_future(dns.ask("d"))
    await asyncio.sleep(0)
    dns.gate.set()
    assert len(dns.names._names) == 1
    assert await slow == ["10.0.0.1"]
    await dns.ask("a")
    assert dns.asked == ["a", "b", "c", "d", "a"]
