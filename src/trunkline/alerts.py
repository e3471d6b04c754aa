"""Alerts: what budgets have to tell, put down once in the store whoever sees it, and sent by webhook until it is taken.

All of it happens on a thread of its own, but for the sending, which is the edge's. Whoever has something to tell never waits
and is never refused. An alert is delivered at least once: one that was put down survives the process, and a mark that a process
saw crossed but could not put down is told by the one that next uses the budget.

https://www.standardwebhooks.com
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from datetime import UTC, datetime
from typing import Any

import msgspec

from trunkline.config.alerts import AlertSettings
from trunkline.edge.call import CallFailed, post
from trunkline.edge.client import Client
from trunkline.meters.rule import Rule
from trunkline.meters.windows import FOREVER, Window
from trunkline.policy.limits import dollars
from trunkline.store import alerts
from trunkline.store.alerts import LASTING, StoredAlert
from trunkline.store.engine import Store
from trunkline.store.errors import StoreError
from trunkline.telemetry.lines import Level

SECONDS = 10.0
"""That a receiver may take."""
FIRST, MOST = 5, 3600
"""Seconds between two tries: doubled with each, up to an hour."""
GIVEN_UP_NS = 86_400_000_000_000
"""After so long nobody is told any more."""
LOOK = 2.0
"""Seconds between two looks into the store."""
_GONE = 410
"""The receiver wants no more of it."""
_KEPT_NS = 40 * 86_400_000_000_000
"""How long one that is over is remembered, so that it is not told again: longer than the longest window."""
_BATCH = 20
_TOGETHER = 500
"""Alerts that are put down in one transaction."""
_WAITING = 10_000
"""Alerts that wait for the store."""
_TOLD = 100_000
"""What is remembered as told already."""
_SECOND_NS = 1_000_000_000


class Alert(msgspec.Struct, frozen=True):
    """Something to tell, once."""

    type: str
    about: str
    """What makes it this one: the same is told once."""
    window: Window
    fields: dict[str, Any]

    @property
    def ident(self) -> str:
        """The same in every process, and as long as it is about the same."""
        digest = hashlib.sha256(f"{self.type}\n{self.about}".encode()).hexdigest()[:32]
        lasting = LASTING if self.window == FOREVER else ""
        return f"{self.type.replace('.', '_')}_{self.window.begin // _SECOND_NS}_{digest}{lasting}"

    def body(self, now_ns: int) -> str:
        """The JSON that is sent."""
        return msgspec.json.encode({"type": self.type, "timestamp": _when(now_ns), **self.fields}).decode()


def crossed(rule: Rule, window: Window, mark: int, spent: int) -> Alert:
    """What was spent of a budget reached `mark` per cent of it."""
    fields = {"percent": mark, **_budget(rule, window), "spent_usd": dollars(spent)[1:]}
    return Alert("budget.crossed", f"{rule.ident}\n{rule.amount}\n{mark}", window, fields)


def exceeded(rule: Rule, window: Window) -> Alert:
    """A hard budget refused a request because not enough of it is left."""
    return Alert("budget.exceeded", f"{rule.ident}\n{rule.amount}", window, _budget(rule, window))


def trial() -> Alert:
    """Says nothing but that alerts arrive."""
    return Alert("test", "", FOREVER, {"message": "Alerts of this gateway arrive here."})


def _budget(rule: Rule, window: Window) -> dict[str, Any]:
    begin, end = (None, None) if window == FOREVER else (_when(window.begin), _when(window.end))
    return {
        "holder": rule.holder,
        "amount_usd": dollars(rule.amount)[1:],
        "hard": rule.hard,
        "window": {"per": rule.period, "zone": rule.zone, "begin": begin, "end": end},
    }


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns // _SECOND_NS, UTC).isoformat().replace("+00:00", "Z")


def signed(key: bytes, ident: str, body: bytes, now_ns: int) -> bytes:
    """The header lines that say which one it is, and that it is ours (Standard Webhooks, "Signature scheme")."""
    seconds = now_ns // _SECOND_NS
    digest = hmac.digest(key, b"%b.%d.%b" % (ident.encode("ascii"), seconds, body), hashlib.sha256)
    lines = (
        f"webhook-id: {ident}\r\nwebhook-timestamp: {seconds}\r\nwebhook-signature: v1,{base64.b64encode(digest).decode()}\r\n"
    )
    return lines.encode("ascii")


async def send(client: Client, settings: AlertSettings, ident: str, body: str, now_ns: int) -> int:
    """Send one now; the receiver's status. Raises `CallFailed`."""
    data = body.encode()
    return await post(client, settings.place, signed(settings.key, ident, data, now_ns), data, SECONDS)


def pause(tries: int) -> int:
    """Nanoseconds until one that was tried so often is due again."""
    return min(FIRST << min(tries, 16), MOST) * _SECOND_NS


class Alerts:
    """All that is to be told. `tell` is for any thread."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], AlertSettings | None],
        report: Callable[[Level, str, str], None],
        clock_ns: Callable[[], int],
        *,
        sends: bool = True,
    ) -> None:
        """`settings`: those in force. `report`: told of trouble as (level, message, detail). `sends`: else others do."""
        self._store = store
        self._settings = settings
        self._report = report
        self._clock_ns = clock_ns
        self._sends = sends
        self._queue: deque[tuple[str, str]] = deque()
        self._told: set[tuple[str, str, int, bool]] = set()
        self._awake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None
        self._sending: Future[int] | None = None
        self._stored = 0
        self._failing = False
        self.results: Counter[str] = Counter(delivered=0, failed=0, given_up=0, dropped=0)

    @property
    def pending(self) -> int:
        """How many are still to be delivered, as far as this process is to see to it."""
        return len(self._queue) + self._stored

    def tell(self, alert: Alert) -> bool:
        """Have it told, if anybody is to be. Never waits. False where this process told it already."""
        settings = self._settings()
        wanted = settings is not None and alert.type in settings.events
        key = alert.type, alert.about, alert.window.begin, wanted
        if key in self._told:
            return False
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told.add(key)
        if not wanted:
            return True
        if len(self._queue) >= _WAITING:
            self.results["dropped"] += 1
            self._told.discard(key)  # it may come again
            return True
        self._queue.append((alert.ident, alert.body(self._clock_ns())))
        self._awake.set()
        return True

    def start(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        """Begin to send, over `client` and in `loop`."""
        self._loop, self._client = loop, client
        self._thread.start()

    def hush(self) -> None:
        """Send no more: the loop is about to end. What is told is still put down."""
        self._client = None
        if self._sending is not None:
            self._sending.cancel()

    def close(self, seconds: float = 2.0) -> None:
        """Put down what was told last, and end; what is not delivered is for the next start."""
        self._stop.set()
        self._awake.set()
        self.hush()
        if self._thread.is_alive():
            self._thread.join(seconds)

    # the thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        forgotten = 0
        while not self._stop.is_set():
            self._awake.clear()
            try:
                self._put_down()
                if self._sends:
                    forgotten = self._forget(forgotten)
                    if self._deliver():
                        continue
            except StoreError:
                pass  # it is down: the ledger's writer says so
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end that alerts are sent
                self._report("error", "alerts could not be seen to", repr(error))
            self._awake.wait(LOOK)
        with contextlib.suppress(StoreError):
            self._put_down()

    def _put_down(self) -> None:
        while self._queue:
            some = [self._queue[at] for at in range(min(len(self._queue), _TOGETHER))]
            alerts.add(self._store, some, self._clock_ns())
            for _ in some:
                self._queue.popleft()

    def _deliver(self) -> bool:
        """Send what is due, up to the first that fails: whoever is ill or hangs is left alone for a while. Whether there may be
        more that is due.
        """
        settings, client = self._settings(), self._client
        if settings is None or client is None:
            self._stored = 0
            return False
        self._stored = alerts.waiting(self._store)
        due = alerts.due(self._store, self._clock_ns(), _BATCH) if self._stored else []
        going = all(self._client is not None and self._try(client, settings, one) for one in due)
        if due:
            self._stored = alerts.waiting(self._store)
        return going and len(due) == _BATCH

    def _try(self, client: Client, settings: AlertSettings, one: StoredAlert) -> bool:
        """Send one, unless another process does, or it is too old and was tried before. False: it could not be delivered."""
        now = self._clock_ns()
        if not alerts.take(self._store, one, now + pause(one.tries)):
            return True
        if one.tries and now - one.made_ns > GIVEN_UP_NS:
            self._give_up(one, "nobody took it for a day")
            return True
        told = self._send(client, settings, one, now)
        self._put_down()
        if told is None:
            self.results["delivered"] += 1
            alerts.settle(self._store, one.id, self._clock_ns())
            self._failing = False
        elif told == str(_GONE):
            self._give_up(one, "the receiver wants no more (410)")
        else:
            self.results["failed"] += 1
            if not self._failing:
                self._report("warning", "an alert could not be delivered; it is tried again for a day", told)
            self._failing = True
            return False
        return True

    def _send(self, client: Client, settings: AlertSettings, one: StoredAlert, now_ns: int) -> str | None:
        """None where it was delivered, else why not."""
        assert self._loop is not None  # noqa: S101 - as `start` saw
        sending = send(client, settings, one.id, one.body, now_ns)
        try:
            self._sending = asyncio.run_coroutine_threadsafe(sending, self._loop)
        except RuntimeError:
            sending.close()
            return "the gateway ends"
        if self._client is None:  # `hush` came before there was something to cancel
            self._sending.cancel()
        try:
            status = self._sending.result(SECONDS * 2)
        except CallFailed as error:
            return str(error)
        except (CancelledError, TimeoutError):
            self._sending.cancel()
            return "the gateway ends, or stands still"
        return None if 200 <= status < 300 else str(status)

    def _give_up(self, one: StoredAlert, why: str) -> None:
        self.results["given_up"] += 1
        alerts.settle(self._store, one.id, None)
        self._report("error", f"the alert {one.id} is given up", why)

    def _forget(self, forgotten_ns: int) -> int:
        """Once a day, forget what is over. Returns when that was last done."""
        now = self._clock_ns()
        if now - forgotten_ns < GIVEN_UP_NS:
            return forgotten_ns
        alerts.forget(self._store, now - _KEPT_NS)
        return now
