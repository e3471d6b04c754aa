"""Look-ups of strangers' names: bounded, apart from the gateway's own, and never in the way of its end."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from trunkline.edge import fetch_names
from trunkline.edge.fetch_names import Names, system


async def test_what_the_resolver_says() -> None:
    """Every address once, in its order."""
    names = Names(lambda host, port: [host, str(port)])
    assert await names("a.example", 443) == ["a.example", "443"]


async def test_the_systems_resolver_knows_this_machine() -> None:
    """The default: what the operator's machine says, hosts file included."""
    found = await Names()("localhost", 80)
    assert set(found) & {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))


async def test_an_unknown_name_is_an_os_error() -> None:
    """The fetcher tells it as a host that is not public."""

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    with pytest.raises(OSError, match="no such name"):
        await Names(unknown)("nowhere.example", 443)


@pytest.mark.parametrize("host", ["a..b", "x" * 80, "\u00df" * 70])
def test_a_name_that_cannot_be_one(host: str) -> None:
    """Python's resolver raises another error for these."""
    with pytest.raises(OSError):
        system(host, 443)


async def test_hanging_look_ups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that never answers takes so many threads and no more, abandoned look-ups included."""
    monkeypatch.setattr(fetch_names, "_MAX_ALIVE", 2)
    hold = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        assert hold.wait(20)
        return ["8.8.8.8"]

    names = Names(hang)
    waiting = [asyncio.ensure_future(names("slow.example", 443)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(OSError, match="too many"):
        await names("slow.example", 443)
    hold.set()
    assert await waiting[1] == ["8.8.8.8"]
    assert await _eventually(names) == ["8.8.8.8"]


async def _eventually(names: Names) -> Any:
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
                await Names(hang)("slow.example", 443)

    asyncio.run(main())
    hold.set()
    assert done.wait(20)
    for thread in threading.enumerate():
        if thread.name == "look-up":
            assert thread.daemon
            thread.join(20)
