"""What hedging does for the slowest requests: one of two providers is late in one of twenty, the other never.

The same requests go to a model that hedges and to one that does not, one after the other. See docs/benchmarks.md.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import uvloop
from typing_extensions import override

import load
import wire
from processes import CLIENT_KEY, Gateway, free_ports
from report import Row
from rows import Bench

_LATE, _SHARE = 0.3, 0.05
"""Seconds that the late ones take, and how many of all they are."""
_AFTER = "20ms"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(wire.ANSWER), wire.ANSWER)


class _Late(asyncio.Protocol):
    """A connection to the provider that is late at times."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):  # the last piece of a request
            wait = _LATE if self._dice.random() < _SHARE else 0.0
            asyncio.get_running_loop().call_later(wait, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():  # who outran us was enough
            self._transport.write(_ANSWER)


def _provide(port: int) -> None:
    async def serve() -> None:
        dice = random.Random(20)
        server = await asyncio.get_running_loop().create_server(lambda: _Late(dice), "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


@contextmanager
def _late() -> Iterator[int]:
    """The provider that is late at times, in a process of its own; its port."""
    (port,) = free_ports(1)
    process = multiprocessing.get_context("spawn").Process(target=_provide, args=(port,), daemon=True)
    process.start()
    try:
        yield port
    finally:
        process.terminate()
        process.join()


def _gateway(late: int) -> type[Gateway]:
    """A gateway with two models more: both go to the late provider first, one of them hedges."""

    class Hedging(Gateway):
        @override
        def _config(self, upstream_port: int, keys: int) -> str:
            where = f"{{kind: openai, base_url: 'http://127.0.0.1:{late}/v1', api_key: {self.provider_key}}}"
            targets = f"targets: [late/{wire.TARGET}], fallbacks: [lab/{wire.TARGET}]"
            hedge = f"hedge: {{after: {_AFTER}, share: {2 * _SHARE}}}"
            written = super()._config(upstream_port, keys).replace("providers:\n", f"providers:\n  late: {where}\n", 1)
            return written.replace("models:\n", f"models:\n  b0nch: {{{targets}}}\n  b1nch: {{{targets}, {hedge}}}\n", 1)

    return Hedging


def hedging(bench: Bench) -> list[Row]:
    """Whole answers with a hedge and without."""
    count, rounds = (200, 3) if bench.quick else (600, 5)
    body = wire.prompt(wire.KIB)
    found: dict[tuple[str, float], list[float]] = {}
    with _late() as late, _gateway(late)(bench.cores, bench.place(), bench.upstream) as gateway:
        gateway.wait_for(late)
        gateway.wait_for(gateway.port)
        with load.One(gateway.port) as one:
            for _ in range(rounds):
                for model in ("b1nch", "b0nch"):
                    request = wire.request(CLIENT_KEY, gateway.port, body.replace(b'"bench"', f'"{model}"'.encode()))
                    times = sorted(one.ask(request).whole * 1000 for _ in range(count))
                    for share in (0.5, 0.99):
                        found.setdefault((model, share), []).append(times[int(count * share)])
    return [
        Row(
            "hedging",
            f"{_SHARE:.0%} of answers late by {_LATE * 1000:.0f} ms, p{share * 100:.0f}",
            "ms",
            found["b1nch", share],
            found["b0nch", share],
            target,
        )
        for share, target in ((0.5, None), (0.99, 0.2))
    ]


HEDGING: dict[str, tuple[str, str, Callable[[Bench], list[Row]]]] = {
    "hedging": (f"Hedging after {_AFTER}", "without", hedging),
}
"""As `rows.SECTIONS`."""
