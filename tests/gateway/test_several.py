"""Several workers as one, on their own doors in one directory."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.edge.inside import listen
from trunkline.gateway import several
from trunkline.gateway.several import Several
from trunkline.ledger.journal import Stats
from trunkline.pipeline.status import Status
from trunkline.store.lock import Hand, muster
from trunkline.store.place import counts_of, door_of
from trunkline.telemetry.lines import RequestLine
from trunkline.telemetry.merging import Family, unpack
from trunkline.telemetry.metrics import Metrics


def status(uptime: float = 1.0, in_flight: int = 0, generation: int = 1) -> bytes:
    """What a worker says of itself."""
    journal = Stats(healthy=True, appended=1, failed=0, lost=0, backlog=2)
    return msgspec.json.encode(Status("1", uptime, in_flight, False, "file", generation, journal, (), 0, ()))


def counted(requests: int) -> Metrics:
    """A worker's metrics after so many requests."""
    metrics = Metrics("1")
    for number in range(requests):
        metrics.request(RequestLine(number, "r", "k", "GET", "/", "models", "", "", "", 200, "ok"))
    return metrics


def total(page: bytes) -> int:
    """All requests on a page."""
    lines = page.decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("trunkline_requests_total{"))


def crew_of(data: Path, *hands: Hand) -> None:
    """Who there is."""
    muster(data, hands or [Hand(number, 100 + number) for number in range(3)])


def among(data: Path, work: Callable[[list[Several]], Awaitable[Any]], counts: tuple[int, ...] = (1, 10, 100)) -> Any:
    """What `work` brings among workers that have answered so many requests."""

    async def run() -> Any:
        workers = [
            Several(data, number, counted(count), lambda count=count: status(float(count), count))  # type: ignore[misc]
            for number, count in enumerate(counts)
        ]
        for worker in workers:
            await worker.open()
            worker.ready = True
        try:
            return await work(workers)
        finally:
            for worker in workers:
                worker.close()

    return asyncio.run(run())


def test_anyone_answers_for_all(tmp_path: Path) -> None:
    """A scrape lands at any of them."""
    crew_of(tmp_path)

    async def ask(workers: list[Several]) -> None:
        for worker in workers:
            assert total(await worker.metrics()) == 111
            assert await worker.serving() == (3, 3, [])
            told = msgspec.json.decode(await worker.status(), type=Status)
            assert (told.uptime, told.in_flight, told.journal.backlog) == (100.0, 111, 6)
            assert [(one.worker, one.process, one.state, one.in_flight) for one in told.workers] == [
                (0, 100, "serving", 1), (1, 101, "serving", 10), (2, 102, "serving", 100)
            ]  # fmt: skip

    among(tmp_path, ask)


def test_one_that_hangs(tmp_path: Path) -> None:
    """It is waited for a moment, its counts are what it last said, and it is told of."""
    crew_of(tmp_path)

    async def forever(_: str) -> bytes:
        await asyncio.sleep(60)
        return b""

    async def ask(workers: list[Several]) -> None:
        assert total(await workers[0].metrics()) == 111
        workers[1].close()
        door = await listen(door_of(tmp_path, 1), forever)
        begin = time.monotonic()
        assert total(await workers[0].metrics()) == 111
        assert 0.9 < time.monotonic() - begin < 3
        assert await workers[2].serving() == (2, 3, [])
        told = msgspec.json.decode(await workers[2].status(), type=Status)
        assert [one.state for one in told.workers] == ["serving", "silent", "serving"]
        door.close()

    among(tmp_path, ask)


def test_one_that_ended(tmp_path: Path) -> None:
    """Nobody is asked there; who ends again and again is told apart; its successor goes on counting where it was."""
    crew_of(tmp_path)

    async def ask(workers: list[Several]) -> None:
        await workers[0].metrics()
        workers[1].close()
        crew_of(tmp_path, Hand(0, 100), Hand(1, None, 1), Hand(2, None, 7, failing=True))
        assert total(await workers[0].metrics()) == 111
        assert await workers[0].serving() == (1, 3, [2])
        told = msgspec.json.decode(await workers[0].status(), type=Status)
        assert [(one.state, one.deaths) for one in told.workers] == [("serving", 0), ("ended", 1), ("failing", 7)]
        crew_of(tmp_path)
        successor = Several(tmp_path, 1, counted(5), status)
        await successor.open()
        assert total(await workers[0].metrics()) == 116
        assert total(await successor.metrics()) == 116
        successor.close()

    among(tmp_path, ask)


def test_one_that_does_not_serve_yet(tmp_path: Path) -> None:
    """It answers, and is not ready; where none is, the whole is not."""
    crew_of(tmp_path)

    async def ask(workers: list[Several]) -> list[tuple[int, int, list[int]]]:
        found = []
        for worker in workers:
            worker.ready = False
            found.append(await workers[0].serving())
        return found

    assert among(tmp_path, ask) == [(2, 3, []), (1, 3, []), (0, 3, [])]


def test_what_is_kept_is_the_owners(tmp_path: Path) -> None:
    """Names of models and providers stand in it."""
    crew_of(tmp_path)
    before = os.umask(0)
    among(tmp_path, lambda workers: workers[0].metrics())
    os.umask(before)
    assert counts_of(tmp_path, 1).stat().st_mode & 0o777 == 0o600


def test_a_disk_without_room(tmp_path: Path) -> None:
    """A scrape is answered where nothing can be kept."""
    crew_of(tmp_path)
    counts_of(tmp_path, 0).with_name("worker-0.counts.new").mkdir()
    assert total(among(tmp_path, lambda workers: workers[0].metrics())) == 111
    assert not counts_of(tmp_path, 0).exists()


def test_what_is_kept_is_never_older_than_what_was_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scrapes at once, of which the first is the slower: should the worker die then, no sum may fall."""
    crew_of(tmp_path, Hand(0, 100))
    first, real = threading.Event(), several.pack

    def slow(families: list[Family]) -> bytes:
        if not first.is_set():
            first.set()
            time.sleep(0.3)
        return real(families)

    monkeypatch.setattr(several, "pack", slow)

    async def scrape_twice(workers: list[Several]) -> bytes:
        one = asyncio.ensure_future(workers[0].metrics())
        await asyncio.to_thread(first.wait)
        workers[0]._metrics.request(RequestLine(1, "r", "k", "GET", "/", "models", "", "", "", 200, "ok"))
        shown = await workers[0].metrics()
        await one
        return shown

    assert total(among(tmp_path, scrape_twice, counts=(1,))) == 2
    kept = [family for family in unpack(counts_of(tmp_path, 0).read_bytes()) if family.name == "trunkline_requests"]
    assert sum(value for name, _, value in kept[0].samples if name == "trunkline_requests_total") == 2
