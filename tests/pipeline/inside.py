"""A whole gateway inside the test's process: real sockets, real journal, real client; its inner parts within reach.

For what cannot be seen or made to fail from outside. Whatever a process can show belongs in `tests/faults`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
import uvloop
import yaml
from typing_extensions import override

from harness.gateway import KEY, PROVIDER_KEY, Gateway, settings
from harness.loop import LoopThread
from harness.upstream import Upstream
from trunkline.config.load import load
from trunkline.edge.client import Client
from trunkline.edge.fetch import Fetched
from trunkline.edge.listener import Listener, bind
from trunkline.edge.server import Server
from trunkline.edge.timers import Sweep
from trunkline.gateway.admin import Admin
from trunkline.gateway.app import Gateway as DataPlane
from trunkline.gateway.cors import Cors
from trunkline.ledger.journal import Journal, Ticket
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import Open, Row, Settle
from trunkline.ledger.writer import Writer
from trunkline.meters.books import Books as Counted
from trunkline.meters.local import Local
from trunkline.meters.windows import Window
from trunkline.pipeline.claim import gates
from trunkline.pipeline.count import Counter
from trunkline.pipeline.exchange import Live, Parts
from trunkline.pipeline.memory import Memory
from trunkline.policy.failures import Failures
from trunkline.policy.keys import KeyRing
from trunkline.policy.overload import Shedder
from trunkline.routing.course import Standings
from trunkline.telemetry.log import Log
from trunkline.telemetry.metrics import Metrics

EPOCH_NS = 1_760_000_000_000_000_000
ORIGIN = "https://app.example"
PICTURE = b"\x89PNG\r\n\x1a\n"
OTHERS = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash", "ollama": "tiny"}
"""Providers of other dialects at the same address, by kind, and the model that each knows; also models of these names."""


async def _nothing_spent(_holder: str, _window: Window) -> int:
    return 0


class Books(Journal):
    """The real journal; it also remembers what it was told, and can be told to break."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.opened: list[Open] = []
        self.settled: list[Settle] = []
        self.full = False
        self.changed = threading.Condition()

    @override
    def open(self, record: Open) -> Ticket:
        self.opened.append(record)
        return super().open(record)

    @override
    def settle(self, ticket: Ticket, record: Settle) -> None:
        super().settle(ticket, record)
        with self.changed:
            self.settled.append(record)
            self.changed.notify_all()

    @override
    def can_accept(self) -> bool:
        return not self.full and super().can_accept()


class _Loop(LoopThread):
    """The loop that production runs on."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="inside", daemon=True)
        self._thread.start()


class Inside(Gateway):
    """Talks like the harness's process; use it as a context."""

    def __init__(
        self,
        folder: Path,
        upstream_url: str,
        *,
        config: Mapping[str, Any] | None = None,
        failures: Failures | None = None,
        prices: Prices | None = None,
    ) -> None:
        """`config` adds to the harness's settings, which know the models m, patient, costly and here also priced,
        strict and one of each other dialect.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written = settings(upstream_url)
        written["models"]["priced"] = {"targets": ["lab/gpt-4.1"]}
        for name, model in OTHERS.items():
            written["providers"][name] = {"kind": name, "base_url": upstream_url.removesuffix("/v1"), "api_key": PROVIDER_KEY}
            written["models"][name] = {"targets": [f"{name}/{model}"]}
        written["models"]["strict"] = {"targets": ["anthropic/claude-sonnet-4-5"], "unsupported": "strict"}
        written["server"]["cors"] = {"origins": [ORIGIN]}
        file = folder / "trunkline.yaml"
        given = dict(config or {})
        given["providers"] = written["providers"] | given.get("providers", {})
        file.write_text(yaml.safe_dump(written | given))
        snapshot = load(file, {})
        self.process = None
        self.model = "m"
        self.stdout, self.stderr = [], []
        self.log_file = (folder / "log").open("ab")
        self.books = Books(folder / "journal")
        self.rows: list[Row] = []
        """What the store would have been given."""
        self._writer = Writer(self.books, self.rows.extend, report=lambda *_: None)
        self._writer.start()
        self.metrics_page = Metrics("test")
        self.metrics_page.configure(models=[name for name, _ in snapshot.models()], providers=snapshot.providers)
        self.failures_seen: list[str] = []
        """What the event loop had to report: lost exceptions of tasks and callbacks."""
        self.fetched: list[str] = []
        """URLs that were fetched."""
        self._numbers = count(1)
        self._thread = _Loop()
        self.loop = self._thread.loop
        self.loop.set_exception_handler(
            lambda _, context: self.failures_seen.append(str(context.get("exception") or context["message"]))
        )
        sweep = Sweep(self.loop)
        self.client = Client(self.loop, sweep)
        self.meters = Local(_nothing_spent, lambda *_: None, Counted(time.monotonic_ns, EPOCH_NS))
        self.parts = Parts(
            live=Live(snapshot, KeyRing(snapshot.principals), prices=prices or Prices.load(snapshot.prices)),
            client=self.client,
            journal=self.books,
            meters=self.meters,
            metrics=self.metrics_page,
            log=Log(self.log_file.fileno(), style="json"),
            clock_ns=lambda: EPOCH_NS,
            mono=time.monotonic,
            new_id=lambda: f"{next(self._numbers):032x}",
            memory=Memory(snapshot.server.memory.max_bytes, snapshot.server.memory.ttl, time.monotonic),
            fetch=self._fetch,
            counter=Counter(),
            dice=lambda: 0.0,
            standings=Standings(lambda _: None, gates(self.meters)),
        )
        self.gateway = DataPlane(
            self.parts,
            failures or Failures(),
            Cors(snapshot.server.cors_origins),
            Shedder(snapshot.server.max_requests),
            snapshot.server.max_body,
        )
        self.operator = Admin(self.metrics_page)
        self.gateway.ready = self.operator.ready = True
        self.server = Server(self.loop, self.gateway, snapshot.server.limits, sweep, lambda: b"")
        self._admin_server = Server(self.loop, self.operator, snapshot.server.limits, sweep, lambda: b"")
        self._listeners = [Listener(bind("127.0.0.1", 0), server) for server in (self.server, self._admin_server)]
        self.listen, self.admin = (_place(listener.address) for listener in self._listeners)
        for listener in self._listeners:
            self.do(listener.start)

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, *_: object) -> None:
        """End everything; the loop must have had nothing to report."""

        def leave() -> None:
            for listener in self._listeners:
                listener.stop()
            self.server.interrupt()
            self._admin_server.interrupt()
            self.client.close()

        self.do(leave)
        self._thread.run(asyncio.sleep(0.05))
        self._thread.stop()
        self.parts.log.close()
        self.log_file.close()
        assert self._writer.flush(5.0)
        assert self.failures_seen == []

    async def _fetch(self, url: str) -> Fetched:
        """Pictures of the test's own; the guard has tests in `edge`."""
        self.fetched.append(url)
        return Fetched("image/png", PICTURE)

    def do(self, function: Callable[[], Any]) -> Any:
        """Call `function` on the gateway's thread."""
        return self._thread.call(function)

    def forget(self) -> None:
        """Nothing is known of any target: what one test does to a provider must not keep the next one from asking it."""
        object.__setattr__(self.parts, "standings", Standings(lambda _: None, gates(self.meters)))

    def settled(self, number: int, timeout: float = 5.0) -> Settle:
        """The settlement of this number (from 1), waited for."""
        books = self.books
        with books.changed:
            assert books.changed.wait_for(lambda: len(books.settled) >= number, timeout), f"{len(books.settled)} settled"
            return books.settled[number - 1]

    def last(self) -> Settle:
        """The settlement of the last request that was opened, waited for."""
        return self.settled(len(self.books.opened))

    def balanced(self) -> bool:
        """Whether every opening was settled once, by itself."""
        return sorted(record.id for record in self.books.opened) == sorted(record.opened.id for record in self.books.settled)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged; ends the log."""
        self.parts.log.close()
        return [msgspec.json.decode(line) for line in Path(self.log_file.name).read_bytes().splitlines()]


def bearer(key: str = KEY) -> list[tuple[str, str]]:
    """The header with a key."""
    return [("authorization", f"Bearer {key}")]


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


@pytest.fixture(scope="module")
def shared(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """One gateway per file."""
    with Inside(tmp_path_factory.mktemp("inside"), upstream.url) as running:
        yield running


@pytest.fixture
def inside(shared: Inside, upstream: Upstream) -> Iterator[Inside]:
    """The file's gateway with empty books; after the test every opening must be settled once and nothing be in flight."""
    upstream.clear()
    shared.books.opened.clear()
    shared.books.settled.clear()
    shared.forget()
    yield shared
    if shared.books.opened:
        shared.last()
    assert shared.balanced()
    assert shared.metrics_page.requests_in_flight == 0
    assert shared.failures_seen == []
