"""One client request and its answer, as it grows on its way, and the parts of the house it meets.

State only: what happens to an exchange is written in `run`, and done in the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from trunkline.canon.errors import GatewayError, Kind
from trunkline.canon.usage import NO_USAGE, Usage
from trunkline.canon.wire import Deadlines
from trunkline.config.snapshot import Snapshot
from trunkline.credentials.credential import Credential
from trunkline.dialects.dialect import Ask, Dialect, Named, Outgoing, ProviderDialect, Tap, Whole
from trunkline.dialects.families import Passing
from trunkline.edge.client import Client
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.ledger.journal import Journal, Ticket
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import Open
from trunkline.meters.meter import Hold, Meters, Room
from trunkline.meters.rule import Rule
from trunkline.pipeline.count import Counter
from trunkline.pipeline.drain import Drains
from trunkline.pipeline.media import Fetch
from trunkline.pipeline.memory import Memory
from trunkline.pipeline.use import Estimate, Spent, Step
from trunkline.policy.keys import KeyRing, Principal
from trunkline.providers.provider import Target
from trunkline.routing.choose import Candidates
from trunkline.routing.course import Standings
from trunkline.routing.standing import Standing
from trunkline.telemetry.log import Log
from trunkline.telemetry.metrics import Metrics


class Tokens(Protocol):
    """Bearer tokens that let in."""

    def find(self, key: bytes) -> Principal | None:
        """Whom one lets in; None where it is none, or does not count. Raises `GatewayError` (403, 503)."""
        ...

    def holds(self, principal: Principal) -> bool:
        """Whether one that was let in still counts."""
        ...


@dataclass
class Live:
    """What is in force now. Swapped whole, on the loop's thread; a request takes what it needs once."""

    snapshot: Snapshot
    keys: KeyRing
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    """Of those providers whose credential is no fixed header, by the provider's name."""
    prices: Prices = field(default_factory=Prices.load)
    tokens: Tokens | None = None
    """What lets in beside keys."""


def _untold(rule: Rule, at_ns: int) -> None:
    """Where nobody is told."""


@dataclass(frozen=True)
class Parts:
    """What every exchange meets. Made once, in `assemble`."""

    live: Live
    client: Client
    journal: Journal
    meters: Meters
    metrics: Metrics
    log: Log
    clock_ns: Callable[[], int]
    """Wall clock, nanoseconds since the epoch."""
    mono: Callable[[], float]
    """The monotonic clock that `Request.started` was read from, seconds."""
    new_id: Callable[[], str]
    dice: Callable[[], float]
    """A number from 0 to 1, to spread waits with; nothing secret hangs on it."""
    standings: Standings
    """How each target has been doing."""
    memory: Memory
    """State of models that clients without a slot for it cannot hand back."""
    fetch: Fetch
    counter: Counter
    drains: Drains = field(default_factory=Drains)
    """Answers that are read for clients who left."""
    exceeded: Callable[[Rule, int], None] = _untold
    """Told that a hard budget refused a request that began then (nanoseconds since the epoch)."""

    @property
    def prices(self) -> Prices:
        """Those in force."""
        return self.live.prices


class Answered(msgspec.Struct, frozen=True):
    """A whole answer on its way to the client."""

    whole: Whole
    body: bytes
    content_type: bytes
    error: GatewayError | None = None
    """What the answer is instead, to the client: the provider was paid all the same."""
    filtered: bool = False
    """The provider's filter left nothing of it."""


class Filtered(GatewayError):  # noqa: N818 - to the client it is an answer
    """An answer that a provider's filter emptied: another target may have one, else it is the client's."""

    def __init__(self, answered: Answered) -> None:
        super().__init__(Kind.UPSTREAM_REFUSED, "The provider's filter left nothing of its answer.", code="content_filter")
        self.answered = answered


class Passage(Protocol):
    """One exchange's way to one target."""

    @property
    def dialect(self) -> ProviderDialect:
        """The provider's."""
        ...

    outgoing: Outgoing
    dropped: tuple[str, ...]
    """What the target cannot express, by name."""
    shallow: bool
    """Both sides speak one dialect: the provider's own error and the client's own headers may pass."""

    def whole(self, body: bytes) -> Answered:
        """The client's answer for the provider's whole one. Raises `GatewayError`."""
        ...

    def tap(self) -> Tap:
        """What a streamed answer goes through."""
        ...

    def done(self, tap: Tap) -> None:
        """A streamed answer came to its end."""
        ...


class Asks(Protocol):
    """Who reads what comes in at a door."""

    def read_request(self, body: bytes, named: Named) -> Ask:
        """Decode a client's body one level deep. Raises `GatewayError(BAD_REQUEST)`."""
        ...

    def estimate_input(self, ask: Ask) -> int:
        """Tokens of the question guessed from its size."""
        ...


class Door(NamedTuple):
    """Where a request came in."""

    endpoint: str
    """As the ledger and the log call it."""
    dialect: Dialect
    named: Named
    passing: Passing | None = None
    """What passes there, where it is not for a dialect to read."""


class Race(Protocol):
    """Two attempts of one request beside each other, of which the client sees one. Each has an exchange of its own."""

    winner: Exchange | None
    """The one that had something to show first."""

    def shows(self, exchange: Exchange) -> None:
        """`exchange` has something to show. Raises `GatewayError` where the client already sees the other's."""
        ...


NO_ROOMS: tuple[Room | None, Room | None] = (None, None)
"""Where there is no limit to tell of."""


class Exchange:
    """One request's state. `target` and what follows are set as the request gets there."""

    __slots__ = (
        "answered",
        "ask",
        "asks",
        "candidates",
        "charged",
        "cost_nano",
        "credentials",
        "deadlines",
        "detail",
        "dialect",
        "drawn",
        "dropped",
        "endpoint",
        "error",
        "extra",
        "finish",
        "first_byte",
        "hedged",
        "hold",
        "id",
        "job",
        "lent",
        "most",
        "named",
        "opened",
        "paid",
        "passage",
        "passed",
        "passing",
        "price_version",
        "principal",
        "race",
        "raw_usage",
        "reply",
        "reported_nano",
        "request",
        "rooms",
        "rules",
        "secrets",
        "sent",
        "snapshot",
        "spent",
        "standing",
        "started_ns",
        "tap",
        "target",
        "ticket",
        "trail",
        "tries",
        "upstream_id",
        "usage",
    )

    def __init__(self, parts: Parts, door: Door, principal: Principal, request: Request, reply: Reply, extra: bytes) -> None:
        """`extra`: header lines the answer carries besides its own (CORS)."""
        self.id = parts.new_id()
        self.started_ns = parts.clock_ns()
        self.snapshot, self.credentials = parts.live.snapshot, parts.live.credentials
        self.endpoint, self.dialect, self.named, self.passing = door
        self.asks: Asks = self.dialect
        """The dialect itself, or what it has for a family beside chat."""
        self.principal = principal
        self.request = request
        self.reply = reply
        self.extra = extra
        self.ask: Ask | None = None
        self.deadlines = Deadlines()
        self.target: Target | None = None
        self.opened: Open | None = None
        """Its opening in the ledger; None until it is accepted."""
        self.ticket: Ticket | None = None
        self.standing: Standing | None = None
        """How the current target has been doing: its answers tell more of it."""
        self.trail: list[Step] = []
        """The attempts that have ended."""
        self.candidates: Candidates | None = None
        """Who may be asked; None until that is known."""
        self.rules: tuple[int, ...] = ()
        """The rules that were followed, counted from 1."""
        self.passed: tuple[tuple[Target, str], ...] = ()
        """Who was not asked although its turn had come, and why."""
        self.tries = 0
        """Targets that were turned to, each time counted."""
        self.race: Race | None = None
        """What it takes part in: then its `reply` is not the client's until it has won."""
        self.hedged = False
        """Its attempt began beside another one."""
        self.spent = Spent()
        self.price_version = ""
        """Where the latest price is from."""
        self.job = "chat"
        """What is done for it: a `run.Job`."""
        self._hold_nothing()
        self._forget()
        self.first_byte = 0.0
        """Monotonic clock when the first byte went to the client; 0 where none did."""
        self.charged = True
        """What it asks for costs money."""
        self.error: GatewayError | None = None
        self.detail = ""

    def turn_to(self, target: Target, deadlines: Deadlines) -> None:
        """The next attempt begins: nothing of the last one is left."""
        self.tries += 1
        self.target, self.deadlines = target, deadlines
        if self.opened is not None:
            self.opened = msgspec.structs.replace(self.opened, provider=target.provider.name, target=target.model)
        self._forget()

    def become(self, other: Exchange) -> None:
        """Go on as `other`, a copy of this one that went its own way."""
        reply = self.reply
        for name in Exchange.__slots__:
            setattr(self, name, getattr(other, name))
        self.reply, self.race, self.hedged = reply, None, False

    def shows(self, now: float) -> None:
        """The client is about to see the first byte: to be called before the answer's head is made, which tells what was spent.

        Raises `GatewayError` where another attempt was quicker.
        """
        if self.race is not None:
            self.race.shows(self)
        self.first_byte = now

    def _hold_nothing(self) -> None:
        self.most: Estimate | None = None
        """What it may use at most; None until somebody asked."""
        self.hold: Hold | None = None
        """What it holds of the limits and budgets that it is under."""
        self.paid = (0, 0)
        """Tokens and nano-dollars of it that the meters have counted already."""
        self.rooms = NO_ROOMS
        """What is left of requests and tokens a minute, to be told."""
        self.lent: Hold | None = None
        """What the attempt that goes on holds of its provider's limits."""

    def _forget(self) -> None:
        self.secrets: tuple[bytes, ...] = ()
        """Of a credential that is renewed, what went out with this request."""
        self.sent = False
        """The request was given to a provider, who may charge for it from then on."""
        self.answered = False
        """The provider began an answer that is no error."""
        self.passage: Passage | None = None
        """How it is carried; None until a target is asked."""
        self.tap: Tap | None = None
        self.dropped: tuple[str, ...] = ()
        """What of the request the target could not be told, by name."""
        self.usage = NO_USAGE
        self.raw_usage = ""
        self.finish = ""
        self.cost_nano: int | None = None
        self.reported_nano: int | None = None
        self.drawn: tuple[Usage, int | None] | None = None
        """What the attempt used and what that cost, once it is over and stands in `spent`."""
        self.upstream_id = ""

    def cost(self) -> int | None:
        """Nano-dollars of all attempts so far; None where a part of it has no price."""
        return self._with_spent(self.cost_nano, self.spent.nano)

    def reported(self) -> int | None:
        """What the providers say that all attempts so far cost; None where one of them does not."""
        return self._with_spent(self.reported_nano, self.spent.reported)

    def _with_spent(self, own: int | None, spent: int | None) -> int | None:
        if self.spent.usage is NO_USAGE:
            return own
        if self.usage.basis == "none" or spent is None:
            return spent
        return None if own is None else own + spent

    @property
    def asked(self) -> bool:
        """A provider was given it and is about it."""
        return self.spent.asked

    def mark_sent(self) -> None:
        """A provider has it now."""
        self.sent = self.spent.asked = True
