"""One client request and its answer, as it grows on its way, and the parts of the house it meets.

State only: what happens to an exchange is written in `run`, and done in the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trunkline.canon.errors import GatewayError
from trunkline.canon.usage import NO_USAGE
from trunkline.canon.wire import Deadlines
from trunkline.config.snapshot import Snapshot
from trunkline.dialects.dialect import Ask, Dialect, Tap
from trunkline.edge.client import Client
from trunkline.edge.reply import Reply
from trunkline.edge.request import Request
from trunkline.ledger.journal import Journal, Ticket
from trunkline.ledger.prices import Prices
from trunkline.ledger.record import Open
from trunkline.policy.keys import KeyRing, Principal
from trunkline.providers.provider import Target
from trunkline.telemetry.log import Log
from trunkline.telemetry.metrics import Metrics


@dataclass
class Live:
    """What is in force now. Swapped whole; a request takes what it needs once."""

    snapshot: Snapshot
    keys: KeyRing


@dataclass(frozen=True)
class Parts:
    """What every exchange meets. Made once, in `assemble`."""

    live: Live
    client: Client
    journal: Journal
    prices: Prices
    metrics: Metrics
    log: Log
    clock_ns: Callable[[], int]
    """Wall clock, nanoseconds since the epoch."""
    mono: Callable[[], float]
    """The monotonic clock that `Request.started` was read from, seconds."""
    new_id: Callable[[], str]


class Exchange:
    """One request's state. `target` and what follows are set as the request gets there."""

    __slots__ = (
        "answered",
        "ask",
        "cost_nano",
        "deadlines",
        "detail",
        "dialect",
        "endpoint",
        "error",
        "extra",
        "finish",
        "first_byte",
        "id",
        "opened",
        "price_version",
        "principal",
        "raw_usage",
        "reply",
        "request",
        "sent",
        "snapshot",
        "started_ns",
        "tap",
        "target",
        "ticket",
        "upstream_id",
        "usage",
    )

    def __init__(  # noqa: PLR0913 - what a request is made of; none has a default
        self, parts: Parts, endpoint: str, dialect: Dialect, principal: Principal, request: Request, reply: Reply, extra: bytes
    ) -> None:
        """`extra`: header lines the answer carries besides its own (CORS)."""
        self.id = parts.new_id()
        self.started_ns = parts.clock_ns()
        self.snapshot = parts.live.snapshot
        self.endpoint = endpoint
        self.dialect = dialect
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
        self.sent = False
        """The request was given to a provider, who may charge for it from then on."""
        self.answered = False
        """The provider began an answer that is no error."""
        self.tap: Tap | None = None
        self.usage = NO_USAGE
        self.raw_usage = ""
        self.finish = ""
        self.cost_nano: int | None = None
        self.price_version = ""
        self.first_byte = 0.0
        """Monotonic clock when the first byte went to the client; 0 where none did."""
        self.upstream_id = ""
        self.error: GatewayError | None = None
        self.detail = ""

    def mark_sent(self) -> None:
        """A provider has it now."""
        self.sent = True
