"""Several workers as one, for whoever asks the admin listener: any of them asks the others and answers for all.

Each answers the others on a socket of its own in the data directory. One that does not is waited for a moment, and told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from trunkline.edge.inside import ask, listen
from trunkline.pipeline.status import Status, WorkerTold, together
from trunkline.store.lock import Hand, crew
from trunkline.store.place import counts_of, door_of
from trunkline.telemetry.merging import Family, added, lasting, merged, pack, told, unpack
from trunkline.telemetry.metrics import Metrics

_PATIENCE = 1.0
"""Seconds that another worker has to answer."""
_SHORT = 0.3
"""The same where whoever asks waits little: a load balancer's look, which takes no answer for a bad one."""
_YES = b"ready"


class Several:
    """What one worker knows of all of them. Used from the loop's thread."""

    def __init__(self, data: Path, worker: int, metrics: Metrics, status: Callable[[], bytes]) -> None:
        """`status`: this worker's own, as JSON."""
        self.ready = False
        """Whether this worker serves."""
        self._data = data
        self._worker = worker
        self._metrics = metrics
        self._status = status
        self._door: asyncio.Server | None = None
        self._writing = asyncio.Lock()
        self._before = lasting(self._read_counts(worker))
        """What those before us in this place had counted when they were last asked."""

    async def open(self) -> None:
        """Answer the others from now on. Raises OSError."""
        self._door = await listen(door_of(self._data, self._worker), self._answer)

    def close(self) -> None:
        """Answer no more."""
        if self._door is not None:
            self._door.close()

    async def metrics(self) -> bytes:
        """The page of all, in Prometheus' format."""
        own = await self._counts()
        answers = await self._ask("metrics", _PATIENCE)
        return await asyncio.to_thread(self._page, {**answers, self._worker: own})

    async def status(self) -> bytes:
        """All of them, as JSON."""
        answers = await self._ask("status", _PATIENCE)
        answers[self._worker] = self._status()
        found = {worker: _status_of(answer) for worker, answer in answers.items()}
        workers = [_told_of(hand, found.get(hand.worker)) for hand in crew(self._data).hands]
        return msgspec.json.encode(together([one for one in found.values() if one is not None], workers))

    async def serving(self) -> tuple[int, int, list[int]]:
        """How many serve, of how many, and those that end again and again."""
        answers = await self._ask("ready", _SHORT)
        hands = crew(self._data).hands
        serve = self.ready + sum(answer == _YES for answer in answers.values())
        return serve, len(hands), [hand.worker for hand in hands if hand.failing]

    async def _ask(self, question: str, seconds: float) -> dict[int, bytes | None]:
        """Everyone else."""
        others = [hand for hand in crew(self._data).hands if hand.worker != self._worker]
        there = [hand.worker for hand in others if hand.process is not None]
        said = await asyncio.gather(*(ask(door_of(self._data, worker), question, seconds) for worker in there))
        return {hand.worker: None for hand in others} | dict(zip(there, said, strict=True))

    async def _answer(self, question: str) -> bytes:
        """One of the others asks."""
        match question:
            case "metrics":
                return await self._counts()
            case "status":
                return self._status()
            case _:
                return _YES if self.ready else b"not ready"

    async def _counts(self) -> bytes:
        """What this worker and those before it counted. One at a time: what is kept must not be older than what is shown."""

        def write() -> bytes:
            packed = pack(added([self._before, told(page)]))
            place = counts_of(self._data, self._worker)
            with suppress(OSError):  # a full disk: should this worker die, its counts fall to what was written
                fresh = place.with_name(f"{place.name}.new")
                fresh.touch(0o600)
                fresh.write_bytes(packed)
                fresh.replace(place)
            return packed

        async with self._writing:
            page = self._metrics.page()
            return await asyncio.to_thread(write)

    def _page(self, answers: dict[int, bytes | None]) -> bytes:
        """On another thread. Of who says nothing, what it had counted when it last did."""
        return merged(
            {
                worker: lasting(self._read_counts(worker)) if answer is None else unpack(answer)
                for worker, answer in answers.items()
            }
        )

    def _read_counts(self, worker: int) -> list[Family]:
        try:
            return unpack(counts_of(self._data, worker).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return []


def _status_of(answer: bytes | None) -> Status | None:
    return None if answer is None else msgspec.json.decode(answer, type=Status)


def _told_of(hand: Hand, status: Status | None) -> WorkerTold:
    if status is None:
        if hand.failing:
            return WorkerTold(hand.worker, hand.process, "failing", hand.deaths)
        return WorkerTold(hand.worker, hand.process, "ended" if hand.process is None else "silent", hand.deaths)
    return WorkerTold(
        worker=hand.worker,
        process=hand.process,
        state="draining" if status.draining else "serving",
        deaths=hand.deaths,
        uptime=status.uptime,
        in_flight=status.in_flight,
        generation=status.generation,
        backlog=status.journal.backlog,
    )
