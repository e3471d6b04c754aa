"""A request's life up to the moment in which something would leave: the way of `run`, with parts that keep what they are given.

Nothing is sent or fetched, no token is asked for, nothing enters the books, the metrics or what is known of targets. What it
shows to people belongs in `explain`.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, cast

from typing_extensions import override

from trunkline.canon.chat import Chat
from trunkline.canon.errors import GatewayError
from trunkline.canon.wire import WireRequest
from trunkline.config.snapshot import Snapshot
from trunkline.credentials.hidden import hide_credentials
from trunkline.dialects.dialect import Ask
from trunkline.edge.client import Client
from trunkline.edge.fetch import Fetched
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.ledger.journal import NOWHERE, Journal, Ticket
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import Open
from trunkline.meters.books import Books
from trunkline.meters.local import Local
from trunkline.meters.meter import Meters, Spent
from trunkline.meters.windows import Window
from trunkline.pipeline.count import Counter
from trunkline.pipeline.exchange import Door, Exchange, Live, Parts
from trunkline.pipeline.media import media_of, no_fetching
from trunkline.pipeline.memory import Memory
from trunkline.pipeline.run import JOBS, Job
from trunkline.policy.keys import KeyRing, Principal
from trunkline.providers.provider import Target
from trunkline.routing.course import Standings
from trunkline.routing.standing import Standing
from trunkline.telemetry.log import Log
from trunkline.telemetry.metrics import Metrics

_UNSENT = "0" * 32
"""The id of a request that is none."""


@dataclass(frozen=True)
class Scene:
    """What is in force."""

    snapshot: Snapshot
    prices: Prices
    clock_ns: Callable[[], int]
    mono: Callable[[], float]
    dice: Callable[[], float]
    standings: Standings | None = None
    """What was learned of the targets; None where no gateway runs."""
    spent: Spent | None = None
    """What the ledger knows to be spent; None: nothing is."""


class Question(NamedTuple):
    """What a client would send."""

    principal: Principal
    door: Door
    job: Job
    request: Request


class Rehearsal(NamedTuple):
    """How far it came."""

    exchange: Exchange
    parts: Parts
    """What stood in for the gateway's own, with copies of what is known of the targets."""
    sent: WireRequest | None
    """What would be sent first; None where the answer is made here, or refused."""
    error: GatewayError | None
    """What the client would be told instead of an answer."""
    fetched: tuple[str, ...]
    """URLs that the gateway would fetch before."""
    books: Books
    """Of meters that know what was spent before; they counted this request and nothing that runs elsewhere."""


class _Stop(Exception):  # noqa: N818 - not an error: this is as far as it goes
    """Here something would leave."""


async def rehearse(scene: Scene, question: Question) -> Rehearsal:
    """Go as far as can be gone."""
    client, urls = _Client(), _Urls()
    meters = Local(scene.spent or _nothing, lambda *_: None, Books(lambda: int(scene.mono() * 1e9), scene.clock_ns()))
    parts = _parts(scene, question.principal, (client, urls, meters))
    exchange = Exchange(parts, question.door, question.principal, question.request, _Reply(), b"")
    exchange.job = question.job
    urls.exchange = exchange
    error = None
    try:
        await JOBS[question.job](exchange, parts)
    except _Stop:
        pass
    except GatewayError as raised:
        error = raised
    return Rehearsal(exchange, parts, client.sent, error, tuple(urls.named), meters.books)


async def _nothing(_holder: str, _window: Window) -> int:
    return 0


def _parts(scene: Scene, principal: Principal, others: tuple[_Client, _Urls, Meters]) -> Parts:
    snapshot, (client, urls, meters) = scene.snapshot, others
    hidden = hide_credentials({name: one.credential for name, one in snapshot.providers.items()})
    return Parts(
        live=Live(snapshot, KeyRing((principal,)), hidden, scene.prices),
        client=client,
        journal=_Journal(),
        meters=meters,
        metrics=Metrics(""),
        log=_Log(),
        clock_ns=scene.clock_ns,
        mono=scene.mono,
        new_id=lambda: _UNSENT,
        dice=scene.dice,
        standings=_Copies(scene),
        memory=Memory(0, 0.0, scene.mono),
        fetch=urls.fetch if snapshot.server.media.enabled else no_fetching,
        counter=_Counter(),
    )


class _Still(Standing):
    """Learns nothing from a request that was not sent: whoever tries the target in earnest is still about it."""

    __slots__ = ()

    @override
    def left(self, begun: float, now: float, first: float | None) -> None:
        pass

    @override
    def failed(self, begun: float, now: float, error: GatewayError) -> None:
        pass


class _Copies(Standings):
    """What is known of targets, copied where it is looked at, as it is before anybody is asked."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(lambda target: scene.prices.per_token(*target.priced_as, scene.clock_ns()))
        self._real = {} if scene.standings is None else scene.standings.all()
        self._copies: dict[tuple[str, int, str], Standing] = {}

    @override
    def of(self, target: Target) -> Standing:
        key = (target.provider.name, target.provider.seat, target.model)
        found = self._copies.get(key)
        if found is None:
            real = self._real.get(key)
            found = self._copies[key] = super().of(target) if real is None else copy.deepcopy(real)
            found.__class__ = _Still
        return found

    @override
    def asked(self, standing: Standing, tokens: int, now: float) -> None:
        standing.busy += 1  # until the try ends


class _Client(Client):
    """Sends nothing."""

    def __init__(self) -> None:
        self.sent: WireRequest | None = None

    @override
    async def send(self, request: WireRequest, on_sent: object = None) -> NoReturn:
        self.sent = self.sent or request
        raise _Stop

    @override
    async def upgrade(self, request: WireRequest, on_sent: object = None) -> NoReturn:
        await self.send(request)


class _Journal(Journal):
    """Writes nothing down."""

    def __init__(self) -> None:
        pass

    @override
    def open(self, record: Open) -> Ticket:
        return NOWHERE

    @override
    def can_accept(self) -> bool:
        return True


class _Log(Log):
    """Says nothing."""

    def __init__(self) -> None:
        pass

    @override
    def event(self, *_: object, **__: object) -> None:
        pass


class _Counter(Counter):
    """Counts nothing."""

    @override
    async def count_chat(self, chat: Chat, dialect: str = "") -> NoReturn:
        raise _Stop


class _Reply(Reply):
    """Nobody's: an answer that is made here ends it."""

    def __init__(self) -> None:
        self.started = self.ended = self.gone = False
        self.status = self.bytes_out = 0
        self.flow = None

    @override
    def send(self, status: int, headers: bytes, body: bytes) -> NoReturn:
        raise _Stop

    @override
    def start(self, status: int, headers: bytes) -> NoReturn:
        raise _Stop


class _Urls:
    """Stands in for what is at URLs."""

    exchange: Exchange

    def __init__(self) -> None:
        self.named: list[str] = []

    async def fetch(self, url: str) -> Fetched:
        """Something of the kind that the request says it is, which `shown` makes readable."""
        self.named.append(url)
        chat = self.exchange.dialect.read_chat(cast("Ask", self.exchange.ask))
        kinds = {media.url: media.kind for message in chat.messages for media in media_of(message)}
        return Fetched("application/pdf" if kinds.get(url) == "document" else "image/png", url.encode())


def shown(body: bytes, fetched: tuple[str, ...]) -> bytes:
    """A body with words in place of what would be fetched."""
    for url in fetched:
        words = json.dumps(f"(what is at {url})", ensure_ascii=False)[1:-1]
        body = body.replace(base64.b64encode(url.encode()), words.encode())
    return body
