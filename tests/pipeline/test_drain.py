"""Answers that are read to their end although their clients left: the bill is the provider's own, and nothing is endless."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.gateway import PROVIDER_KEY
from harness.invariants import eventually
from harness.script import END, STREAM_HEADERS, Hold, chunk, delta, head
from harness.upstream import Upstream
from pipeline.inside import Inside
from trunkline.config.snapshot import DrainSettings
from trunkline.pipeline.drain import Drains, Left

PATIENT = {"connect": "1s", "first_byte": "5s", "idle": "5s", "total": "20s"}


@pytest.fixture
def draining(upstream: Upstream, second: Upstream, tmp_path: Path) -> Iterator[Inside]:
    """Reads on for half a second, for two at a time, and at most 100 KB."""
    upstream.clear()
    providers = {"spare": {"kind": "openai", "base_url": second.url, "api_key": PROVIDER_KEY}}
    race = {"targets": ["lab/gpt-4.1", "spare/gpt-4.1"], "hedge": {"after": "10ms", "share": "100%"}, "timeouts": PATIENT}
    models = {"m": {"targets": ["lab/gpt-4.1"], "fallbacks": ["spare/gpt-4.1"], "timeouts": PATIENT}, "race": race}
    drain = {"timeout": "500ms", "max_size": "100KiB", "at_once": 2}
    config = {"providers": providers, "models": models, "ledger": {"disconnect": "drain", "drain": drain}}
    with Inside(tmp_path / "draining", upstream.url, config=config) as made:
        yield made
        assert made.parts.drains.running == set()
        assert made.metrics_page.requests_in_flight == 0


def left(inside: Inside, upstream: Upstream, *, chunks: int = 0, **fields: Any) -> None:
    """Ask, and leave as soon as the provider has it, or after so much of a stream."""
    with inside.connect() as wire:
        wire.send(inside.chat_bytes(**fields))
        eventually(lambda: upstream.requests, "the provider has it")
        if chunks:
            wire.read_head()
            for _ in range(chunks):
                wire.chunk()
        wire.reset()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["m", "race"])
def test_the_bill_is_the_provider_s_own(
    draining: Inside, upstream: Upstream, second: Upstream, stream: bool, model: str
) -> None:
    """What an answer cost is known although nobody waits for it any more."""
    second.script("hold")
    upstream.script("sleep=80;frames=4;gap=10")
    left(draining, upstream, stream=stream, model=model)
    settled = draining.settled(1)
    assert (settled.outcome, settled.status) == ("client_cancelled", 499)
    if model == "m":
        assert settled.usage.basis == "reported"
    assert settled.usage.output > 0
    second.release()


def test_in_the_middle_of_a_stream(draining: Inside, upstream: Upstream) -> None:
    """A client that was slow and left must not keep its provider waiting for ever."""
    upstream.script("frames=6;gap=20")
    left(draining, upstream, stream=True, chunks=2)
    settled = draining.settled(1)
    assert (settled.outcome, settled.status, settled.usage.basis) == ("client_cancelled", 200, "reported")
    assert upstream.wait_ended(upstream.requests[0]) not in {"eof", "rst"}


def test_no_longer_than_agreed(draining: Inside, upstream: Upstream) -> None:
    """A provider that never ends would hold a place and a budget for ever."""
    upstream.script("frames=3;hang_at=2")
    left(draining, upstream, stream=True, chunks=1)
    settled = draining.settled(1)
    assert (settled.outcome, settled.usage.basis) == ("client_cancelled", "estimated")
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}


def test_no_more_than_agreed(draining: Inside, upstream: Upstream) -> None:
    """An answer without an end would be read for nobody until its time is over."""

    def endless(_: Any) -> Iterator[Any]:
        yield head(200, STREAM_HEADERS)
        for _ in range(100_000):
            yield chunk(delta("x" * 1000))
        yield END

    upstream.script(endless)
    left(draining, upstream, stream=True, chunks=1)
    assert draining.settled(1).usage.basis == "estimated"
    assert upstream.wait_ended(upstream.requests[0]) in {"eof", "rst"}


def test_only_so_many(draining: Inside, upstream: Upstream) -> None:
    """Clients that come and leave would fill the gateway with answers for nobody."""
    upstream.script("sleep=200")
    for number in range(1, 4):
        with draining.connect() as wire:
            wire.send(draining.chat_bytes())
            eventually(lambda number=number: len(upstream.requests) == number, "the provider has it")
            wire.reset()
        eventually(lambda number=number: draining.metrics_page.requests_in_flight == min(number, 2), "the third is cut")
    assert draining.settled(1).usage.basis == "estimated"
    assert [draining.settled(number).usage.basis for number in (2, 3)] == ["reported", "reported"]


def test_nothing_new_is_begun(draining: Inside, upstream: Upstream, second: Upstream) -> None:
    """For nobody no second provider is asked."""
    upstream.script("sleep=50;status=500")
    left(draining, upstream)
    settled = draining.settled(1)
    assert (settled.outcome, settled.usage.basis) == ("client_cancelled", "none")
    assert second.requests == []


def test_a_shutdown_waits_for_none(draining: Inside, upstream: Upstream) -> None:
    """A process that is told to end ends."""
    upstream.script(lambda _: [Hold()])
    left(draining, upstream)
    eventually(lambda: draining.parts.drains.running, "it is being read")
    draining.do(draining.parts.drains.end)
    assert draining.settled(1).usage.basis == "estimated"
    upstream.release()


def test_who_stays_notices_nothing(draining: Inside, upstream: Upstream) -> None:
    """The ordinary request is answered as ever, errors too."""
    assert draining.chat().status == 200
    assert draining.chat(stream=True).body.endswith(b"data: [DONE]\n\n")
    upstream.script("status=400")
    assert draining.chat().status == 400


def test_a_second_cancelling_leaves_nothing_behind() -> None:
    """A client that leaves in the tick in which the gateway stops: what is accounted for must have ended."""

    async def scene() -> list[str]:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                ended.append("work")

        left = SimpleNamespace(reply=SimpleNamespace(gone=False, status=0, flow=None), first_byte=0.0, asked=True)
        carried = asyncio.ensure_future(Drains().carry(cast("Left", left), work(), DrainSettings(1.0, 1, 1)))
        for _ in range(3):
            await asyncio.sleep(0)
        for _ in range(2):
            carried.cancel()
            await asyncio.sleep(0)
        with suppress(asyncio.CancelledError):
            await carried
        return [*ended, "carried"]

    assert asyncio.run(scene()) == ["work", "carried"]
